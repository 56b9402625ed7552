package evidence

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"cordon/paper"
)

// control writes one control's page.
func (p *document) control(i int, c Result) {
	p.Page(c.Clause)
	p.starts = append(p.starts, p.PageNo())
	p.SetLink(p.links[i], 0, -1)
	p.Bookmark(p.Shown(c.Clause+"  "+c.Title), 0, 0)
	p.title(c)
	if c.Requirement != "" {
		p.quote(c.Requirement)
	}
	p.particulars(c)
	p.Label("What Cordon does")
	p.Paragraph("", 9.5, paper.Black, c.How)
	p.Gap(10)
	p.figures(c)
	p.exceptions(c)
	p.samples(c)
	p.beyond(c)
}

// title is the clause, the title and the outcome.
func (p *document) title(c Result) {
	const badge = 104
	y := p.GetY()
	p.badge(p.Right()-badge, y-6, badge, 24, c.Outcome)
	clause := c.Clause
	if c.Kind != "" {
		clause += "  ·  " + c.Kind
	}
	p.Style(paper.Sans, "", 10, paper.Mid)
	p.Put(paper.Margin, y+2, p.Fit(clause, p.Inner()-badge-16))
	size := 20.0
	p.Style(paper.Sans, "B", size, paper.Black)
	lines := p.Wrap(c.Title, p.Inner())
	for len(lines) > 2 && size > 11 {
		size--
		p.Style(paper.Sans, "B", size, paper.Black)
		lines = p.Wrap(c.Title, p.Inner())
	}
	p.SetY(p.Lines(paper.Margin, y+16+size*1.15, size*1.2, lines) - size*0.6)
}

// badge shows an outcome by its form, since there may be no colour.
func (p *document) badge(x, y, w, h float64, o Outcome) {
	p.SetDrawColor(paper.Black, paper.Black, paper.Black)
	p.SetLineWidth(1)
	text := paper.Black
	switch o {
	case NotMet:
		p.SetFillColor(paper.Black, paper.Black, paper.Black)
		p.Rect(x, y, w, h, "F")
		text = 255
	case Met:
		p.Rect(x, y, w, h, "D")
	case NoCase:
		p.SetDashPattern([]float64{3, 2}, 0)
		p.Rect(x, y, w, h, "D")
		p.SetDashPattern(nil, 0)
	default:
		p.SetFillColor(paper.Light, paper.Light, paper.Light)
		p.Rect(x, y, w, h, "F")
	}
	p.SetLineWidth(0.5)
	p.Style(paper.Sans, "B", h*0.42, text)
	word := outcomeWords[o]
	p.Put(x+(w-p.GetStringWidth(word))/2, y+h*0.65, word)
}

var outcomeWords = map[Outcome]string{
	Met: "MET", NotMet: "NOT MET", NoCase: "NO CASE", NotEvidenced: "NOT EVIDENCED",
}

// quote writes the requirement beside a bar.
func (p *document) quote(text string) {
	p.Gap(12)
	p.Style(paper.Sans, "I", 9.5, paper.Dark)
	lines := p.Wrap(text, p.Inner()-14)
	y := p.GetY()
	end := p.Lines(paper.Margin+14, y+9, 13, lines)
	p.SetFillColor(paper.Line, paper.Line, paper.Line)
	p.Rect(paper.Margin, y, 3, end-y-8, "F")
	p.SetY(end - 4)
}

// particulars are owner, period and records, in three columns.
func (p *document) particulars(c Result) {
	p.Gap(10)
	owner := c.Owner
	if owner == "" {
		owner = "nobody is named"
	}
	y, w := p.GetY(), p.Inner()/3
	for i, one := range [][2]string{
		{"OWNER", owner},
		{"PERIOD", days(p.pack.From, p.pack.To)},
		{"RECORDS IN THE PERIOD", thousands(float64(p.pack.Ledger.Records))},
	} {
		x := paper.Margin + float64(i)*w
		p.Style(paper.Sans, "", 6.5, paper.Mid)
		p.Put(x, y+6, one[0])
		p.Style(paper.Sans, "", 10, paper.Black)
		p.Put(x, y+19, p.Fit(one[1], w-12))
	}
	p.Rule(y+28, paper.Line)
	p.SetY(y + 40)
}

