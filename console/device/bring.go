package device

import (
	"fmt"
	"io"
	"mime"
	"net/http"

	"cordon/console/answer"
	"cordon/people"
)

// brought is what the page of an import shows.
type brought struct {
	Import  *Import // nil: no table was given yet
	CSV     string  // the table, to be given once more
	Reason  string
	Columns []string
	Error   string
	Shown   []Change // the first of the changes
	More    int
	Faults  []Fault
	MoreOf  int // faults that are not shown
}

// shownChanges bounds a page.
const shownChanges = 200

func (s *pages) showImport(w http.ResponseWriter, r *http.Request) {
	s.bring.Show(w, r, brought{Columns: columnNames()})
}

// bringIn says what a table changes, and with "apply" changes it.
func (s *pages) bringIn(w http.ResponseWriter, r *http.Request) {
	t, err := tableIn(w, r)
	if err == nil {
		t.By, err = people.From(r.Context()).By(t.By)
	}
	b := brought{Columns: columnNames(), CSV: t.CSV, Reason: t.Reason}
	var out Import
	if err == nil {
		out, err = s.imported(r.Context(), t)
		b.Import = &out
		b.Shown = out.Changes[:min(len(out.Changes), shownChanges)]
		b.More = len(out.Changes) - len(b.Shown)
		b.Faults = out.Faults[:min(len(out.Faults), maxFaults)]
		b.MoreOf = len(out.Faults) - len(b.Faults)
	}
	switch {
	case err != nil:
		b.Error = err.Error()
		s.bring.Again(w, r, err, b)
	case out.Applied:
		s.View.Back(w, r, "/devices", "device.said.by.imported")
	default:
		s.bring.Show(w, r, b)
	}
}

// tableIn reads the form that a table is in: a file, or the text that was shown to
// be confirmed.
func tableIn(w http.ResponseWriter, r *http.Request) (t Table, err error) {
	r.Body = http.MaxBytesReader(w, r.Body, 3*maxCSV) // a text in a form is up to three times as long
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if media == "multipart/form-data" {
		err = r.ParseMultipartForm(3 * maxCSV)
	} else {
		err = r.ParseForm()
	}
	if err != nil {
		return t, fmt.Errorf("%w: %w", answer.ErrRequest, err)
	}
	t = Table{By: r.PostFormValue("by"), Reason: r.PostFormValue("reason"), Apply: r.PostFormValue("apply") != "", CSV: r.PostFormValue("csv")}
	if media != "multipart/form-data" {
		return t, nil
	}
	f, _, err := r.FormFile("file")
	if err != nil {
		return t, fmt.Errorf("%w: no file was chosen", answer.ErrRequest)
	}
	defer f.Close()
	text, err := io.ReadAll(f) // the form is bounded
	t.CSV = string(text)
	return t, err
}
