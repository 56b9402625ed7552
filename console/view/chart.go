package view

import (
	"encoding/json"
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

// Series is one line of a chart: as many values as the chart has times; NaN, or a
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
	At     time.Time
	Values []*float64
}

// maxRows is how many times the table shows; the chart shows all.
const maxRows = 60

// Rows are the table, the latest first. More times than it shows are thinned out evenly.
func (c Chart) Rows() []Row {
	step := max(1, (len(c.Times)+maxRows-1)/maxRows)
	var out []Row
	for i := len(c.Times) - 1; i >= 0; i -= step {
		r := Row{At: c.Times[i]}
		for _, s := range c.Series {
			var v *float64
			if i < len(s.Values) {
				v = s.Values[i]
			}
			r.Values = append(r.Values, v)
		}
		out = append(out, r)
	}
	return out
}
