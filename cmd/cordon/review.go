package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"cordon/console"
	"cordon/review"
)

type reviewCommand struct {
	List reviewListCommand `cmd:"" help:"What waits for a signature, what is overdue, what was signed."`
	Show reviewShowCommand `cmd:"" help:"One review: what was unusual, by device and by person."`
	Sign reviewSignCommand `cmd:"" help:"Say that you have looked at it, and what you make of it."`
}

type reviewListCommand struct {
	JSON bool `help:"One JSON object a line."`
}

// Run lists the latest first.
func (c reviewListCommand) Run(ctx context.Context, at place, std stdio) error {
	control, err := at.control(ctx)
	if err != nil {
		return err
	}
	defer control.close()
	encoder, table, n := json.NewEncoder(std.out), newTable(std.out), 0
	err = each(ctx, control, "review", func(r review.Review) error {
		if c.JSON {
			return encoder.Encode(r)
		}
		if n++; n == 1 {
			fmt.Fprint(table, "ID\tTO\tUNUSUAL\tSTATE\tDUE\tSIGNED BY\n")
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%s\t%s\n", r.ID, lastDay(r), r.Unusual, reviewState(r), r.Due.Local().Format(time.DateOnly), or(printable(r.SignedBy), "-"))
		return nil
	})
	table.Flush()
	if err == nil && n == 0 && !c.JSON {
		fmt.Fprintln(std.out, "none yet; the first is made when its period is over")
	}
	return err
}

func lastDay(r review.Review) string {
	return r.To.Add(-time.Second).Local().Format(time.DateOnly)
}

func reviewState(r review.Review) string {
	switch {
	case !r.SignedAt.IsZero():
		return "signed"
	case r.Overdue(time.Now()):
		return "OVERDUE"
	}
	return "waiting"
}

type reviewShowCommand struct {
	ID   string `arg:"" help:"The review, as review list shows it."`
	JSON bool   `help:"One JSON object."`
}

func (c reviewShowCommand) Run(ctx context.Context, at place, std stdio) error {
	control, err := at.control(ctx)
	if err != nil {
		return err
	}
	defer control.close()
	var r review.Review
	if err := control.get(ctx, reviewPath(c.ID), &r); err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(std.out).Encode(r)
	}
	printReview(std.out, r)
	return nil
}

func reviewPath(id string) string { return "review/" + url.PathEscape(id) }

func printReview(w io.Writer, r review.Review) {
	fmt.Fprintf(w, "%s to %s, records %d to %d, compared with %d periods before\n", r.ID, lastDay(r), r.First, max(r.First, r.End-1), r.Compare)
	if r.SignedAt.IsZero() {
		fmt.Fprintf(w, "%s: %s signs it by %s: cordon review sign %s --as NAME --reason TEXT\n", reviewState(r), or(printable(r.Owner), "somebody"), r.Due.Local().Format(time.DateOnly), r.ID)
	} else {
		fmt.Fprintf(w, "signed by %s on %s: %s\n", printable(r.SignedBy), moment(r.SignedAt), printable(r.Note))
	}
	if len(r.Items) == 0 {
		fmt.Fprintln(w, "\nnothing unusual")
	}
	why := map[string]string{}
	for _, rule := range review.Rules() {
		why[rule.ID] = rule.Why
	}
	last := ""
	for _, i := range r.Items {
		if i.Rule != last {
			last = i.Rule
			fmt.Fprintf(w, "\n%s\n%s", i.Rule, wrap("  ", why[i.Rule]))
		}
		fmt.Fprintf(w, "  - %s%s\n", printable(i.Says), recordsText(i.Records))
	}
	printActivity(w, r)
}

// recordsText names some of the records.
func recordsText(seqs []int64) string {
	if len(seqs) == 0 {
		return ""
	}
	return " Records " + strings.Trim(strings.Join(strings.Fields(fmt.Sprint(seqs)), ", "), "[]") + "."
}

// printActivity sums up devices and people.
func printActivity(w io.Writer, r review.Review) {
	t := newTable(w)
	if len(r.Devices) > 0 {
		fmt.Fprint(t, "\nDEVICE\tOBJECTS\tUSUALLY\tHELD\tREFUSED\tASSOCIATIONS\tREJECTED\n")
	}
	for _, d := range r.Devices {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%d\n", printable(d.Name), d.Objects, d.Usual, d.Held, d.Refused, d.Associations, d.Rejected)
	}
	if len(r.People) > 0 {
		fmt.Fprint(t, "\nPERSON\tACTS\n")
	}
	for _, p := range r.People {
		var acts []string
		for _, kind := range slices.Sorted(maps.Keys(p.Acts)) {
			acts = append(acts, fmt.Sprintf("%s %d", kind, p.Acts[kind]))
		}
		fmt.Fprintf(t, "%s\t%s\n", printable(p.Name), strings.Join(acts, ", "))
	}
	t.Flush()
}

type reviewSignCommand struct {
	ID     string `arg:"" help:"The review, as review list shows it."`
	As     string `required:"" placeholder:"NAME" help:"Who you are; recorded."`
	Reason string `required:"" placeholder:"TEXT" help:"What you make of it; recorded. Write no patient data."`
	JSON   bool   `help:"One JSON object."`
}

func (c reviewSignCommand) Run(ctx context.Context, at place, std stdio) error {
	control, err := at.control(ctx)
	if err != nil {
		return err
	}
	var r review.Review
	err = control.ask(ctx, http.MethodPost, reviewPath(c.ID)+"/sign", console.VaultRequest{By: c.As, Reason: c.Reason}, &r)
	if closed := control.close(); err == nil {
		err = closed
	}
	switch {
	case err != nil:
	case c.JSON:
		err = json.NewEncoder(std.out).Encode(r)
	default:
		fmt.Fprintf(std.out, "%s signed by %s\n", r.ID, printable(r.SignedBy))
	}
	return err
}
