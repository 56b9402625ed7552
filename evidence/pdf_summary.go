package evidence

import (
	"fmt"
	"strings"
	"time"

	"cordon/paper"
)

// summary is the first page: what this is, how it came out, and what it rests on.
func (p *document) summary(s Signed) {
	pack := s.Pack
	p.Page("Evidence")
	p.Bookmark("Summary", 0, 0)
	p.Style(paper.Sans, "", 10, paper.Mid)
	p.Put(paper.Margin, paper.Top+2, p.Fit(strings.TrimSpace(pack.Mapping.Name+"  ·  "+pack.Mapping.Edition), p.Inner()))
	p.Style(paper.Sans, "B", 26, paper.Black)
	p.Put(paper.Margin, paper.Top+32, p.Fit(pack.Site, p.Inner()))
	p.Style(paper.Sans, "", 12, paper.Dark)
	p.Put(paper.Margin, paper.Top+52, "What Cordon can show for "+days(pack.From, pack.To))
	p.SetY(paper.Top + 72)
	p.tallies()
	p.contents()
	p.rests(s)
}

// tallies are the four outcomes, in numbers.
func (p *document) tallies() {
	y, w := p.GetY(), p.Inner()/4
	for i, o := range []Outcome{Met, NotMet, NoCase, NotEvidenced} {
		x := paper.Margin + float64(i)*w
		p.Style(paper.Sans, "B", 24, paper.Black)
		p.Put(x, y+24, fmt.Sprint(p.pack.Count(o)))
		p.badge(x, y+34, w-28, 13, o)
		p.Style(paper.Sans, "", 7, paper.Mid)
		p.Lines(x, y+57, 9, p.Wrap(outcomeMeanings[o], w-16))
	}
	p.SetY(y + 88)
}

var outcomeMeanings = map[Outcome]string{
	Met:          "every figure is as asked, as far as Cordon sees",
	NotMet:       "at least one figure is not",
	NoCase:       "nothing happened that would show it",
	NotEvidenced: "Cordon cannot show it; others must",
}

// contents lists the controls.
func (p *document) contents() {
	const row = 15.5
	for i, c := range p.pack.Controls {
		p.Room(row)
		y := p.GetY()
		p.Rule(y, paper.Line)
		p.Style(paper.Sans, "", 8.5, paper.Dark)
		p.Put(paper.Margin, y+11, p.Fit(c.Clause, 126))
		p.Style(paper.Sans, "", 9, paper.Black)
		p.Put(paper.Margin+132, y+11, p.Fit(c.Title, p.Inner()-132-210))
		p.Style(paper.Sans, "", 8, paper.Mid)
		p.Put(p.Right()-204, y+11, p.Fit(c.Owner, 88))
		p.badge(p.Right()-108, y+2, 84, 11.5, c.Outcome)
		if p.draft != nil {
			p.Style(paper.Sans, "", 8.5, paper.Dark)
			p.PutRight(p.Right(), y+11, fmt.Sprint(p.draft.starts[i]))
		}
		p.Link(paper.Margin, y, p.Inner(), row, p.links[i])
		p.SetY(y + row)
	}
	p.Rule(p.GetY(), paper.Line)
	p.Gap(16)
}

// heading begins a page that is no control's.
func (p *document) heading(text string) {
	p.Page(text)
	p.Bookmark(text, 0, 0)
	p.Style(paper.Sans, "B", 20, paper.Black)
	p.Put(paper.Margin, paper.Top+14, text)
	p.SetY(paper.Top + 30)
}

