package interop

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cordon/console/report"
)

// packed is text without its spaces and line breaks, which a page has others of.
func packed(parts ...string) string { return strings.Join(strings.Fields(strings.Join(parts, "")), "") }

// A report on paper has the figures of the page, each beside its name, and its text
// can be searched. A copy goes where CORDON_REPORT says.
func TestReportOnPaper(t *testing.T) {
	c := startCordon(t, nil)
	busy(t, c)
	await(t, "the objects", func() bool { s := c.status(t); return s.Objects.Delivered >= 3 && s.Held >= 1 })
	file := filepath.Join(t.TempDir(), "report.pdf")
	if made := c.cli(t, "report", "--pdf", file); made.code != 0 {
		t.Fatalf("report --pdf: %s%s", made.out, made.err)
	}
	if again := c.cli(t, "report", "--pdf", file); again.code == 0 {
		t.Error("a file that is there was written over")
	}
	if copied := os.Getenv("CORDON_REPORT"); copied != "" {
		write(t, copied, read(t, file))
	}
	var r report.Report
	if err := json.Unmarshal([]byte(c.cli(t, "report", "--json").out), &r); err != nil {
		t.Fatal(err)
	}
	text := packed(run(t, "pdftotext", "-raw", file, "-"))
	words := map[report.State]string{report.Look: "look", report.Good: "well", report.Unknown: "unknown"}
	figures, held := 0, false
	for _, s := range r.Sections {
		if !strings.Contains(text, packed(s.Title)) {
			t.Errorf("%q is not on the paper", s.Title)
		}
		for _, f := range s.Figures {
			value := f.Text()
			if f.Value != nil {
				value += f.Unit
			}
			row := packed(f.Label, words[f.State], f.Note, f.Source, value, f.BeforeText())
			if !strings.Contains(text, row) {
				t.Errorf("%s is not on the paper: %s", f.ID, row)
			}
			figures++
			held = held || f.ID == "held" && *f.Value >= 1
		}
	}
	for _, one := range r.Says {
		if !strings.Contains(text, packed(one)) {
			t.Errorf("%q is not on the paper", one)
		}
	}
	if figures < 30 || !held {
		t.Errorf("%d figures, something held: %t: the test proves nothing", figures, held)
	}
	for _, p := range planted {
		if strings.Contains(text, packed(p)) {
			t.Errorf("it names %q", p)
		}
	}
}
