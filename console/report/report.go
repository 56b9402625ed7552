// Package report is one page for management and auditors: are we covered, what came
// in, does imaging flow, who looked, and what happens if Cordon goes down. Every
// figure says where it is from and leads to its evidence.
//
//	all = append(all, report.Routes(report.Parts{Site: site, Search: index, Register: devices, …})...)
//
// A report is of a month, a quarter, or any period, beside the one before. It is
// computed when it is asked for, from the ledger's index, a few of its records and
// the present state; a figure that cannot be had says so. It is the same as a page,
// as PDF, as CSV and as JSON, and names no patient.
//
// It will not say that a site complies with anything; package evidence makes signed
// packs, control by control.
package report

import (
	"context"
	"encoding/csv"
	"fmt"
	"net/http"
	"time"

	"cordon/asset"
	"cordon/console/answer"
	"cordon/console/route"
	"cordon/console/view"
	"cordon/custody"
	"cordon/ledger"
	"cordon/ledger/search"
	"cordon/monoculture"
	"cordon/people"
	"cordon/review"
)

// Parts are what a report is made of. What may be nil is then said to be unknown.
type Parts struct {
	Site     string
	Version  string
	Search   *search.Index
	Ledger   *ledger.Ledger
	Register *asset.Register
	Custody  *custody.Custody
	Reviews  *review.Reviews

	Engines   func(context.Context) []Engine
	Monitored func() []string                                                // devices in monitor mode: nothing of theirs is held
	Contained func(context.Context) ([]string, error)                        // devices that are contained now; may be nil
	Latency   func(ctx context.Context, from, to time.Time) (Latency, error) // of verdicts; may be nil
	Past      Past
	View      *view.View
}

// Engine is how one scanner stands.
type Engine struct {
	Name         string
	Up           bool
	SignaturesAt time.Time // zero if it does not say
	Old          bool      // older than they may be
}

// Latency is how long verdicts took: 95 of 100 at most so many milliseconds, on
// average over the hours in which it was measured.
type Latency struct {
	P95   float64
	Hours int
}

// Past is what happens while Cordon is down.
type Past struct {
	Armed bool
	Says  string // what connections then do, in a sentence
}

// Report is a period in figures.
type Report struct {
	Site     string    `json:"site"`
	Version  string    `json:"version"`
	Period   Period    `json:"period"`
	Before   Period    `json:"before"` // what it is compared with
	MadeAt   time.Time `json:"made_at"`
	MadeBy   string    `json:"made_by,omitempty"`
	Says     []string  `json:"says"` // the answers, a sentence each
	Sections []Section `json:"sections"`

	Monoculture monoculture.Report `json:"monoculture"`

	Records     int64  `json:"records"` // of the ledger that it rests on
	Fingerprint string `json:"fingerprint"`
}

// Section answers one question.
type Section struct {
	ID      string   `json:"id"`
	Title   string   `json:"title"`
	Figures []Figure `json:"figures"`
}

// State is how a figure stands.
type State string

const (
	Fact    State = "fact"    // nothing is asked of it
	Good    State = "good"    //
	Look    State = "look"    // somebody should
	Unknown State = "unknown" // it cannot be had
)

// Figure is one number with where it is from.
type Figure struct {
	ID     string   `json:"id"`
	Label  string   `json:"label"`
	Value  *float64 `json:"value"`          // nil: unknown
	Word   string   `json:"word,omitempty"` // instead of the value, for people
	Unit   string   `json:"unit,omitempty"`
	Before *float64 `json:"before,omitempty"` // in the period before; nil where that cannot be
	State  State    `json:"state"`
	Note   string   `json:"note,omitempty"`
	Source string   `json:"source"`
	Link   string   `json:"link,omitempty"` // to its evidence, in this console
}

// Routes are the routes of the report.
func Routes(p Parts) []route.Route {
	period := []route.Param{
		{Name: "month", Summary: "2026-01; this month if nothing is given", Example: "2026-01"},
		{Name: "quarter", Summary: "2026-Q1", Example: "2026-Q1"},
		{Name: "from", Summary: "a day; with to", Example: "2026-01-01"},
		{Name: "to", Summary: "the last day", Example: "2026-01-31"},
	}
	return append(pageRoutes(p), []route.Route{
		{Method: "GET", Pattern: "/api/v1/report", May: people.ReportRead, Handler: p.json, Doc: route.Doc{
			Summary: "The report of a period, in figures with their sources", Response: Report{}, Query: period}},
		{Method: "GET", Pattern: "/api/v1/report.csv", May: people.ReportRead, Handler: p.csv, Doc: route.Doc{
			Summary: "The same, a figure a line", Media: "text/csv", Query: period}},
		{Method: "GET", Pattern: "/api/v1/report.pdf", May: people.ReportRead, Handler: p.pdf, Doc: route.Doc{
			Summary: "The same, for paper", Media: "application/pdf", Query: period}},
	}...)
}

// made makes the report that a request asks for.
func (p Parts) made(r *http.Request) (Report, error) {
	now := time.Now()
	period, err := readPeriod(r.URL.Query(), now)
	if err != nil {
		return Report{}, err
	}
	return p.Make(r.Context(), period, answer.Caller(r), now)
}

func (p Parts) json(w http.ResponseWriter, r *http.Request) {
	made, err := p.made(r)
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	answer.JSON(w, made)
}

func (p Parts) csv(w http.ResponseWriter, r *http.Request) {
	made, err := p.made(r)
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="cordon-report-`+made.Period.ID+`.csv"`)
	made.writeCSV(csv.NewWriter(w))
}

// writeCSV writes a figure a line. An error means that the reader has gone.
func (r Report) writeCSV(out *csv.Writer) error {
	out.Write([]string{"section", "figure", "value", "before", "unit", "state", "note", "source", "from", "to"})
	from, to := r.Period.From.Format(time.RFC3339), r.Period.To.Format(time.RFC3339)
	for _, s := range r.Sections {
		for _, f := range s.Figures {
			out.Write([]string{s.ID, f.ID, plain(f.Value), plain(f.Before), f.Unit, string(f.State), f.Note, f.Source, from, to})
		}
	}
	out.Flush()
	return out.Error()
}

// plain is a number for programs; "" for none.
func plain(v *float64) string {
	if v == nil {
		return ""
	}
	return fmt.Sprintf("%.4g", *v)
}
