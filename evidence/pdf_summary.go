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
		p.put(margin+132, y+11, p.fit(c.Title, p.inner()-132-186))
		p.style(sans, "", 8, mid)
		p.put(p.right()-184, y+11, p.fit(c.Owner, 88))
		p.badge(p.right()-88, y+2, 88, 11.5, c.Outcome)
		p.Link(margin, y, p.inner(), row, p.links[i])
		p.SetY(y + row)
	}
	p.rule(p.GetY(), line)
	p.gap(16)
}

// rests says what the pack rests on, and how to check it.
func (p *paper) rests(s Signed) {
	pack := s.Pack
	p.room(150)
	p.label("What this rests on")
	if !pack.Ledger.Intact {
		p.paragraph("B", 9.5, black, "The ledger did not verify when this was made: "+pack.Ledger.Says)
	} else {
		p.paragraph("", 9, black, pack.Ledger.Says)
	}
	p.gap(4)
	by := ""
	if pack.MadeBy != "" {
		by = ", asked for by " + pack.MadeBy
	}
	p.paragraph("", 9, black, fmt.Sprintf("Made on %s UTC by Cordon %s%s. Every figure was computed then, from %s records of the period; none is fixed beforehand. Mapping %s, SHA-256 %s.",
		pack.MadeAt.Format(time.DateTime), pack.Version, by, thousands(float64(pack.Ledger.Records)), pack.Mapping.Name, pack.Mapping.SHA256))
	p.gap(8)
	p.room(90)
	p.label("How to check it")
	for _, step := range []string{
		"Take evidence.json out of this PDF (it is attached) and run: cordon evidence verify evidence.json --key " + pack.Ledger.Fingerprint + ". It needs no access to the site. Have the fingerprint from somebody you trust, not from this page.",
		"The SHA-256 that it prints is the one at the foot of each page.",
		"A sample record on a page is in the ledger if its hash leads, with the hashes of its proof (last pages), to the root at the foot. Ask for an export and hold it against the record's number: cordon ledger verify export.",
		"Sample records were not chosen by hand: of each kind, those are taken whose SHA-256 of the tree's root " + pack.Ledger.Seed + " and the record's number is the smallest.",
	} {
		p.paragraph("", 8.5, dark, "•  "+step)
		p.gap(2)
	}
}

// proofs prints the proof as it is, so that the paper alone can be checked.
func (p *paper) proofs(s Signed) {
	p.page("Proofs")
	p.Bookmark("Proofs", 0, 0)
	p.style(sans, "B", 20, black)
	p.put(margin, top+14, "Proofs")
	p.SetY(top + 26)
	p.paragraph("", 9, dark, "A record, as the ledger has it, then the hashes that lead from it to the root (RFC 6962 §2.1.1); before all of them the keys, after them the checkpoint that was signed. These lines are the file that cordon ledger verify reads.")
	p.gap(6)
	for text := range strings.Lines(s.Pack.Proof) {
		p.code(strings.TrimSuffix(text, "\n"))
	}
	p.gap(10)
	p.room(80)
	p.label("Signature")
	for text := range strings.Lines(s.Note) {
		p.code(strings.TrimSuffix(text, "\n"))
	}
}

// code prints one line of a file, broken where the paper ends; lists of hashes in
// grey.
func (p *paper) code(text string) {
	const size, leading = 5.6, 7.2
	text = p.shown(text)
	hashes := strings.HasPrefix(text, "[")
	for first := true; first || text != ""; first = false {
		p.room(leading)
		grey := black
		if hashes {
			grey = mid
		}
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