// rests is the page of what the pack rests on, and how to check it.
func (p *document) rests(s Signed) {
	pack := s.Pack
	p.heading("What this rests on")
	if pack.Ledger.Intact {
		p.Paragraph("", 9.5, paper.Black, pack.Ledger.Says)
	} else {
		p.Paragraph("B", 9.5, paper.Black, "The ledger did not verify when this was made: "+pack.Ledger.Says)
	}
	p.Gap(6)
	p.Paragraph("", 9.5, paper.Black, "Every figure was computed from the ledger and the database when this was made; none is fixed beforehand. What Cordon cannot see is called not evidenced. This pack does not say that the site complies with anything.")
	p.Gap(10)
	by := pack.MadeBy
	if by == "" {
		by = "somebody who gave no name"
	}
	for _, row := range [][2]string{
		{"Made", pack.MadeAt.Format(time.DateTime) + " UTC, by Cordon " + pack.Version + ", asked for by " + by},
		{"Records", fmt.Sprintf("%s in the period, %s in the tree that is signed", thousands(float64(pack.Ledger.Records)), thousands(float64(pack.Ledger.TreeSize)))},
		{"Ledger begins", pack.Ledger.First.UTC().Format(time.DateTime) + " UTC; of what was before, nothing is known"},
		{"Key", pack.Ledger.Fingerprint},
		{"Root", pack.Ledger.Root},
		{"Mapping", strings.TrimSpace(pack.Mapping.Name + ", " + pack.Mapping.Edition)},
		{"", "SHA-256 " + pack.Mapping.SHA256},
	} {
		y := p.GetY()
		p.Style(paper.Sans, "", 8.5, paper.Mid)
		p.Put(paper.Margin, y+10, row[0])
		p.Style(paper.Sans, "", 9, paper.Black)
		p.Put(paper.Margin+62, y+10, p.Fit(row[1], p.Inner()-62))
		p.SetY(y + 15)
	}
	p.Gap(12)
	p.Label("How to check it")
	for i, step := range []string{
		"Take evidence.json out of this PDF, to which it is attached, and run: cordon evidence verify evidence.json --key FINGERPRINT. It needs no access to the site. Have the fingerprint from somebody you trust, not from these pages.",
		"The SHA-256 that it prints is the one at the foot of each page: these pages show that file.",
		"A sample record is in the ledger if its hash leads, with the hashes of its proof (the last pages), to the root above (RFC 6962). The last pages are a file that cordon ledger verify reads.",
		"Ask for a whole export (cordon ledger export) and hold the records against it by their numbers.",
		"Nobody chose the samples: of each kind those are taken for which SHA-256 of the seed and the record's number is the smallest. The seed is the tree's root when work on this pack began: " + pack.Ledger.Seed,
	} {
		p.Paragraph("", 9.5, paper.Black, fmt.Sprintf("%d.  %s", i+1, step))
		p.Gap(4)
	}
	p.Gap(8)
	p.Label("Signature")
	for text := range strings.Lines(s.Note) {
		p.code(7.5, strings.TrimSuffix(text, "\n"))
	}
}

// proofs prints the proof as it is, so that the paper alone can be checked.
func (p *document) proofs(s Signed) {
	p.heading("Proofs")
	p.Paragraph("", 9, paper.Dark, "Each record as the ledger has it, then, in grey, the hashes that lead from it to the root (RFC 6962 §2.1.1); before them the keys, after them the checkpoint that was signed.")
	p.Gap(6)
	for text := range strings.Lines(s.Pack.Proof) {
		p.code(5.6, strings.TrimSuffix(text, "\n"))
	}
}

// code prints one line of a file, broken where the paper ends; lists of hashes in
// grey.
func (p *document) code(size float64, text string) {
	leading := size * 1.29
	text = p.Shown(text)
	grey := paper.Black
	if strings.HasPrefix(text, "[") {
		grey = paper.Mid
	}
	for first := true; first || text != ""; first = false {
		p.Room(leading)
		p.Style(paper.Mono, "", size, grey)
		part := p.row(text)
		p.Text(paper.Margin, p.GetY()+size, part)
		p.SetY(p.GetY() + leading)
		text = text[len(part):]
	}
	p.Gap(1.5)
}

// row is as much of a text as fits, in a font all of whose characters are equally
// wide.
func (p *document) row(text string) string {
	n := int(p.Inner() / p.GetStringWidth("0"))
	for i := range text {
		if n == 0 {
			return text[:i]
		}
		n--
	}
	return text
}
