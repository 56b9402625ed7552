package report

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"cordon/console/answer"
	"cordon/paper"
)

func (p Parts) pdf(w http.ResponseWriter, r *http.Request) {
	made, err := p.made(r)
	var text bytes.Buffer
	if err == nil {
		err = p.writePDF(&text, made)
	}
	if err != nil {
		answer.Refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/pdf")
	w.Header().Set("Content-Disposition", `attachment; filename="cordon-report-`+made.Period.ID+`.pdf"`)
	w.Write(text.Bytes())
}

// writePDF writes a report for paper: the same figures as the page, in its words.
func (p Parts) writePDF(w io.Writer, r Report) error {
	draft, err := p.sheets(r, 0) // to know how many pages there are
	if err != nil {
		return err
	}
	s, err := p.sheets(r, draft.PageCount())
	if err != nil {
		return err
	}
	return s.Output(w)
}

// sheets is a report on paper.
type sheets struct {
	*paper.Paper
	Report
	text func(key string, args ...any) string
}

func (p Parts) sheets(r Report, pages int) (*sheets, error) {
	title := p.View.Text("report.head", r.Site, r.Period.Name)
	blank, err := paper.New(paper.Config{Title: title, Author: r.Site, Creator: "Cordon " + r.Version, Made: r.MadeAt})
	if err != nil {
		return nil, err
	}
	s := &sheets{Paper: blank, Report: r, text: p.View.Text}
	s.SetHeaderFunc(func() {
		s.Style(paper.Sans, "", 8, paper.Mid)
		s.Put(paper.Margin, 48, s.Fit(title, s.Inner()))
		s.Rule(54, paper.Line)
	})
	s.SetFooterFunc(func() {
		y := s.Height - 52
		s.Rule(y-10, paper.Line)
		s.Style(paper.Mono, "", 6.5, paper.Dark)
		s.Put(paper.Margin, y, r.Fingerprint)
		s.Style(paper.Sans, "", 8, paper.Dark)
		s.PutRight(s.Right(), y, fmt.Sprintf("%d / %d", s.PageNo(), pages))
	})
	s.write(title)
	return s, nil
}

func (s *sheets) write(title string) {
	s.Page(title)
	s.Style(paper.Sans, "B", 17, paper.Black)
	s.SetY(s.Lines(paper.Margin, paper.Top+6, 21, s.Wrap(title, s.Inner())))
	for _, one := range s.Says {
		s.Paragraph("", 9.5, paper.Black, "•  "+one)
		s.Gap(2)
	}
	for _, one := range s.Sections {
		s.section(one)
	}
	s.alike()
	s.Gap(10)
	s.Paragraph("", 8, paper.Dark, fmt.Sprintf("%s %s. %s %s",
		s.text("report.made", s.MadeAt.Local().Format(time.DateTime), s.MadeBy, fmt.Sprint(s.Records)), s.Fingerprint,
		s.text("report.compare", s.Before.Name), s.text("report.paper")))
}

// columns are where the value and the one of the period before end.
func (s *sheets) columns() (value, before float64) { return s.Right() - 66, s.Right() }

// section writes the answer to one question.
func (s *sheets) section(one Section) {
	s.Gap(8)
	s.Room(70) // its head and a figure at least
	s.Bookmark(s.Shown(one.Title), 0, -1)
	y := s.GetY() + 12
	value, before := s.columns()
	s.Style(paper.Sans, "B", 11, paper.Black)
	s.Put(paper.Margin, y, one.Title)
	s.Style(paper.Sans, "", 7, paper.Mid)
	s.PutRight(value, y, s.text("report.value"))
	s.PutRight(before, y, s.text("report.before"))
	s.SetY(y + 5)
	for _, f := range one.Figures {
		s.figure(f)
	}
	s.Rule(s.GetY(), paper.Line)
}

// longestNote is how many lines of a note are on paper, so that a row fits a page.
const longestNote = 40

// figure writes a row: what, how it stands, how many; below it the note and where
// it is from.
func (s *sheets) figure(f Figure) {
	const wide = 84 // of the value's column
	value, before := s.columns()
	inner := value - wide - paper.Margin - 8
	s.Style(paper.Sans, "", 9, paper.Black)
	says := s.Wrap(f.Label, inner-50)
	s.Style(paper.Sans, "", 7, paper.Mid)
	note := s.Wrap(f.Note, inner)
	if len(note) > longestNote {
		note = append(note[:longestNote], "…")
	}
	under := append(note, s.Wrap(f.Source, inner)...)
	h := float64(len(says))*11.5 + float64(len(under))*9 + 6
	s.Room(h)
	y := s.GetY()
	s.Rule(y, paper.Line)
	s.Style(paper.Sans, "", 9, paper.Black)
	next := s.Lines(paper.Margin, y+11, 11.5, says)
	s.badge(value-wide-50, y+11, f.State)
	s.Style(paper.Sans, "", 7, paper.Mid)
	s.Lines(paper.Margin, next-2, 9, under)
	text := f.Text()
	if f.Value != nil {
		text = strings.TrimSpace(text + " " + f.Unit)
	}
	s.Style(paper.Sans, "B", 9.5, paper.Black)
	s.Squeeze(value, y+11, wide, text)
	s.Style(paper.Sans, "", 9, paper.Dark)
	s.Squeeze(before, y+11, before-value-6, f.BeforeText())
	s.SetY(y + h)
}

// badge says how a figure stands, what somebody should look at in bold.
func (s *sheets) badge(x, y float64, state State) {
	switch state {
	case Look:
		s.Style(paper.Sans, "B", 8, paper.Black)
		s.Put(x, y, s.text("report.look"))
	case Good:
		s.Style(paper.Sans, "", 8, paper.Dark)
		s.Put(x, y, s.text("report.good"))
	case Unknown:
		s.Style(paper.Sans, "I", 8, paper.Dark)
		s.Put(x, y, s.text("report.unknown"))
	}
}

// alike writes what devices have in common: the page's table.
func (s *sheets) alike() {
	s.Gap(12)
	s.Room(90)
	s.Bookmark(s.text("report.monoculture"), 0, -1)
	s.Paragraph("B", 11, paper.Black, s.text("report.monoculture"))
	s.Gap(2)
	s.Paragraph("", 9, paper.Dark, s.text("report.monoculture_says"))
	if worst := s.Monoculture.Worst; worst != nil {
		s.Gap(4)
		s.Paragraph("B", 9.5, paper.Black, worst.Says)
	}
	for _, a := range s.Monoculture.Attributes {
		s.Gap(6)
		s.Room(36)
		s.Rule(s.GetY(), paper.Line)
		s.Gap(3)
		s.Paragraph("B", 9, paper.Black, a.Title)
		s.Paragraph("", 9, paper.Black, a.Says)
		for _, g := range a.Groups[:min(3, len(a.Groups))] {
			s.Paragraph("", 8, paper.Dark, g.Says+"  "+strings.Join(g.Devices, ", "))
		}
		if len(a.Unknown) > 0 {
			s.Paragraph("", 8, paper.Mid, s.text("report.not_said", strings.Join(a.Unknown, ", ")))
		}
	}
}
