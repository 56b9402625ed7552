package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	pagestudy "cordon/console/study"
	"cordon/whereabouts"
)

type studyCommand struct {
	Find studyFindCommand `cmd:"" help:"Where studies are, by what is known of them."`
	Show studyShowCommand `cmd:"" help:"Where one study is, series by series."`
}

type studyFindCommand struct {
	Study     string `placeholder:"UID" help:"Study Instance UID."`
	PatientID string `placeholder:"ID" help:"Patient ID, in full."`
	Accession string `placeholder:"NUMBER" help:"Accession number, in full."`
	Device    string `placeholder:"NAME" help:"The device that it came from."`
	From      string `placeholder:"DAY" help:"Heard of on that day or later: 2026-11-22."`
	To        string `placeholder:"DAY" help:"Heard of on that day or before."`
	Archives  bool   `help:"Ask the archives as well."`
	JSON      bool   `help:"One JSON object."`
}

// Run looks for studies. Who looked for what is recorded.
func (c studyFindCommand) Run(ctx context.Context, at place, std stdio) error {
	control, err := at.control(ctx)
	if err != nil {
		return err
	}
	defer control.close()
	var found pagestudy.Found
	q := pagestudy.Query{Study: c.Study, PatientID: c.PatientID, Accession: c.Accession, Device: c.Device, From: c.From, To: c.To, Archives: c.Archives}
	if err := control.ask(ctx, http.MethodPost, "studies", q, &found); err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(std.out).Encode(found)
	}
	if len(found.Studies) == 0 {
		fmt.Fprintln(std.out, "Cordon has heard of no such study")
	}
	t := newTable(std.out)
	for i, s := range found.Studies {
		if i == 0 {
			fmt.Fprint(t, "STUDY\tIMAGES\tWHERE\tFROM\tLAST HEARD OF\n")
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\n", printable(s.UID), s.Instances, printable(counted(s.Counts)), printable(or(s.Device, "-")), ago(s.Last))
	}
	t.Flush()
	printReplies(std.out, found.Archives)
	printBehind(std.out, found.Behind)
	return nil
}

// counted says where instances are.
func counted(counts []whereabouts.Count) string {
	var out []string
	for _, c := range counts {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%d %s %s", c.Instances, c.State, c.Archive)))
	}
	return strings.Join(out, ", ")
}

func printReplies(w io.Writer, replies []pagestudy.Reply) {
	for _, r := range replies {
		switch {
		case r.Error != "":
			fmt.Fprintf(w, "archive %s did not answer: %s\n", r.Archive, printable(r.Error))
		case len(r.Studies) == 0:
			fmt.Fprintf(w, "archive %s does not have it\n", r.Archive)
		}
		for _, m := range r.Studies {
			images := "an unknown number of images"
			if m.Instances >= 0 {
				images = fmt.Sprintf("%d images", m.Instances)
			}
			fmt.Fprintf(w, "archive %s has %s: %s, %s %s\n", r.Archive, printable(m.UID), images, printable(m.Date), printable(m.Description))
		}
	}
}

func printBehind(w io.Writer, n int64) {
	if n > 1000 {
		fmt.Fprintf(w, "the index is still being made: %d records of the ledger are not looked in yet\n", n)
	}
}

type studyShowCommand struct {
	UID      string `arg:"" help:"Study Instance UID."`
	Archives bool   `help:"Ask the archives as well."`
	JSON     bool   `help:"One JSON object."`
}

// Run tells where a study is. That somebody looked is recorded.
func (c studyShowCommand) Run(ctx context.Context, at place, std stdio) error {
	control, err := at.control(ctx)
	if err != nil {
		return err
	}
	defer control.close()
	path := "studies/" + url.PathEscape(c.UID)
	if c.Archives {
		path += "?archives=true"
	}
	var s pagestudy.Where
	if err := control.get(ctx, path, &s); err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(std.out).Encode(s)
	}
	fmt.Fprintf(std.out, "%s: %d images, %s\n", printable(s.UID), s.Instances, printable(counted(s.Counts)))
	t := newTable(std.out)
	for _, one := range s.Series {
		fmt.Fprintf(t, "  series %s\t%d\t%s\n", printable(or(one.UID, "-")), one.Instances, printable(counted(one.Counts)))
	}
	t.Flush()
	for _, o := range s.Waiting {
		fmt.Fprintf(std.out, "waits for %s since %s, tried %d times%s\n", o.Archive, ago(o.Since), o.Attempts, after(": ", printable(o.LastError)))
	}
	printReplies(std.out, s.Asked)
	printBehind(std.out, s.Behind)
	return nil
}

// after is a text with what comes before it, or nothing.
func after(before, text string) string {
	if text == "" {
		return ""
	}
	return before + text
}
