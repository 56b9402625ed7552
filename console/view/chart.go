package view

import (
	"encoding/json"
	"strconv"
	"time"
)

// Chart is a plot over time, which is a table as well: {{template "chart" .D.Traffic}}.
type Chart struct {
	ID     string // of the page
	Title  string
	Unit   string // of the values: "images a minute"
	Times  []time.Time
	Series []Series
}

// Series is one line of a chart: as many values as the chart has times; nil, or a
// missing one at the end, is a gap.
type Series struct {
	Name   string
	Dashed bool // told from others by more than its colour
	Values []*float64
}

// JSON is the chart for the browser: seconds since 1970, then the values.
func (c Chart) JSON() (string, error) {
	type series struct {
		Name   string     `json:"name"`
		Dashed bool       `json:"dashed,omitempty"`
		Values []*float64 `json:"values"`
	}
	out := struct {
		Unit   string   `json:"unit"`
		Title  string   `json:"title"`
		Times  []int64  `json:"times"`
		Series []series `json:"series"`
	}{Unit: c.Unit, Title: c.Title, Times: []int64{}}
	for _, t := range c.Times {
		out.Times = append(out.Times, t.Unix())
	}
	for _, s := range c.Series {
		out.Series = append(out.Series, series(s))
	}
	text, err := json.Marshal(out)
	return string(text), err
}

// Row is one line of the chart's table.
type Row struct {
	At     string
	Values []string
}

// Rows are the table, the latest first.
func (c Chart) Rows() []Row {
	var out []Row
	for i := len(c.Times) - 1; i >= 0; i-- {
		r := Row{At: c.label(c.Times[i])}
		for _, s := range c.Series {
			if i < len(s.Values) && s.Values[i] != nil {
				r.Values = append(r.Values, strconv.FormatFloat(*s.Values[i], 'g', 4, 64))
			} else {
				r.Values = append(r.Values, "–")
			}
		}
		out = append(out, r)
	}
	return out
}

// label is a time as the table says it: with its day where there are several.
func (c Chart) label(at time.Time) string {
	if last := c.Times[len(c.Times)-1]; last.Sub(c.Times[0]) < 20*time.Hour {
		return at.Local().Format("15:04")
	}
	return at.Local().Format("2006-01-02 15:04")
}
