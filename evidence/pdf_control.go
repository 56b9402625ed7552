package evidence

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// control writes one control's page.
func (p *paper) control(i int, c Result) {
	p.page(c.Clause)
	p.starts = append(p.starts, p.PageNo())
	p.SetLink(p.links[i], 0, -1)
	p.Bookmark(p.shown(c.Clause+"  "+c.Title), 0, 0)
	p.title(c)
	if c.Requirement != "" {
		p.quote(c.Requirement)
	}
	p.particulars(c)
	p.label("What Cordon does")
	p.paragraph("", 9.5, black, c.How)
	p.gap(10)
	p.figures(c)
	p.exceptions(c)
	p.samples(c)
	p.beyond(c)
}

// title is the clause, the title and the outcome.
func (p *paper) title(c Result) {
	const badge = 104
	y := p.GetY()
	p.badge(p.right()-badge, y-6, badge, 24, c.Outcome)
	clause := c.Clause
	if c.Kind != "" {
		clause += "  ·  " + c.Kind
	}
	p.style(sans, "", 10, mid)
	p.put(margin, y+2, p.fit(clause, p.inner()-badge-16))
	size := 20.0
	p.style(sans, "B", size, black)
	lines := p.wrap(c.Title, p.inner())
	for len(lines) > 2 && size > 11 {
		size--
		p.style(sans, "B", size, black)
		lines = p.wrap(c.Title, p.inner())
	}
	p.SetY(p.lines(margin, y+16+size*1.15, size*1.2, lines) - size*0.6)
}

// badge shows an outcome by its form, since there may be no colour.
func (p *paper) badge(x, y, w, h float64, o Outcome) {
	p.SetDrawColor(black, black, black)
	p.SetLineWidth(1)
	text := black
	switch o {
	case NotMet:
		p.SetFillColor(black, black, black)
		p.Rect(x, y, w, h, "F")
		text = 255
	case Met:
		p.Rect(x, y, w, h, "D")
	case NoCase:
		p.SetDashPattern([]float64{3, 2}, 0)
		p.Rect(x, y, w, h, "D")
		p.SetDashPattern(nil, 0)
	default:
		p.SetFillColor(light, light, light)
		p.Rect(x, y, w, h, "F")
	}
	p.SetLineWidth(0.5)
	p.style(sans, "B", h*0.42, text)
	word := outcomeWords[o]
	p.put(x+(w-p.GetStringWidth(word))/2, y+h*0.65, word)
}

var outcomeWords = map[Outcome]string{
	Met: "MET", NotMet: "NOT MET", NoCase: "NO CASE", NotEvidenced: "NOT EVIDENCED",
}

// quote writes the requirement beside a bar.
func (p *paper) quote(text string) {
	p.gap(12)
	p.style(sans, "I", 9.5, dark)
	lines := p.wrap(text, p.inner()-14)
	y := p.GetY()
	end := p.lines(margin+14, y+9, 13, lines)
	p.SetFillColor(line, line, line)
	p.Rect(margin, y, 3, end-y-8, "F")
	p.SetY(end - 4)
}

// particulars are owner, period and records, in three columns.
func (p *paper) particulars(c Result) {
	p.gap(10)
	owner := c.Owner
	if owner == "" {
		owner = "nobody is named"
	}
	y, w := p.GetY(), p.inner()/3
	for i, one := range [][2]string{
		{"OWNER", owner},
		{"PERIOD", days(p.pack.From, p.pack.To)},
		{"RECORDS IN THE PERIOD", thousands(float64(p.pack.Ledger.Records))},
	} {
		x := margin + float64(i)*w
		p.style(sans, "", 6.5, mid)
		p.put(x, y+6, one[0])
		p.style(sans, "", 10, black)
		p.put(x, y+19, p.fit(one[1], w-12))
	}
	p.rule(y+28, line)
	p.SetY(y + 40)
}

// The columns of the figures: where the value and what is asked end, and where
// the outcome begins.
func (p *paper) columns() (value, asked, outcome float64) {
	return p.right() - 150, p.right() - 72, p.right() - 60
}

func (p *paper) figures(c Result) {
	p.room(40)
	p.label("Figures")
	if len(c.Figures) == 0 {
		p.paragraph("", 9.5, black, "Cordon has no figure for this control.")
		p.gap(10)
		return
	}
	value, asked, outcome := p.columns()
	p.style(sans, "", 6.5, mid)
	y := p.GetY() + 4
	p.put(margin, y, "MEASURE")
	p.putRight(value, y, "VALUE")
	p.putRight(asked, y, "ASKED")
	p.put(outcome, y, "OUTCOME")
	p.SetY(y + 5)
	for _, f := range c.Figures {
		p.figure(f)
	}
	p.rule(p.GetY(), line)
	p.gap(14)
}