// The columns of the figures: where the value and what is asked end, and where
// the outcome begins.
func (p *document) columns() (value, asked, outcome float64) {
	return p.Right() - 150, p.Right() - 72, p.Right() - 60
}

func (p *document) figures(c Result) {
	p.Room(40)
	p.Label("Figures")
	if len(c.Figures) == 0 {
		p.Paragraph("", 9.5, paper.Black, "Cordon has no figure for this control.")
		p.Gap(10)
		return
	}
	value, asked, outcome := p.columns()
	p.Style(paper.Sans, "", 6.5, paper.Mid)
	y := p.GetY() + 4
	p.Put(paper.Margin, y, "MEASURE")
	p.PutRight(value, y, "VALUE")
	p.PutRight(asked, y, "ASKED")
	p.Put(outcome, y, "OUTCOME")
	p.SetY(y + 5)
	for _, f := range c.Figures {
		p.figure(f)
	}
	p.Rule(p.GetY(), paper.Line)
	p.Gap(14)
}

func (p *document) figure(f Figure) {
	value, asked, outcome := p.columns()
	p.Style(paper.Sans, "", 9.5, paper.Black)
	says := p.Wrap(f.Says, value-paper.Margin-90)
	p.Style(paper.Sans, "", 7.5, paper.Mid)
	under := p.Wrap(f.under(), value-paper.Margin-90)
	if len(under) > 4 {
		under = append(under[:3], p.Fit(under[3]+" …", value-paper.Margin-90))
	}
	h := float64(len(says))*12.5 + float64(len(under))*10 + 8
	p.Room(h)
	y := p.GetY()
	p.Rule(y, paper.Line)
	p.Style(paper.Sans, "", 9.5, paper.Black)
	next := p.Lines(paper.Margin, y+13, 12.5, says)
	p.Style(paper.Sans, "", 7.5, paper.Mid)
	p.Lines(paper.Margin, next-2, 10, under)
	p.Style(paper.Sans, "B", 10, paper.Black)
	p.Squeeze(value, y+13, 84, f.valueText())
	p.Style(paper.Sans, "", 9.5, paper.Dark)
	p.Squeeze(asked, y+13, asked-value-8, f.askedText())
	if f.Outcome == Fact {
		p.Style(paper.Sans, "", 7.5, paper.Mid)
		p.Put(outcome, y+13, "a fact")
	} else {
		p.badge(outcome, y+4, 60, 12, f.Outcome)
	}
	p.SetY(y + h)
}

// under is the small print of a figure.
func (f Figure) under() string {
	s := f.Detail
	if f.Share && f.Of > 0 {
		s = fmt.Sprintf("%s of %s", thousands(float64(f.Part)), thousands(float64(f.Of)))
		if f.Detail != "" {
			s += " (" + f.Detail + ")"
		}
	}
	return s
}

// valueText never rounds to what was asked: a share is cut, not rounded.
func (f Figure) valueText() string {
	switch {
	case f.Share && f.Of == 0:
		return "none"
	case f.Share && f.Part == f.Of:
		return "100 %"
	case f.Share:
		return strconv.FormatFloat(math.Floor(float64(f.Part)*10000/float64(f.Of))/100, 'f', 2, 64) + " %"
	case f.Unit == "yes" && f.Value == 0:
		return "no"
	case f.Unit == "yes":
		return "yes"
	}
	return withUnit(f.Value, f.Unit)
}

func (f Figure) askedText() string {
	unit := f.Unit
	if f.Share {
		unit = "%"
	}
	switch {
	case f.Unit == "yes" && f.AtLeast != nil:
		return "yes"
	case f.AtLeast != nil:
		return "≥ " + withUnit(*f.AtLeast, unit)
	case f.AtMost != nil:
		return "≤ " + withUnit(*f.AtMost, unit)
	}
	return "–"
}

func withUnit(v float64, unit string) string {
	if unit == "" {
		return thousands(v)
	}
	return thousands(v) + " " + unit
}

// thousands groups digits by spaces.
func thousands(v float64) string {
	text := strconv.FormatFloat(v, 'f', -1, 64)
	whole, rest := text, ""
	for i, r := range text {
		if r == '.' {
			whole, rest = text[:i], text[i:]
		}
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + " " + whole[i:]
	}
	return whole + rest
}

