package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"cordon/finding"
	"cordon/judge"
)

type inspectCommand struct {
	JSON  bool     `help:"One JSON object a line."`
	Paths []string `arg:"" name:"path" help:"Files and folders."`
}

// inspected is one file's outcome.
type inspected struct {
	path   string
	report finding.Report
	err    error // it could not be read
}

// Run judges every file, several at a time, and prints the outcomes in the
// order of the walk.
func (c inspectCommand) Run(ctx context.Context, at place, std stdio) error {
	config, err := at.config()
	if err != nil {
		return err
	}
	bar := newProgress(std)
	go measure(c.Paths, 1, bar) // ends with its walk; the process does not wait for it
	j, err := config.newJudge(config.Engines.scanners(), newInMemory, config.settings)
	if err != nil {
		return failure{2, err}
	}
	tally := tally{start: time.Now()}
	for result := range c.outcomes(ctx, j, bar) {
		o := <-result
		bar.clear()
		if errors.Is(o.err, context.Canceled) {
			continue // the end says that it was interrupted
		}
		tally.add(o)
		c.print(std, o)
	}
	if ctx.Err() != nil {
		return failure{2, fmt.Errorf("interrupted: %s", tally)}
	}
	if !c.JSON {
		fmt.Fprintln(std.out, tally)
	}
	return tally.exit()
}

// measure tells the bar how much there is to do, if each file is read so many times.
func measure(paths []string, times int64, bar *progress) {
	if bar == nil {
		return
	}
	var files, bytes int64
	walk(paths, func(path string) error {
		if f, size, err := openFile(path); err == nil {
			f.Close()
			files++
			bytes += times * size
		}
		return nil
	}, func(string, error) {})
	bar.total(files, bytes)
}

// outcomes starts one judgement a file, as many at a time as there are
// processors, and returns their results to come in the order of the walk.
func (c inspectCommand) outcomes(ctx context.Context, j *judge.Judge, bar *progress) <-chan chan inspected {
	queue := make(chan chan inspected, runtime.GOMAXPROCS(0))
	begin := func(path string, work func() inspected) {
		result := make(chan inspected, 1)
		queue <- result
		go func() { result <- work() }() // ends when its file does; the queue bounds their number
	}
	go func() { // ends after the last file, or when ctx ends
		defer close(queue)
		walk(c.Paths, func(path string) error {
			begin(path, func() inspected { return inspectFile(ctx, j, path, bar) })
			return ctx.Err()
		}, func(path string, err error) {
			begin(path, func() inspected { return inspected{path: path, err: err} })
		})
	}()
	return queue
}

// inspectFile judges one file.
func inspectFile(ctx context.Context, j *judge.Judge, path string, bar *progress) inspected {
	f, size, err := openFile(path)
	if err != nil {
		return inspected{path: path, err: err}
	}
	defer f.Close()
	report, err := judgeFile(ctx, j, f, size, bar)
	return inspected{path, report, err}
}

// judgeFile judges a file of size bytes that was just opened.
func judgeFile(ctx context.Context, j *judge.Judge, f io.Reader, size int64, bar *progress) (finding.Report, error) {
	jm := j.Begin(judge.Source{Size: size})
	_, err := io.CopyBuffer(struct{ io.Writer }{jm}, meter{ctx, f, bar}, make([]byte, 256<<10))
	report, _ := jm.Finish(ctx)
	bar.add(1, 0)
	return report, err
}

func (c inspectCommand) print(std stdio, o inspected) {
	switch {
	case o.err != nil:
		fmt.Fprintf(std.err, "cordon: cannot read: %s\n", printable(o.err.Error()))
	case c.JSON:
		json.NewEncoder(std.out).Encode(inspectLine(o))
	default:
		fmt.Fprintf(std.out, "%-6s  %s\n", o.report.Verdict, printable(o.path))
		printFindings(std.out, "        ", worthShowing(o.report.Findings))
		printUnscanned(std.out, "        ", o.report.Engines)
	}
}

// printUnscanned writes one line for each engine that could not scan: silence
// would read as if it had found nothing.
func printUnscanned(w io.Writer, indent string, engines []finding.EngineResult) {
	for _, e := range engines {
		if e.Result == finding.Unscanned {
			fmt.Fprintf(w, "%snot scanned by %s: %s\n", indent, e.Name, printable(e.Detail))
		}
	}
}

// worthShowing leaves out what is only worth recording.
func worthShowing(fs []finding.Finding) []finding.Finding {
	var out []finding.Finding
	for _, f := range fs {
		if f.Severity > finding.Info {
			out = append(out, f)
		}
	}
	return out
}

// printFindings writes one line for each finding.
func printFindings(w io.Writer, indent string, fs []finding.Finding) {
	for _, f := range fs {
		kind, _ := finding.Lookup(f.ID)
		fmt.Fprintf(w, "%s%s: %s at %s, byte %d", indent, f.Severity, kind.Title, f.Where, f.Offset)
		if f.Detail != "" {
			fmt.Fprintf(w, " (%s)", f.Detail)
		}
		if f.Excepted != "" {
			fmt.Fprintf(w, " (excepted by %s)", f.Excepted)
		}
		fmt.Fprintf(w, " [%s]\n", f.ID)
	}
}

// inspection is the line that --json prints for a file.
type inspection struct {
	Path     string                 `json:"path"`
	Bytes    int64                  `json:"bytes"`
	SHA256   string                 `json:"sha256"`
	Verdict  finding.Verdict        `json:"verdict"`
	Findings []finding.Finding      `json:"findings"`
	Engines  []finding.EngineResult `json:"engines"`
}

func inspectLine(o inspected) inspection {
	return inspection{
		Path:     o.path,
		Bytes:    o.report.Bytes,
		SHA256:   hex.EncodeToString(o.report.SHA256[:]),
		Verdict:  o.report.Verdict,
		Findings: append([]finding.Finding{}, o.report.Findings...), // [] rather than null
		Engines:  append([]finding.EngineResult{}, o.report.Engines...),
	}
}

// tally counts outcomes.
type tally struct {
	start                               time.Time
	admitted, held, refused, unreadable int
	bytes                               int64
}

func (t *tally) add(o inspected) {
	t.bytes += o.report.Bytes
	switch {
	case o.err != nil:
		t.unreadable++
	case o.report.Verdict == finding.Admit:
		t.admitted++
	case o.report.Verdict == finding.Refuse:
		t.refused++
	default:
		t.held++
	}
}

func (t tally) String() string {
	seconds := time.Since(t.start).Seconds()
	return fmt.Sprintf("%s, %s in %.1f s (%s/s): %d admitted, %d held, %d refused, %d could not be read",
		count(t.files(), "file"), size(t.bytes), seconds, size(int64(float64(t.bytes)/seconds)),
		t.admitted, t.held, t.refused, t.unreadable)
}

func (t tally) files() int { return t.admitted + t.held + t.refused + t.unreadable }

// exit is 2 if something could not be read, 1 if something was not admitted.
func (t tally) exit() error {
	switch {
	case t.unreadable > 0:
		return failure{2, nil}
	case t.held+t.refused > 0:
		return failure{1, nil}
	}
	return nil
}
