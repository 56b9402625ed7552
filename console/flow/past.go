package flow

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"cordon/console/view"
	"cordon/history"
)

// deviceSeries is how the names of the series of devices begin; see history.
const deviceSeries = "device."

const (
	cellSpan = 15 * time.Minute
	cells    = int(24 * time.Hour / cellSpan)
)

// span is a time that the charts show, in steps that each have a point.
type span struct {
	Name, Key string // of the address, of its words
	all, step time.Duration
	of        history.Step
}

// spans are those to choose from; the first is shown unless one is chosen.
var spans = []span{
	{"hour", "flow.span_hour", time.Hour, time.Minute, history.Minute},
	{"shift", "flow.span_shift", 8 * time.Hour, 10 * time.Minute, history.Minute},
	{"day", "flow.span_day", 24 * time.Hour, 30 * time.Minute, history.Minute},
	{"month", "flow.span_month", 30 * 24 * time.Hour, 12 * time.Hour, history.Hour},
}

// line is one series of a chart, and how its points are joined to one.
type line struct {
	series, name string
	joined       func(before float64, p history.Point) float64
	dashed, gaps bool // gaps: where nothing was measured there is no value, else 0
}

// plots are the charts of the page, with the keys of their words.
var plots = []struct {
	id, title, unit string
	each            bool // the unit names the step
	lines           []line
}{
	{"traffic", "flow.traffic", "flow.per_step", true, []line{
		{"objects.received", "flow.received", counted, false, false}, {"objects.delivered", "flow.taken", counted, true, false}, {"objects.sent", "flow.sent_out", counted, true, false},
	}},
	{"findings", "flow.findings", "flow.per_step", true, []line{
		{"objects.held", "flow.held", counted, false, false}, {"objects.refused", "flow.refused", counted, true, false},
	}},
	{"latency", "flow.latency", "flow.ms", false, []line{
		{"latency.p50", "flow.p50", measured, false, true}, {"latency.p95", "flow.p95", measured, true, true},
	}},
	{"queue", "flow.queue_age", "flow.minutes", false, []line{
		{"queue.oldest", "flow.oldest", minutes, false, false},
	}},
}

// charts are all plots over the span of a name, or the first one.
func (s *pages) charts(ctx context.Context, now time.Time, name string) ([]view.Chart, string, error) {
	long := spans[max(0, slices.IndexFunc(spans, func(v span) bool { return v.Name == name }))]
	from := now.Add(-long.all).Truncate(long.step)
	if long.step > time.Minute {
		from = from.Add(long.step) // the step that runs has something already; a minute has it when it is over
	}
	n := int(long.all / long.step)
	var out []view.Chart
	for _, p := range plots {
		c := view.Chart{ID: p.id, Title: s.View.Text(p.title), Unit: s.View.Text(p.unit)}
		if p.each {
			c.Unit = s.View.Text(p.unit, view.Span(long.step))
		}
		for i := range n {
			c.Times = append(c.Times, from.Add(time.Duration(i)*long.step))
		}
		for _, l := range p.lines {
			points, err := s.History.Points(ctx, l.series, from, now.Add(time.Minute), long.of)
			if err != nil {
				return nil, "", err
			}
			c.Series = append(c.Series, view.Series{Name: s.View.Text(l.name), Dashed: l.dashed, Values: l.values(points, from, long.step, n)})
		}
		out = append(out, c)
	}
	return out, long.Name, nil
}

// values are one for each step: what was counted is added up, of what was measured
// the most is taken.
func (l line) values(points []history.Point, from time.Time, step time.Duration, n int) []*float64 {
	out := make([]*float64, n)
	if !l.gaps {
		for i := range out {
			out[i] = new(float64)
		}
	}
	for _, p := range points {
		i := int(p.At.Sub(from) / step)
		if i < 0 || i >= n {
			continue
		}
		if out[i] == nil {
			out[i] = new(float64)
		}
		*out[i] = l.joined(*out[i], p)
	}
	return out
}

func counted(sum float64, p history.Point) float64  { return sum + p.Sum }
func measured(top float64, p history.Point) float64 { return max(top, p.Most) }
func minutes(top float64, p history.Point) float64  { return max(top, p.Most/60) }

// strips are the last 24 hours of each device, a row of cells each.
type strips struct {
	Rows  []strip
	Hours []string // of the table: when each begins
	Most  float64  // in one cell
	Past  int      // devices that there is no room for
}

type strip struct {
	Name  string
	Heat  [heats]string // the cells of each heat but the first, as the path of an SVG
	Hours []float64     // the same by the hour, for the table
}

const (
	cellWidth = 7
	heats     = 5
	maxStrips = 60
)

// warm is the share of the most beyond which a cell has each heat.
var warm = [heats]float64{1: 0, 2: 0.05, 3: 0.25, 4: 0.6}

func (s *pages) strips(rows []device) (out strips) {
	out.Past = max(0, len(rows)-maxStrips)
	for _, r := range rows[:len(rows)-out.Past] {
		for _, v := range s.slow.strips[r.Title] {
			out.Most = max(out.Most, v)
		}
	}
	for i := 0; i < cells; i += 4 {
		out.Hours = append(out.Hours, s.slow.from.Add(time.Duration(i)*cellSpan).Local().Format("15:04"))
	}
	for _, r := range rows[:len(rows)-out.Past] {
		out.Rows = append(out.Rows, newStrip(r.Title, s.slow.strips[r.Title], out.Most))
	}
	slices.SortStableFunc(out.Rows, func(a, b strip) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

func newStrip(name string, values []float64, most float64) strip {
	s := strip{Name: name, Hours: make([]float64, cells/4)}
	for i, v := range values {
		heat := 0
		for heat < heats-1 && v > warm[heat+1]*most {
			heat++
		}
		if heat > 0 {
			s.Heat[heat] += fmt.Sprintf("M%d 8h%d", i*cellWidth, cellWidth-1)
		}
		s.Hours[i/4] += v
	}
	return s
}

// Width is how wide a strip is drawn.
func (s strips) Width() int { return cells * cellWidth }
