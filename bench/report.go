package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"time"
)

// The page and the plot that compare writes, from the root of the source tree.
const (
	performancePage = "docs/performance.md"
	performancePlot = "docs/performance.svg"
)

// What compare writes stands between these lines of the page.
const (
	figuresBegin = "<!-- figures: go run ./bench -write compare -->\n"
	figuresEnd   = "<!-- end of figures -->\n"
)

// publish puts the figures into the page and draws the plot.
func (r *comparison) publish(text string) error {
	page, err := os.ReadFile(performancePage)
	if err != nil {
		return err
	}
	before, rest, begun := bytes.Cut(page, []byte(figuresBegin))
	_, behind, ended := bytes.Cut(rest, []byte(figuresEnd))
	if !begun || !ended {
		return fmt.Errorf("%s: the lines %q and %q are not there", performancePage, figuresBegin, figuresEnd)
	}
	page = append(append(bytes.Clone(before), figuresBegin+"\n"+text+"\n"+figuresEnd...), behind...)
	if err := os.WriteFile(performancePage, page, 0o644); err != nil {
		return err
	}
	return os.WriteFile(performancePlot, r.plot(), 0o644)
}

// markdown is all that was found.
func (r *comparison) markdown() string {
	var b strings.Builder
	form := "short form"
	if r.full {
		form = "full form"
	}
	fmt.Fprintf(&b, "%s, senders and archives included; %s, %s, %.0f minutes.\n\n", machine(), time.Now().UTC().Format("2006-01-02 15:04 UTC"), form, r.took.Minutes())
	writeTable(&b, []string{"target", "wanted", "measured", ""}, r.verdicts())
	var rows [][]string
	for _, o := range r.outcomes {
		rows = append(rows, o.cells())
	}
	writeTable(&b, []string{"sender", "archive", "sockets", "associations", "object", "direct objects/s", "through", "through MB/s", "through ÷ direct"}, rows)
	rows = nil
	for _, d := range r.latency {
		row := []string{fmt.Sprint(d.associations), fmt.Sprintf("%.0f", d.rate)}
		for i := range 2 {
			row = append(row, fmt.Sprintf("%.2f", d.direct[i]), fmt.Sprintf("%.2f", d.through[i]), fmt.Sprintf("%.2f", d.added(i)))
		}
		rows = append(rows, row)
	}
	writeTable(&b, []string{"associations", "images/s", "p50 direct ms", "through", "added", "p99 direct ms", "through", "added"}, rows)
	if r.growth.records > 0 {
		fmt.Fprintf(&b, "The full house was ready and idle %.0f s after its start.\n\n", r.growth.settled.Seconds())
	}
	rows = nil
	for _, m := range r.resident {
		rows = append(rows, []string{m.load, mebibytes(m.idle), mebibytes(m.above)})
	}
	writeTable(&b, []string{"memory of `cordon up`", "idle MiB", "peak above idle MiB"}, rows)
	if r.reuse.direct == 0 {
		return b.String()
	}
	writeTable(&b, []string{"one modality that associates for each image, to `storescp --fork`", "images/s"}, [][]string{
		{"direct", fmt.Sprintf("%.0f", r.reuse.direct)},
		{"through, the archive's association waits for the next", fmt.Sprintf("%.0f", r.reuse.kept)},
		{"through, `reuse: false`", fmt.Sprintf("%.0f", r.reuse.each)},
	})
	return b.String()
}

func writeTable(b *strings.Builder, head []string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(b, "| %s |\n|%s\n", strings.Join(head, " | "), strings.Repeat("---|", len(head)))
	for _, row := range rows {
		fmt.Fprintf(b, "| %s |\n", strings.Join(row, " | "))
	}
	b.WriteByte('\n')
}

