package media

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"cordon/finding"
)

func page(t *testing.T, items ...Item) string {
	t.Helper()
	p := Page{
		Site:      "St. <Elsewhere>",
		Medium:    "/media/<cd>",
		Time:      time.Unix(0, 0),
		Summary:   Summary{By: "<Ada>", Label: "<label>", Archive: "<pacs>", CallingAE: "CORDON-MEDIA", Complete: true},
		Directory: DirectoryFile{Path: "DICOMDIR", Records: Records{Circular: true}},
		Items:     items,
	}
	for _, it := range items {
		p.Summary.Add(it)
	}
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func judged(path string, outcome Outcome, v finding.Verdict, ids ...string) Item {
	it := Item{Path: path, Kind: Object, Outcome: outcome, Report: finding.Report{Verdict: v}}
	for _, id := range ids {
		it.Report.Findings = append(it.Report.Findings, finding.New(id, "(0009,1010)", 0, "<detail>"))
	}
	return it
}

// Whatever a medium calls its files, the page shows it and runs nothing.
func TestPageEscapesTheMedium(t *testing.T) {
	hostile := `<script>alert(1)</script>"'--><img src=x onerror=alert(1)>`
	turned := "photo\u202Egpj.exe"
	if html := page(t, judged(turned, Held, finding.Hold, "executable")); strings.Contains(html, "\u202E") {
		t.Error("a name can show itself as another")
	}
	it := judged(hostile, Held, finding.Hold, "executable")
	it.Report.Identity.StudyInstanceUID = hostile
	it.Detail = hostile
	html := page(t, it, Item{Path: hostile, Outcome: Unreadable, Err: errors.New(hostile)})
	for _, never := range []string{"<script", "<img", "<detail>", "<Elsewhere>", "<cd>", "<Ada>", "<label>", "<pacs>", "src=\"", "href="} {
		if strings.Contains(html, never) {
			t.Errorf("the page has %s", never)
		}
	}
	if !strings.Contains(html, "default-src &#39;none&#39;") && !strings.Contains(html, "default-src 'none'") {
		t.Error("the page has no policy")
	}
}

func TestPageSaysWhatBecameOfEachItem(t *testing.T) {
	html := page(t,
		judged("IMAGES/1", Stored, finding.Admit, "preamble-content"),
		judged("IMAGES/2", Held, finding.Hold, "executable"),
		judged("IMAGES/3", Failed, finding.Admit),
		Item{Path: "IMAGES/4", Outcome: Unreadable, Err: errMissing},
		Item{Path: "viewer.exe", Kind: Other, Outcome: Listed, Report: finding.Report{Verdict: finding.Hold}},
		Item{Path: "readme.txt", Kind: Other, Outcome: Listed, Report: finding.Report{Verdict: finding.Admit}},
	)
	last := -1
	for _, part := range []string{
		"1 object held, 1 object stored.", "Held in the vault (1)", "IMAGES/2", "Executable content", "Not stored (1)", "IMAGES/3",
		"Could not be read (1)", "IMAGES/4", errMissing.Error(), "Dangerous and not DICOM (1)", "viewer.exe", "Left on the medium (1)", "readme.txt",
		"Stored (1)", "IMAGES/1", "run in a circle",
	} {
		at := strings.Index(html, part)
		if at <= last {
			t.Errorf("%q is not where it should be", part)
		}
		last = at
	}
	if strings.Contains(html, "Preamble") {
		t.Error("what is only worth recording is shown")
	}
}

func TestPageIsBounded(t *testing.T) {
	var items []Item
	for i := range shownItems + 5 {
		items = append(items, judged(fmt.Sprint("IMAGES/", i), Stored, finding.Admit))
	}
	if html := page(t, items...); !strings.Contains(html, "and 5 more") || strings.Contains(html, fmt.Sprint("IMAGES/", shownItems)) {
		t.Error("not bounded")
	}
}

func TestAnswerIsNeverTooGood(t *testing.T) {
	for _, c := range []struct {
		summary Summary
		class   string
	}{
		{Summary{Complete: true, Stored: 3}, "good"},
		{Summary{Complete: true, Stored: 3, Listed: 2}, "good"},
		{Summary{Complete: true, Stored: 3, Held: 1}, "bad"},
		{Summary{Complete: true, Stored: 3, Failed: 1}, "look"},
		{Summary{Complete: true, Stored: 3, Unreadable: 1}, "look"},
		{Summary{Complete: true, Stored: 3, Refused: 1}, "bad"},
		{Summary{Stored: 3}, "look"},
	} {
		p := Page{Summary: c.summary}
		if p.Class() != c.class || (c.class != "good") == strings.HasPrefix(p.Answer(), "All is well") {
			t.Errorf("%+v: %s, %s", c.summary, p.Class(), p.Answer())
		}
	}
}
