package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"time"

	figures "cordon/console/report"
	"cordon/console/route"
	"cordon/history"
)

// reportRoutes are the routes of the page for management.
func (p *parts) reportRoutes(c Config) []route.Route {
	return figures.Routes(figures.Parts{
		Site: c.Site, Version: version, Search: p.search, Ledger: p.ledger, Register: p.devices, Custody: p.custody, Reviews: p.reviews,
		Engines: p.reportEngines, Monitored: p.monitored, Past: c.past(), View: p.view,
		Contained: p.containedNow, Latency: p.verdictLatency,
	})
}

// reportEngines say how the scanners stand.
func (p *parts) reportEngines(ctx context.Context) (out []figures.Engine) {
	limit := p.settings.Now().SignatureAge
	for _, s := range p.engineStates(ctx) {
		old := !s.SignaturesAt.IsZero() && time.Since(s.SignaturesAt) > limit
		out = append(out, figures.Engine{Name: s.Name, Up: s.Up, SignaturesAt: s.SignaturesAt, Old: old})
	}
	return out
}

// monitored are the devices of which nothing is held.
func (p *parts) monitored() (out []string) {
	for _, d := range p.devices.Devices() {
		if d.Monitor {
			out = append(out, d.Name)
		}
	}
	return out
}

// containedNow are the devices that are contained.
func (p *parts) containedNow(ctx context.Context) (out []string, err error) {
	all, err := p.contained.List(ctx)
	for _, c := range all {
		if c.Over.IsZero() {
			out = append(out, c.Device)
		}
	}
	return out, err
}

// verdictLatency is how long verdicts took, by the hour.
func (p *parts) verdictLatency(ctx context.Context, from, to time.Time) (l figures.Latency, err error) {
	points, err := p.history.Points(ctx, "latency.p95", from, to, history.Hour)
	for _, one := range points {
		l.P95 += one.Mean
	}
	if l.Hours = len(points); l.Hours > 0 {
		l.P95 /= float64(l.Hours)
	}
	return l, err
}

// past says what becomes of connections while Cordon is down.
func (c Config) past() figures.Past {
	if c.Deadman == nil {
		return figures.Past{Says: "If Cordon goes down, devices cannot send until it is back; they keep their images and try again."}
	}
	return figures.Past{Armed: true, Says: fmt.Sprintf("If Cordon does not answer for %s, connections are led straight to archive %s, uninspected, with an alarm, until it is back.", c.Deadman.After, c.Deadman.Archive)}
}

type reportCommand struct {
	Month   string `placeholder:"2026-01" help:"The month; this one if nothing is given."`
	Quarter string `placeholder:"2026-Q1" help:"The quarter."`
	From    string `placeholder:"DAY" help:"First day, with --to."`
	To      string `placeholder:"DAY" help:"Last day."`
	CSV     bool   `name:"csv" help:"A figure a line, for a spreadsheet."`
	JSON    bool   `help:"One JSON object."`
	PDF     string `name:"pdf" placeholder:"FILE" help:"For paper, into a file; no file may be there."`
}

// query is the period as the interface takes it.
func (c reportCommand) query() string {
	out := ""
	for _, p := range [][2]string{{"month", c.Month}, {"quarter", c.Quarter}, {"from", c.From}, {"to", c.To}} {
		if p[1] != "" {
			out += "&" + p[0] + "=" + p[1]
		}
	}
	return strings.Replace(out, "&", "?", 1)
}

func (c reportCommand) Run(ctx context.Context, at place, std stdio) error {
	return withControl(ctx, at, func(control *control) error {
		switch {
		case c.CSV:
			return copyReport(ctx, control, "report.csv"+c.query(), std.out)
		case c.PDF != "":
			return createNew(c.PDF, func(w io.Writer) error { return copyReport(ctx, control, "report.pdf"+c.query(), w) })
		}
		var r figures.Report
		if err := control.get(ctx, "report"+c.query(), &r); err != nil {
			return err
		}
		if c.JSON {
			return json.NewEncoder(std.out).Encode(r)
		}
		return printReport(std.out, r)
	})
}

// copyReport writes a report as Cordon made it.
func copyReport(ctx context.Context, control *control, path string, w io.Writer) error {
	answer, err := control.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer answer.Close()
	_, err = io.Copy(w, answer)
	return err
}

func printReport(w io.Writer, r figures.Report) error {
	fmt.Fprintf(w, "%s, %s\n", printable(r.Site), r.Period.Name)
	for _, s := range r.Says {
		fmt.Fprint(w, wrap("  ", printable(s)))
	}
	table := newTable(w)
	for _, s := range r.Sections {
		fmt.Fprintf(table, "\n%s\t%s\tBEFORE\t\t\n", s.Title, strings.ToUpper(r.Period.ID))
		for _, f := range s.Figures {
			mark := map[figures.State]string{figures.Look: "look", figures.Unknown: "unknown"}[f.State]
			fmt.Fprintf(table, "  %s\t%s\t%s\t%s\t%s\n", f.Label, figureText(f.Value, f.Unit), figureText(f.Before, ""), mark, printable(f.Note))
		}
	}
	return table.Flush()
}

// figureText is a value with its unit; what is not known has none.
func figureText(v *float64, unit string) string {
	if v == nil {
		return "-"
	}
	digits := 1
	if *v == math.Trunc(*v) {
		digits = 0
	}
	return strings.TrimSpace(fmt.Sprintf("%.*f %s", digits, *v, unit))
}
