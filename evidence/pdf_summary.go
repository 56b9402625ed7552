package evidence

import (
	"fmt"
	"strings"
	"time"
)

// summary is the first page: what this is, how it came out, and what it rests on.
func (p *paper) summary(s Signed) {
	pack := s.Pack
	p.page("Evidence")
	p.Bookmark("Summary", 0, 0)
	p.style(sans, "", 10, mid)
	p.put(margin, top+2, p.fit(strings.TrimSpace(pack.Mapping.Name+"  ·  "+pack.Mapping.Edition), p.inner()))
	p.style(sans, "B", 26, black)
	p.put(margin, top+32, p.fit(pack.Site, p.inner()))
	p.style(sans, "", 12, dark)
	p.put(margin, top+52, "What Cordon can show for "+days(pack.From, pack.To))
	p.SetY(top + 72)
	p.tallies()
	p.contents()
	p.rests(s)
}

// tallies are the four outcomes, in numbers.
func (p *paper) tallies() {
	y, w := p.GetY(), p.inner()/4
	for i, o := range []Outcome{Met, NotMet, NoCase, NotEvidenced} {
		x := margin + float64(i)*w
		p.style(sans, "B", 24, black)
		p.put(x, y+24, fmt.Sprint(p.pack.Count(o)))
		p.badge(x, y+34, w-28, 13, o)
		p.style(sans, "", 7, mid)
		p.lines(x, y+57, 9, p.wrap(outcomeMeanings[o], w-16))
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
func (p *paper) contents() {
	const row = 15.5
	for i, c := range p.pack.Controls {
		p.room(row)
		y := p.GetY()
		p.rule(y, line)
		p.style(sans, "", 8.5, dark)
		p.put(margin, y+11, p.fit(c.Clause, 126))
		p.style(sans, "", 9, black)
		p.put(margin+132, y+11, p.fit(c.Title, p.inner()-132-210))
		p.style(sans, "", 8, mid)
		p.put(p.right()-204, y+11, p.fit(c.Owner, 88))
		p.badge(p.right()-108, y+2, 84, 11.5, c.Outcome)
		if p.draft != nil {
			p.style(sans, "", 8.5, dark)
			p.putRight(p.right(), y+11, fmt.Sprint(p.draft.starts[i]))
		}
		p.Link(margin, y, p.inner(), row, p.links[i])
		p.SetY(y + row)
	}
	p.rule(p.GetY(), line)
	p.gap(16)
}

// heading begins a page that is no control's.
func (p *paper) heading(text string) {
	p.page(text)
	p.Bookmark(text, 0, 0)
	p.style(sans, "B", 20, black)
	p.put(margin, top+14, text)
	p.SetY(top + 30)
}

// rests is the page of what the pack rests on, and how to check it.
func (p *paper) rests(s Signed) {
	pack := s.Pack
	p.heading("What this rests on")
	if pack.Ledger.Intact {
		p.paragraph("", 9.5, black, pack.Ledger.Says)
	} else {
		p.paragraph("B", 9.5, black, "The ledger did not verify when this was made: "+pack.Ledger.Says)
	}
	p.gap(6)
	p.paragraph("", 9.5, black, "Every figure was computed from the ledger and the database when this was made; none is fixed beforehand. What Cordon cannot see is called not evidenced. This pack does not say that the site complies with anything.")
	p.gap(10)
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
		p.style(sans, "", 8.5, mid)
		p.put(margin, y+10, row[0])
		p.style(sans, "", 9, black)
		p.put(margin+62, y+10, p.fit(row[1], p.inner()-62))
		p.SetY(y + 15)
	}
	p.gap(12)
	p.label("How to check it")
	for i, step := range []string{
		"Take evidence.json out of this PDF, to which it is attached, and run: cordon evidence verify evidence.json --key FINGERPRINT. It needs no access to the site. Have the fingerprint from somebody you trust, not from these pages.",
		"The SHA-256 that it prints is the one at the foot of each page: these pages show that file.",
		"A sample record is in the ledger if its hash leads, with the hashes of its proof (the last pages), to the root above (RFC 6962). The last pages are a file that cordon ledger verify reads.",
		"Ask for a whole export (cordon ledger export) and hold the records against it by their numbers.",
		"Nobody chose the samples: of each kind those are taken for which SHA-256 of the seed and the record's number is the smallest. The seed is the tree's root when work on this pack began: " + pack.Ledger.Seed,
	} {
		p.paragraph("", 9.5, black, fmt.Sprintf("%d.  %s", i+1, step))
		p.gap(4)
	}
	p.gap(8)
	p.label("Signature")
	for text := range strings.Lines(s.Note) {
		p.code(7.5, strings.TrimSuffix(text, "\n"))
	}
}

// proofs prints the proof as it is, so that the paper alone can be checked.
func (p *paper) proofs(s Signed) {
	p.heading("Proofs")
	p.paragraph("", 9, dark, "Each record as the ledger has it, then, in grey, the hashes that lead from it to the root (RFC 6962 §2.1.1); before them the keys, after them the checkpoint that was signed.")
	p.gap(6)
	for text := range strings.Lines(s.Pack.Proof) {
		p.code(5.6, strings.TrimSuffix(text, "\n"))
	}
}

// code prints one line of a file, broken where the paper ends; lists of hashes in
// grey.
func (p *paper) code(size float64, text string) {
	leading := size * 1.29
	text = p.shown(text)
	grey := black
	if strings.HasPrefix(text, "[") {
		grey = mid
	}
	for first := true; first || text != ""; first = false {
		p.room(leading)
		p.style(mono, "", size, grey)
		part := p.row(text)
		p.Text(margin, p.GetY()+size, part)
		p.SetY(p.GetY() + leading)
		text = text[len(part):]
	}
	p.gap(1.5)
}

// row is as much of a text as fits, in a font all of whose characters are equally
// wide.
func (p *paper) row(text string) string {
	n := int(p.inner() / p.GetStringWidth("0"))
	for i := range text {
		if n == 0 {
			return text[:i]
		}
		n--
	}
	return text
}