func (p *paper) figure(f Figure) {
	value, asked, outcome := p.columns()
	p.style(sans, "", 9.5, black)
	says := p.wrap(f.Says, value-margin-90)
	p.style(sans, "", 7.5, mid)
	under := p.wrap(f.under(), value-margin-90)
	if len(under) > 4 {
		under = append(under[:3], p.fit(under[3]+" …", value-margin-90))
	}
	h := float64(len(says))*12.5 + float64(len(under))*10 + 8
	p.room(h)
	y := p.GetY()
	p.rule(y, line)
	p.style(sans, "", 9.5, black)
	next := p.lines(margin, y+13, 12.5, says)
	p.style(sans, "", 7.5, mid)
	p.lines(margin, next-2, 10, under)
	p.style(sans, "B", 10, black)
	p.squeeze(value, y+13, 84, f.valueText())
	p.style(sans, "", 9.5, dark)
	p.squeeze(asked, y+13, asked-value-8, f.askedText())
	if f.Outcome == Fact {
		p.style(sans, "", 7.5, mid)
		p.put(outcome, y+13, "a fact")
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
func (p *paper) exceptions(c Result) {
	p.room(40)
	p.label(fmt.Sprintf("Exceptions (%d)", len(c.Exceptions)))
	if len(c.Exceptions) == 0 {
		p.paragraph("", 9.5, black, "None recorded for the period.")
		p.gap(10)
		return
	}
	since, ends := p.right()-120, p.right()-56
	p.style(sans, "", 6.5, mid)
	y := p.GetY() + 4
	p.put(margin, y, "WHAT, WHO, WHY")
	p.put(since, y, "SINCE")
	p.put(ends, y, "ENDS")
	p.SetY(y + 5)
	const row = 30
	reserved := 60 + 16*float64(len(c.Samples))
	for i, e := range c.Exceptions {
		if i > 0 && p.left()-row < reserved {
			p.style(sans, "I", 8.5, dark)
			p.put(margin, p.GetY()+12, fmt.Sprintf("and %d more, in the JSON of this pack", len(c.Exceptions)-i))
			p.gap(16)
			break
		}
		p.room(row)
		y := p.GetY()
		p.rule(y, line)
		p.style(sans, "", 9, black)
		p.put(margin, y+12, p.fit(e.What, since-margin-10))
		p.put(since, y+12, short(e.Since))
		p.put(ends, y+12, ending(e.Expires))
		p.style(sans, "", 7.5, mid)
		p.put(margin, y+23, p.fit(whoWhy(e), p.inner()))
		p.SetY(y + row)
	}
	p.rule(p.GetY(), line)
	p.gap(14)
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

func (p *paper) samples(c Result) {
	p.room(44)
	p.label("Sample records, proved to be in the ledger")
	if len(c.Samples) == 0 {
		p.paragraph("", 9.5, black, "No record of the period shows this control at work.")
		p.gap(10)
		return
	}
	at, kind, hash := margin+64, margin+170, p.right()-190.0
	p.style(sans, "", 6.5, mid)
	y := p.GetY() + 4
	p.putRight(margin+44, y, "RECORD")
	p.put(at, y, "TIME (UTC)")
	p.put(kind, y, "KIND")
	p.put(hash, y, "HASH IN THE TREE")
	p.SetY(y + 5)
	for _, s := range c.Samples {
		p.room(15)
		y := p.GetY()
		p.rule(y, line)
		p.style(sans, "B", 9, black)
		p.putRight(margin+44, y+11, strconv.FormatInt(s.Record, 10))
		p.style(sans, "", 8.5, black)
		p.put(at, y+11, s.Time.UTC().Format(time.DateTime))
		p.put(kind, y+11, p.fit(s.Kind, hash-kind-8))
		p.style(mono, "", 6.8, black)
		p.put(hash, y+11, s.Hash)
		p.SetY(y + 15)
	}
	p.rule(p.GetY(), line)
	p.gap(14)
}

// beyond says what the page does not show, in a box.
func (p *paper) beyond(c Result) {
	if c.Beyond == "" {
		return
	}
	p.style(sans, "", 9, black)
	lines := p.wrap(c.Beyond, p.inner()-24)
	h := float64(len(lines))*12.5 + 28
	p.room(h)
	y := p.GetY()
	p.SetFillColor(light, light, light)
	p.Rect(margin, y, p.inner(), h, "F")
	p.style(sans, "B", 8.5, black)
	p.put(margin+12, y+15, "Not shown here")
	p.style(sans, "", 9, black)
	p.lines(margin+12, y+29, 12.5, lines)
	p.SetY(y + h)
}
