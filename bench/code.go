package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
)

// benchmarks are Go benchmarks over one CT image of 525 kB: what reading it
// costs, and what inspecting it costs, beside the SHA-256 of the same bytes.
var benchmarks = [...]struct{ name, folder string }{
	{"BenchmarkDecodeCT", "./dicom"},
	{"BenchmarkInspectCT", "./inspect"},
}

// result matches a line of `go test -bench`: name, rounds, ns/op, MB/s and
// what the benchmark reports of its own.
var result = regexp.MustCompile(`(?m)^(Benchmark\S+?)(?:-\d+)?\s+\d+\s+([\d.]+) ns/op\s+([\d.]+) MB/s(?:\s+([\d.]+) \S*sha256\S*)?`)

func code(ctx context.Context, b *bench) error {
	rows := [][]string{{"benchmark", "µs", "MB/s", "times sha256"}}
	for _, bm := range benchmarks {
		cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^"+bm.name+"$", bm.folder)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w: %s", bm.name, err, out)
		}
		matches := result.FindAllStringSubmatch(string(out), -1)
		if matches == nil {
			return fmt.Errorf("%s: no result in: %s", bm.name, out)
		}
		for _, m := range matches {
			ns, err := strconv.ParseFloat(m[2], 64)
			if err != nil {
				return err
			}
			rows = append(rows, []string{m[1], fmt.Sprintf("%.0f", ns/1000), m[3], m[4]})
		}
	}
	b.table("one CT image in memory", rows)
	return nil
}
