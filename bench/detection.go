package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// detection judges real files, of which none may be held, and hostile ones, of
// which none may pass, with `cordon inspect` and with clamd on whole files. clamd
// has signatures of every payload: what it misses, it did not reach.
func detection(ctx context.Context, b *bench) error {
	dirs := map[string]string{}
	for _, name := range []string{"real", "hostile", "clamd"} {
		dirs[name] = filepath.Join(b.dir, "detection", name)
		if err := os.MkdirAll(dirs[name], 0o700); err != nil {
			return err
		}
	}
	reals, err := realFiles(ctx, dirs["real"])
	if err != nil {
		return err
	}
	hostiles, payloads, err := hostileFiles(ctx, dirs["hostile"])
	if err != nil {
		return err
	}
	hsb, ndb := signatures(payloads)
	config, clamd, err := startClamd(ctx, dirs["clamd"], map[string]string{"detection.hsb": hsb, "detection.ndb": ndb})
	if err != nil {
		return err
	}
	defer clamd.stop()
	d := detectors{bench: b, ctx: ctx, clamd: config, socket: filepath.Join(dirs["clamd"], "clamd.sock")}
	return errors.Join(d.real(reals), d.hostile(hostiles))
}

// detectors are the programs that judge.
type detectors struct {
	*bench
	ctx           context.Context
	clamd, socket string
}

// real judges real files and returns an error if one is held that should not be.
func (d detectors) real(g *gatherer) error {
	own, err := d.inspect(g.specimens, "")
	if err != nil {
		return err
	}
	whole, err := d.scan(g.specimens)
	if err != nil {
		return err
	}
	var wrong, expected []string
	t := tally{}
	for _, s := range g.specimens {
		v := own[s.path]
		falsely := v.held() && !s.malformed
		t.count(s.class, true, v.held(), falsely, v.Verdict == "", whole[s.path] != "")
		switch {
		case falsely || v.Verdict == "":
			wrong = append(wrong, s.name+": "+v.reasons())
		case v.held() && s.class != madeOfMalformed:
			expected = append(expected, s.name+": "+v.reasons())
		}
	}
	d.table(fmt.Sprintf("real files (%d conversions refused by the tool, %d the same as a file that was there)", g.refused, g.same),
		t.rows("class", "files", "held", "false holds", "could not be read", "clamd, whole file"))
	list("held as expected: broken off, or a structure that is lost", expected)
	list("FALSE HOLDS", wrong)
	if len(wrong) > 0 {
		return fmt.Errorf("%d real files are held or could not be read", len(wrong))
	}
	return nil
}

// hostile judges hostile files and returns an error if one passes that need not.
func (d detectors) hostile(specimens []specimen) error {
	own, err := d.inspect(specimens, "")
	if err != nil {
		return err
	}
	whole, err := d.scan(specimens)
	if err != nil {
		return err
	}
	both, err := d.inspect(specimens, d.socket)
	if err != nil {
		return err
	}
	var missed []string
	limits := map[string][]string{} // by reason
	t := tally{}
	for _, s := range specimens {
		t.count(s.class, true, own[s.path].held(), whole[s.path] != "", both[s.path].held())
		switch {
		case s.class == wrappedClass && !both[s.path].held(), !own[s.path].held() && s.limit == "":
			missed = append(missed, s.name+": "+own[s.path].reasons())
		case !own[s.path].held():
			limits[s.limit] = append(limits[s.limit], s.name)
		}
	}
	d.table("hostile files, by place", t.rows("place", "files", "found by Cordon", "clamd, whole file", "Cordon with clamd on pieces"))
	for _, reason := range slices.Sorted(maps.Keys(limits)) {
		list("not found by Cordon alone, "+reason, limits[reason])
	}
	list("MISSED", missed)
	if len(missed) > 0 {
		return fmt.Errorf("%d hostile files pass", len(missed))
	}
	return nil
}

func list(title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Printf("\n%s: %d\n", title, len(lines))
	for _, line := range lines {
		fmt.Println("  " + line)
	}
}

