package report

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"cordon/console/view"
	"cordon/monoculture"
)

// hostileReport is one of many rows, with texts that no font has.
func hostileReport() Report {
	at := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	value := 1234567.0
	r := Report{Site: "St. \u202eMary\x00 🩻 (x) \\) Tj", Version: "1", Period: month(at), Before: month(at).before(), MadeAt: at, MadeBy: strings.Repeat("n", 300), Fingerprint: "SHA256:x"}
	r.Says = []string{strings.Repeat("A sentence that is long. ", 40)}
	for i := range 6 {
		s := Section{ID: "s", Title: fmt.Sprintf("Question %d?", i)}
		for j := range 12 {
			s.Figures = append(s.Figures, Figure{
				Label: fmt.Sprintf("Figure %d of %d", j, i), Value: &value, Unit: strings.Repeat("unit ", 20), Before: &value,
				State: []State{Fact, Good, Look, Unknown}[j%4], Note: strings.Repeat("device-\u4e2d ", j*20), Source: strings.Repeat("s", 40*j),
			})
		}
		r.Sections = append(r.Sections, s)
	}
	var all []string
	for i := range 500 {
		all = append(all, fmt.Sprintf("device-%d", i))
	}
	r.Monoculture = monoculture.Report{Attributes: []monoculture.Attribute{{Title: "Operating system", Says: "alike", Unknown: all, Groups: []monoculture.Group{{Says: "one", Devices: all}}}}}
	return r
}

func TestPDFOfAnything(t *testing.T) {
	p := Parts{View: view.New(view.Config{})}
	for name, r := range map[string]Report{"empty": {}, "hostile": hostileReport()} {
		var out bytes.Buffer
		if err := p.writePDF(&out, r); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !bytes.HasPrefix(out.Bytes(), []byte("%PDF-")) || out.Len() > 1<<20 {
			t.Errorf("%s: %d bytes, %.20q", name, out.Len(), out.Bytes())
		}
	}
}
