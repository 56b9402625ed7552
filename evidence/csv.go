package evidence

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"
	"time"
)

// CSV writes one line for each figure, exception and sample of each control, and
// one for a control without any, for spreadsheets.
func (s Signed) CSV(w io.Writer) error {
	out := csv.NewWriter(w)
	out.Write([]string{"control", "clause", "title", "owner", "outcome", "line", "what", "value", "asked", "line_outcome", "who", "why", "since", "ends", "record"})
	for _, c := range s.Pack.Controls {
		row := func(line, what, value, asked, outcome, who, why, since, ends, record string) {
			cells := []string{c.ID, c.Clause, c.Title, c.Owner, string(c.Outcome), line, what, value, asked, outcome, who, why, since, ends, record}
			for i := range cells {
				cells[i] = harmless(cells[i])
			}
			out.Write(cells) // Error returns its error
		}
		row("control", c.How, "", "", "", "", "", "", "", "")
		for _, f := range c.Figures {
			row("figure", f.Says, f.valueText(), f.askedText(), string(f.Outcome), "", f.under(), "", "", "")
		}
		for _, e := range c.Exceptions {
			row("exception", e.What, "", "", "", e.Who, e.Why, stamp(e.Since), stamp(e.Expires), "")
		}
		for _, one := range c.Samples {
			row("sample", one.Kind, one.Hash, "", "", "", "", stamp(one.Time), "", strconv.FormatInt(one.Record, 10))
		}
	}
	out.Write([]string{"", "", "", "", "", "note", strings.TrimSpace(s.Note), "", "", "", "", "", "", "", ""})
	out.Flush()
	return out.Error()
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// harmless keeps a spreadsheet from taking a text that somebody wrote for a
// formula.
func harmless(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}