// A verdict is what a line of `cordon inspect --json` says.
type verdict struct {
	Path, Verdict string
	Findings      []struct{ ID, Severity string }
}

func (v verdict) held() bool { return v.Verdict != "" && v.Verdict != "admit" }

func (v verdict) reasons() string {
	out := []string{v.Verdict}
	for _, f := range v.Findings {
		if reason := f.ID + " (" + f.Severity + ")"; !slices.Contains(out, reason) {
			out = append(out, reason)
		}
	}
	return strings.Join(out, ", ")
}

// inspect runs `cordon inspect`, with clamd as its engine if there is a socket,
// and returns its verdicts by path. What it could not read has none.
func (d detectors) inspect(specimens []specimen, socket string) (map[string]verdict, error) {
	argv := []string{"inspect", "--json"}
	if socket != "" {
		config := filepath.Join(d.dir, "engine.yaml")
		text := fmt.Sprintf("engines: {clamd: {address: 'unix:%s', timeout: 30s}}\n", socket)
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			return nil, err
		}
		argv = append(argv, "--config", config)
	}
	verdicts := map[string]verdict{}
	for some := range slices.Chunk(specimens, 500) { // a command line has its limits
		out, err := judged(exec.CommandContext(d.ctx, d.cordon, slices.Concat(argv, paths(some))...))
		if err != nil {
			return nil, fmt.Errorf("cordon inspect: %w", err)
		}
		for line := range strings.Lines(out) {
			var v verdict
			if err := json.Unmarshal([]byte(line), &v); err != nil {
				return nil, fmt.Errorf("cordon inspect: %w in %q", err, line)
			}
			verdicts[v.Path] = v
		}
	}
	return verdicts, nil
}

// scan asks clamd about whole files and returns the names of what it found.
func (d detectors) scan(specimens []specimen) (map[string]string, error) {
	hits := map[string]string{}
	for some := range slices.Chunk(specimens, 500) {
		argv := append([]string{"--config-file=" + d.clamd, "--fdpass", "--no-summary", "--stdout"}, paths(some)...)
		out, err := judged(exec.CommandContext(d.ctx, "clamdscan", argv...))
		if err != nil {
			return nil, fmt.Errorf("clamdscan: %w", err)
		}
		for line := range strings.Lines(out) {
			path, said, _ := strings.Cut(strings.TrimSpace(line), ": ")
			switch name, found := strings.CutSuffix(said, " FOUND"); {
			case found:
				hits[path] = name
			case said != "OK" && said != "Empty file":
				return nil, fmt.Errorf("clamdscan: %q", line)
			}
		}
	}
	return hits, nil
}

// judged runs a program whose exit code 1 says that something was found, and 2
// that something could not be read, and returns what it printed.
func judged(cmd *exec.Cmd) (string, error) {
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() <= 2 && exit.ExitCode() > 0 && len(out) > 0 {
		err = nil
	}
	return string(out), err
}

func paths(specimens []specimen) (paths []string) {
	for _, s := range specimens {
		paths = append(paths, s.path)
	}
	return paths
}

// A tally counts by class, in the order in which classes first come.
type tally struct {
	classes []string
	counts  map[string][]int
}

// count adds one to every column that is true.
func (t *tally) count(class string, columns ...bool) {
	if t.counts == nil {
		t.counts = map[string][]int{}
	}
	for _, name := range []string{class, totals} {
		counts, ok := t.counts[name]
		if !ok {
			counts = make([]int, len(columns))
			t.counts[name] = counts
			if name != totals {
				t.classes = append(t.classes, name)
			}
		}
		for i, yes := range columns {
			if yes {
				counts[i]++
			}
		}
	}
}

const totals = "all"

// rows are the cells of the table under a head.
func (t *tally) rows(head ...string) [][]string {
	rows := [][]string{head}
	for _, class := range append(slices.Clone(t.classes), totals) {
		row := []string{class}
		for _, n := range t.counts[class] {
			row = append(row, fmt.Sprint(n))
		}
		rows = append(rows, row)
	}
	return rows
}
