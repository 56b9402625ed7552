package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"cordon/disarm"
	"cordon/judge"
	"cordon/store"
)

type disarmCommand struct {
	Output string   `short:"o" required:"" placeholder:"DIR" help:"Folder for the new files, outside of every PATH; nothing there is written over."`
	JSON   bool     `help:"One JSON object a line."`
	Paths  []string `arg:"" name:"path" help:"DICOM files and folders."`
}

// disarmed is one file's outcome. The report and the size are those of the new
// file.
type disarmed struct {
	inspected
	output  string
	skipped bool // not a DICOM file: nothing was written
	disarm.Outcome
}

// Run writes a copy of every DICOM file without what needs no data set to be
// dangerous, and judges the copy: 0 if all are admitted now, 1 if some are still
// held or not DICOM, 2 if some could not be read or written.
func (c disarmCommand) Run(ctx context.Context, at place, std stdio) error {
	config, err := at.config()
	if err != nil {
		return err
	}
	for _, path := range c.Paths {
		if encloses(path, c.Output) {
			return failure{2, fmt.Errorf("%s is inside %s: choose a folder outside of what is disarmed", c.Output, path)}
		}
	}
	j, err := config.newJudge(config.Engines.scanners(), newInMemory, config.settings)
	if err != nil {
		return failure{2, err}
	}
	d := disarming{command: c, std: std, bar: newProgress(std), judge: j, tally: tally{start: time.Now()}}
	go measure(c.Paths, 2, d.bar) // ends with its walk; the process does not wait for it
	walk(c.Paths, func(path string) error {
		d.done(d.file(ctx, path))
		return ctx.Err()
	}, func(path string, err error) {
		d.done(disarmed{inspected: inspected{path: path, err: err}})
	})
	if ctx.Err() != nil {
		return failure{2, fmt.Errorf("interrupted: %s", d.summary())}
	}
	if !c.JSON {
		fmt.Fprintln(std.out, d.summary())
	}
	if err := d.tally.exit(); err != nil || d.skipped == 0 {
		return err
	}
	return failure{1, nil}
}

// encloses reports whether the folder dir is path, or inside it, links followed
// as far as there is something.
func encloses(path, dir string) bool {
	rel, err := filepath.Rel(resolved(path), resolved(dir))
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// resolved is the absolute path without links of what may not be there yet.
func resolved(path string) string {
	path, _ = filepath.Abs(path) // it fails without a working directory; then encloses is false
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	parent := filepath.Dir(path)
	if parent == path {
		return path
	}
	return filepath.Join(resolved(parent), filepath.Base(path))
}

// disarming is one run of disarm.
type disarming struct {
	command disarmCommand
	std     stdio
	bar     *progress
	judge   *judge.Judge
	tally   tally
	skipped int
	changed int // files of which something was removed
}

// file disarms one file and judges what was written.
func (d *disarming) file(ctx context.Context, path string) disarmed {
	out := disarmed{inspected: inspected{path: path}, output: filepath.Join(d.command.Output, d.command.relative(path))}
	f, size, err := openFile(path)
	if err != nil {
		out.err = err
		return out
	}
	defer f.Close()
	defer d.bar.add(1, 0)
	if out.err = store.MakeDir(filepath.Dir(out.output)); out.err != nil {
		return out
	}
	out.Outcome, err = disarm.File(meterAt{ctx, f, d.bar}, size, out.output)
	switch {
	case errors.Is(err, disarm.ErrNotDICOM):
		out.skipped = true
		return out
	case errors.Is(err, fs.ErrExist):
		err = fmt.Errorf("%s is there already: choose another folder, or remove it", out.output)
	}
	if err != nil {
		out.err = fmt.Errorf("%s: %w", path, err)
		return out
	}
	judged := inspectFile(ctx, d.judge, out.output, nil)
	out.report, out.err = judged.report, judged.err
	return out
}

// relative is where a file of the walk goes in the output: under the last name
// of the argument that it was found by, as cp -r has it.
func (c disarmCommand) relative(path string) string {
	for _, root := range c.Paths {
		rel, err := filepath.Rel(root, path)
		if err == nil && filepath.IsLocal(rel) {
			name := strings.TrimPrefix(filepath.Base(filepath.Clean("/"+root)), "/") // none for the root, . and ..
			return filepath.Join(name, rel)
		}
	}
	return filepath.Base(path)
}

func (d *disarming) done(o disarmed) {
	d.bar.clear()
	if o.skipped {
		d.skipped++
		fmt.Fprintf(d.std.err, "cordon: not written: %s: not a DICOM file\n", printable(o.path))
		return
	}
	d.tally.add(o.inspected)
	if len(o.Removed) > 0 {
		d.changed++
	}
	switch {
	case o.err != nil:
		fmt.Fprintf(d.std.err, "cordon: not disarmed: %s\n", printable(o.err.Error()))
	case d.command.JSON:
		json.NewEncoder(d.std.out).Encode(disarmLineOf(o))
	default:
		o.print(d.std.out)
	}
}

func (d *disarming) summary() string {
	return fmt.Sprintf("%d of %s had something removed, %d not DICOM; after disarming: %s", d.changed, count(d.tally.files(), "file"), d.skipped, d.tally)
}

func (o disarmed) print(w io.Writer) {
	fmt.Fprintf(w, "%-6s  %s\n", o.report.Verdict, printable(o.output))
	for _, r := range o.Removed {
		fmt.Fprintf(w, "        removed: %s, %s at byte %d\n", r.What, count(int(r.Bytes), "byte"), r.Offset)
	}
	if len(o.Removed) == 0 {
		fmt.Fprint(w, "        nothing to remove\n")
	}
	fmt.Fprintf(w, "        data set unchanged: %s, SHA-256 %s\n", count(int(o.DataSet.Bytes), "byte"), o.DataSet)
	fmt.Fprintf(w, "        pixel data unchanged: %s, SHA-256 %s\n", count(int(o.PixelData.Bytes), "byte"), o.PixelData)
	printFindings(w, "        ", worthShowing(o.report.Findings))
}

// disarmLine is the line that --json prints for a file: the judgement of the new
// file, and how it came to be.
type disarmLine struct {
	inspection
	Output    string           `json:"output"`
	Removed   []disarm.Removal `json:"removed"`
	DataSet   digestLine       `json:"data_set"`
	PixelData digestLine       `json:"pixel_data"`
}

// digestLine is a digest that is the same in the original and in the new file.
type digestLine struct {
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

func disarmLineOf(o disarmed) disarmLine {
	return disarmLine{
		inspection: inspectLine(o.inspected),
		Output:     o.output,
		Removed:    append([]disarm.Removal{}, o.Removed...), // [] rather than null
		DataSet:    digestLine{o.DataSet.Bytes, o.DataSet.String()},
		PixelData:  digestLine{o.PixelData.Bytes, o.PixelData.String()},
	}
}