func (o outcome) cells() []string {
	rate := func(n float64) string {
		if n < 10 {
			return fmt.Sprintf("%.2f", n)
		}
		return fmt.Sprintf("%.0f", n)
	}
	return []string{
		o.sender(), o.sink, o.sockets(), fmt.Sprint(o.associations), o.sample.name,
		rate(o.Direct), rate(o.Through), fmt.Sprintf("%.0f", o.Through*float64(o.sample.size)/1e6), fmt.Sprintf("%.2f", o.Ratio),
	}
}

// find is the outcome of a course with objects of 525 kB.
func (r *comparison) find(own bool, sink string, tuned bool, associations int) outcome {
	for _, o := range r.outcomes {
		if o.own == own && o.sink == sink && o.tuned == tuned && o.associations == associations && o.sample.name == "525 kB" {
			return o
		}
	}
	return outcome{}
}

// verdicts holds what was measured against each target.
func (r *comparison) verdicts() [][]string {
	var rows [][]string
	row := func(what, wanted, measured string, reached bool) {
		verdict := "missed"
		if reached {
			verdict = "reached"
		}
		rows = append(rows, []string{what, wanted, measured, verdict})
	}
	ratio := func(what string, least float64, o outcome) {
		if o.Rounds == 0 {
			return
		}
		row(what, fmt.Sprintf("≥ %.2f", least), fmt.Sprintf("%.2f", o.Ratio), o.Ratio >= least)
	}
	ratio("storescu, default sockets → Orthanc, through ÷ direct", 1.5, r.find(false, "Orthanc", false, 1))
	ratio("storescu, tuned → Orthanc, 1 association", 0.85, r.find(false, "Orthanc", true, 1))
	ratio("storescu, tuned → Orthanc, 4 associations", 0.95, r.find(false, "Orthanc", true, 4))
	ratio("storescu, tuned → storescp, 4 associations", 0.6, r.find(false, "storescp", true, 4))
	n := r.find(true, "null", true, 16)
	if n.Rounds > 0 {
		row("own generator → null sink, 16 associations", "≥ 500 images/s where direct ≥ 1,000", fmt.Sprintf("%.0f, direct %.0f", n.Through, n.Direct), n.Through >= 500 || n.Direct < 1000)
	}
	for _, way := range r.router {
		what := "through Cordon ÷ through Orthanc as a router (Lua), end to end, " + course{tuned: way.tuned}.sockets() + " sockets"
		row(what, "≥ 20", fmt.Sprintf("%.1f (%.0f to %.1f images/s)", way.ratio, way.cordon, way.orthanc), way.ratio >= 20)
	}
	for i, most := range []float64{2, 10} {
		if r.latency == nil {
			break
		}
		what := []string{"added latency, half load, p50", "the same, p99"}[i]
		var worst float64
		for _, d := range r.latency {
			worst = max(worst, d.added(i))
		}
		row(what, fmt.Sprintf("≤ %.0f ms", most), fmt.Sprintf("%.2f ms", worst), worst <= most)
	}
	if r.spooled.written > 0 {
		row("spool first: answers ÷ images that 16 writers make durable", "≥ 0.90", fmt.Sprintf("%.2f (%.0f to %.0f images/s)", r.spooled.ratio, r.spooled.answered, r.spooled.written), r.spooled.ratio >= 0.9)
	}
	for i, most := range []int64{256, 64} {
		if i < len(r.resident) {
			row("memory above idle, "+r.resident[i].load, fmt.Sprintf("≤ %d MiB", most), mebibytes(r.resident[i].above)+" MiB", r.resident[i].above <= most<<20)
		}
	}
	for _, associations := range []int{1, 4} {
		g, ok := r.growth.ratios[associations]
		if !ok {
			continue
		}
		row(fmt.Sprintf("time for an image at %d records and %d spooled ÷ empty, associations: %d", r.growth.records, r.growth.spooled, associations), "≤ 1.10", fmt.Sprintf("%.2f", g), g <= 1.1)
	}
	return rows
}