// exceptions lists as many as leave room for what follows; the JSON has all.
func (p *document) exceptions(c Result) {
	p.Room(40)
	p.Label(fmt.Sprintf("Exceptions (%d)", len(c.Exceptions)))
	if len(c.Exceptions) == 0 {
		p.Paragraph("", 9.5, paper.Black, "None recorded for the period.")
		p.Gap(10)
		return
	}
	since, ends := p.Right()-120, p.Right()-56
	p.Style(paper.Sans, "", 6.5, paper.Mid)
	y := p.GetY() + 4
	p.Put(paper.Margin, y, "WHAT, WHO, WHY")
	p.Put(since, y, "SINCE")
	p.Put(ends, y, "ENDS")
	p.SetY(y + 5)
	const row = 30
	reserved := 60 + 16*float64(len(c.Samples))
	for i, e := range c.Exceptions {
		if i > 0 && p.Left()-row < reserved {
			p.Style(paper.Sans, "I", 8.5, paper.Dark)
			p.Put(paper.Margin, p.GetY()+12, fmt.Sprintf("and %d more, in the JSON of this pack", len(c.Exceptions)-i))
			p.Gap(16)
			break
		}
		p.Room(row)
		y := p.GetY()
		p.Rule(y, paper.Line)
		p.Style(paper.Sans, "", 9, paper.Black)
		p.Put(paper.Margin, y+12, p.Fit(e.What, since-paper.Margin-10))
		p.Put(since, y+12, short(e.Since))
		p.Put(ends, y+12, ending(e.Expires))
		p.Style(paper.Sans, "", 7.5, paper.Mid)
		p.Put(paper.Margin, y+23, p.Fit(whoWhy(e), p.Inner()))
		p.SetY(y + row)
	}
	p.Rule(p.GetY(), paper.Line)
	p.Gap(14)
}

func whoWhy(e Exception) string {
	switch {
	case e.Who == "":
		return e.Why
	case e.Why == "":
		return e.Who
	}
	return e.Who + ": " + e.Why
}

func short(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.Local().Format(time.DateOnly)
}

func ending(t time.Time) string {
	if t.IsZero() {
		return "no end"
	}
	return short(t)
}

func (p *document) samples(c Result) {
	p.Room(44)
	p.Label("Sample records, proved to be in the ledger")
	if len(c.Samples) == 0 {
		p.Paragraph("", 9.5, paper.Black, "No record of the period shows this control at work.")
		p.Gap(10)
		return
	}
	at, kind, hash := paper.Margin+64, paper.Margin+170, p.Right()-190.0
	p.Style(paper.Sans, "", 6.5, paper.Mid)
	y := p.GetY() + 4
	p.PutRight(paper.Margin+44, y, "RECORD")
	p.Put(at, y, "TIME (UTC)")
	p.Put(kind, y, "KIND")
	p.Put(hash, y, "HASH IN THE TREE")
	p.SetY(y + 5)
	for _, s := range c.Samples {
		p.Room(15)
		y := p.GetY()
		p.Rule(y, paper.Line)
		p.Style(paper.Sans, "B", 9, paper.Black)
		p.PutRight(paper.Margin+44, y+11, strconv.FormatInt(s.Record, 10))
		p.Style(paper.Sans, "", 8.5, paper.Black)
		p.Put(at, y+11, s.Time.UTC().Format(time.DateTime))
		p.Put(kind, y+11, p.Fit(s.Kind, hash-kind-8))
		p.Style(paper.Mono, "", 6.8, paper.Black)
		p.Put(hash, y+11, s.Hash)
		p.SetY(y + 15)
	}
	p.Rule(p.GetY(), paper.Line)
	p.Gap(14)
}

// beyond says what the page does not show, in a box.
func (p *document) beyond(c Result) {
	if c.Beyond == "" {
		return
	}
	p.Style(paper.Sans, "", 9, paper.Black)
	lines := p.Wrap(c.Beyond, p.Inner()-24)
	h := float64(len(lines))*12.5 + 28
	p.Room(h)
	y := p.GetY()
	p.SetFillColor(paper.Light, paper.Light, paper.Light)
	p.Rect(paper.Margin, y, p.Inner(), h, "F")
	p.Style(paper.Sans, "B", 8.5, paper.Black)
	p.Put(paper.Margin+12, y+15, "Not shown here")
	p.Style(paper.Sans, "", 9, paper.Black)
	p.Lines(paper.Margin+12, y+29, 12.5, lines)
	p.SetY(y + h)
}
