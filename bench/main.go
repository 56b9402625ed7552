// Command bench measures Cordon beside the programs that it stands between and
// the tools that it is compared with, on this machine, in one run, as ratios.
//
//	go run ./bench                       # everything: about twenty minutes
//	go run ./bench -images 100 transfer  # images/s, direct and through
//	go run ./bench memory                # peak memory: 32 associations, one object of 2 GiB
//	go run ./bench tree                  # cordon inspect beside sha256sum and clamdscan
//	go run ./bench code                  # the Go benchmarks beside SHA-256
//	go run ./bench ledger                # a million records: append, export, verify, prove, open
//	go run ./bench audit                 # the gateway with and without audit messages
//	go run ./bench detection             # what is held: real files, hostile files, beside clamdscan
//	go run ./bench query                 # C-FIND, C-MOVE and C-GET, direct and through
//	go run ./bench flood                 # a declared device's waits while another address floods
//	go run ./bench network               # a sensor beside tcpdump, on a pair of veth interfaces; needs root
//	go run ./bench -write compare        # direct and through beside each other, and the targets; into docs/performance.md; ten minutes
//	go run ./bench cost                  # Cordon's own processor time for an image, on a machine that others use too
//	go run ./bench inspect               # one core beside openssl; 4 GiB; the gateway with clamd
//
// Peers run on free loopback ports in a temporary directory and are stopped by
// their process id. A peer that is missing is an error: nothing is left out in
// silence. Absolute numbers are those of one machine; compare ratios.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
)

// A bench is one run: where it works, and how much it does.
type bench struct {
	dir    string // temporary; removed at the end
	cordon string // the program under test, built by this run
	images int    // CT images for each transfer
	full   bool   // more rows and rounds of compare
	write  bool   // compare writes docs/performance.md
	rows   string // compare measures the rates of those whose name has it; "" is all
	only   string // the parts of compare, separated by commas; "" is all
	out    *tabwriter.Writer
}

// A measurement is one part of the run, with the programs that it needs.
type measurement struct {
	name  string
	needs []string
	run   func(context.Context, *bench) error
}

var measurements = [...]measurement{
	{"transfer", []string{"storescu", "storescp", "echoscu", "Orthanc"}, transfers},
	{"memory", []string{"storescu", "echoscu"}, memory},
	{"tree", []string{"sha256sum", "clamd", "clamdscan", pydicomFiles}, tree},
	{"code", []string{"go"}, code},
	{"ledger", nil, ledgerFigures},
	{"audit", []string{"storescu", "echoscu", "rsyslogd"}, auditing},
	{"detection", []string{
		"go", "dcmconv", "dcmcjpeg", "dcmcjpls", "dcmcrle", "dcmdjpeg", "dcmdjpls", "dcmdrle", "clamd", "clamdscan",
		pydicomFiles, pydicomCharset, clamFiles,
	}, detection},
	{"query", []string{"Orthanc", "storescu", "echoscu", "movescu", "getscu"}, queries},
	{"flood", []string{"echoscu"}, floods},
	{"network", []string{"ip", "tcpdump"}, sensors},
	{"compare", []string{"storescu", "storescp", "echoscu", "Orthanc"}, compare},
	{"cost", []string{"storescu", "storescp", "echoscu", "Orthanc"}, costs},
	{"inspect", []string{"openssl", "taskset", "dcmcjpeg", "dcmcjpls", "dcmcrle", "storescu", "echoscu", "clamd", "clamdscan"}, inspection},
}

func main() {
	full := flag.Bool("full", false, "compare: more rows and rounds, about an hour")
	write := flag.Bool("write", false, "compare: write docs/performance.md and docs/performance.svg")
	only := flag.String("only", "", "compare: growth, rates, router, latency, spool, reuse, memory, separated by commas; all without it")
	rows := flag.String("rows", "", "compare: only the rates whose row has these words, such as 'storescp tuned 4'")
	images := flag.Int("images", 1000, "CT images of 525 kB to send for each transfer")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: bench [-images N] [transfer|memory|tree|code|audit|detection|query|flood|network|compare|cost|inspect]...")
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, bench{images: *images, full: *full, write: *write, only: *only, rows: *rows}, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, b bench, names []string) error {
	chosen, err := choose(names)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "cordon-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b.dir, b.cordon, b.out = dir, filepath.Join(dir, "cordon"), tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", b.cordon, "./cmd/cordon")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("building ./cmd/cordon (run from the root of the source tree): %w", err)
	}
	fmt.Println(machine())
	for _, m := range chosen {
		if err := m.run(ctx, &b); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	return nil
}

// choose finds the measurements with the given names, all if there are none,
// and makes sure that every program they need is here.
func choose(names []string) ([]measurement, error) {
	var chosen []measurement
	for _, m := range measurements {
		if len(names) == 0 || slices.Contains(names, m.name) {
			chosen = append(chosen, m)
		}
	}
	if len(names) > 0 && len(chosen) != len(names) {
		return nil, fmt.Errorf("%s: the measurements are transfer, memory, tree, code, audit, detection, query, flood, network, compare, cost and inspect", strings.Join(names, " "))
	}
	var missing []error
	for _, m := range chosen {
		for _, need := range m.needs {
			if err := present(need); err != nil {
				missing = append(missing, fmt.Errorf("%s needs %s: %w", m.name, need, err))
			}
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("%w\ninstall the peers with: make peers", errors.Join(missing...))
	}
	return chosen, nil
}

// present looks for a program, or for a file if need is absolute.
func present(need string) error {
	_, err := exec.LookPath(program(need))
	if filepath.IsAbs(need) {
		_, err = os.Stat(need)
	}
	return err
}

// program is the path of a program that may be in /usr/sbin, where Debian has
// daemons and not everybody looks.
func program(name string) string {
	if _, err := exec.LookPath(name); err != nil && !filepath.IsAbs(name) {
		return filepath.Join("/usr/sbin", name)
	}
	return name
}

// table prints a title and rows of cells, the first row being the head.
func (b *bench) table(title string, rows [][]string) {
	fmt.Printf("\n%s\n", title)
	for _, row := range rows {
		fmt.Fprintln(b.out, strings.Join(row, "\t")+"\t")
	}
	b.out.Flush()
}
