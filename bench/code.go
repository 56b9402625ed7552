package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// benchmarks are Go benchmarks over one CT image of 525 kB: what reading it
// costs, and what inspecting it costs. Each reports beside its speed how many
// times longer it took than SHA-256 over the same bytes in the same run.
var benchmarks = [...]struct{ name, folder string }{
	{"BenchmarkDecodeCT", "./dicom"},
	{"BenchmarkInspectCT", "./inspect"},
}

func code(ctx context.Context, b *bench) error {
	rows := [][]string{{"benchmark", "MB/s", "times sha256"}}
	for _, bm := range benchmarks {
		cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^"+bm.name+"$", bm.folder)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w: %s", bm.name, err, out)
		}
		results := results(out, bm.name)
		if len(results) == 0 {
			return fmt.Errorf("%s: no result in: %s", bm.name, out)
		}
		rows = append(rows, results...)
	}
	b.table("one CT image in memory", rows)
	return nil
}

// results reads the lines of `go test -bench`: a name, the rounds, then pairs
// of a value and its unit.
func results(out []byte, name string) [][]string {
	var rows [][]string
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], name) {
			continue
		}
		row := []string{fields[0], "", ""}
		for i := 2; i+1 < len(fields); i += 2 {
			switch unit := fields[i+1]; {
			case strings.HasPrefix(unit, "MB/s"):
				row[1] = fields[i]
			case strings.Contains(unit, "sha256"):
				row[2] = fields[i]
			}
		}
		rows = append(rows, row)
	}
	return rows
}
