package evidence

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"codeberg.org/go-pdf/fpdf"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goitalic"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/sfnt"
)

// PDF writes the pack for paper: a summary, a page for each control, and the
// proofs of the samples. Its fonts are in it, it needs no colour, and the pack's
// JSON is attached.
func (s Signed) PDF(w io.Writer) error {
	digest, err := s.Pack.Digest()
	if err != nil {
		return err
	}
	var attached bytes.Buffer
	if err := s.JSON(&attached); err != nil {
		return err
	}
	draft, err := newPaper(s.Pack, digest, nil) // to know the numbers of the pages
	if err != nil {
		return err
	}
	draft.write(s)
	p, err := newPaper(s.Pack, digest, draft)
	if err != nil {
		return err
	}
	p.SetAttachments([]fpdf.Attachment{{Content: attached.Bytes(), Filename: "evidence.json", Description: "the pack, as cordon evidence verify reads it"}})
	p.write(s)
	return p.Output(w)
}

func (p *paper) write(s Signed) {
	p.summary(s)
	for i, c := range s.Pack.Controls {
		p.control(i, c)
	}
	p.proofs(s)
}

// paper is a document with its pen. Lengths are points; y runs down.
type paper struct {
	*fpdf.Fpdf
	glyphs *sfnt.Font // that the fonts have, all alike
	pack   Pack
	digest string
	draft  *paper // the same document; nil in the draft itself
	starts []int  // pages on which the controls begin

	width, height float64 // of a page
	running       string  // what the pages at hand are about, at their top
	links         []int   // to the controls' pages
}

// The page: margins, and where text may be.
const (
	margin = 54.0
	top    = 78.0
	bottom = 76.0 // from the lower edge
)

// Greys, from black: what is printed grey stays readable on any printer.
const (
	black = 0
	dark  = 70
	mid   = 110
	line  = 190
	light = 238
)

const (
	sans = "go"
	mono = "gomono"
)

func newPaper(pack Pack, digest string, draft *paper) (*paper, error) {
	size := "A4"
	if pack.Mapping.Paper == "letter" {
		size = "Letter"
	}
	glyphs, err := sfnt.Parse(goregular.TTF)
	if err != nil {
		return nil, err
	}
	p := &paper{Fpdf: fpdf.New("P", "pt", size, ""), glyphs: glyphs, pack: pack, digest: digest, draft: draft}
	p.AddUTF8FontFromBytes(sans, "", goregular.TTF)
	p.AddUTF8FontFromBytes(sans, "B", gobold.TTF)
	p.AddUTF8FontFromBytes(sans, "I", goitalic.TTF)
	p.AddUTF8FontFromBytes(mono, "", gomono.TTF)
	p.SetCatalogSort(true)
	p.SetCreationDate(pack.MadeAt)
	p.SetModificationDate(pack.MadeAt)
	p.SetTitle("Evidence: "+p.shown(pack.Mapping.Name), true)
	p.SetAuthor(p.shown(pack.Site), true)
	p.SetCreator("Cordon "+p.shown(pack.Version), true)
	p.SetLang("en")
	p.SetMargins(margin, top, margin)
	p.SetAutoPageBreak(false, 0)
	p.SetLineWidth(0.5)
	p.width, p.height = p.GetPageSize()
	p.SetHeaderFunc(p.head)
	p.SetFooterFunc(p.foot)
	for range pack.Controls {
		p.links = append(p.links, p.AddLink())
	}
	return p, nil
}

// right is where text ends.
func (p *paper) right() float64 { return p.width - margin }

// inner is how wide text may be.
func (p *paper) inner() float64 { return p.width - 2*margin }

// head is the line at the top of each page.
func (p *paper) head() {
	p.style(sans, "", 8, mid)
	period := days(p.pack.From, p.pack.To)
	w := p.GetStringWidth(period)
	p.put(p.right()-w, 48, period)
	p.put(margin, 48, p.fit(p.pack.Site+"  ·  "+p.running, p.inner()-w-20))
	p.rule(54, line)
}

// foot ties each page to the pack: its digest, the tree and the key.
func (p *paper) foot() {
	y := p.height - 52
	p.rule(y-10, line)
	p.style(mono, "", 6.5, dark)
	p.put(margin, y, "pack sha256 "+p.digest)
	p.put(margin, y+9, fmt.Sprintf("tree %d records, root %s", p.pack.Ledger.TreeSize, p.pack.Ledger.Root))
	p.put(margin, y+18, "signed by "+p.pack.Ledger.Fingerprint)
	p.style(sans, "", 8, dark)
	if p.draft != nil {
		p.putRight(p.right(), y, fmt.Sprintf("%d / %d", p.PageNo(), p.draft.PageCount()))
	}
}

// page begins a new one.
func (p *paper) page(running string) {
	p.running = running
	p.AddPage()
	p.SetY(top)
}

// room begins a new page if there is none for h below.
func (p *paper) room(h float64) {
	if p.GetY()+h > p.height-bottom {
		p.page(p.running + " (continued)")
	}
}

// left is how much room there is on the page.
func (p *paper) left() float64 { return p.height - bottom - p.GetY() }

func (p *paper) style(family, style string, size float64, grey int) {
	p.SetFont(family, style, size)
	p.SetTextColor(grey, grey, grey)
}

// put writes text with its base line at y.
func (p *paper) put(x, y float64, text string) { p.Text(x, y, p.shown(text)) }

// putRight writes text that ends at x.
func (p *paper) putRight(x, y float64, text string) {
	text = p.shown(text)
	p.Text(x-p.GetStringWidth(text), y, text)
}

// squeeze is putRight for a column: text that is too wide becomes smaller, and is
// cut when that does not help.
func (p *paper) squeeze(x, y, width float64, text string) {
	size, _ := p.GetFontSize()
	for text = p.shown(text); p.GetStringWidth(text) > width && size > 6; size -= 0.5 {
		p.SetFontSize(size)
	}
	p.putRight(x, y, p.fit(text, width))
}

// rule draws a line over the text's width.
func (p *paper) rule(y float64, grey int) {
	p.SetDrawColor(grey, grey, grey)
	p.Line(margin, y, p.right(), y)
}

// fit cuts text to a width.
func (p *paper) fit(text string, width float64) string {
	text = p.shown(text)
	if p.GetStringWidth(text) <= width {
		return text
	}
	runes := []rune(text)
	for len(runes) > 0 && p.GetStringWidth(string(runes)+"…") > width {
		runes = runes[:len(runes)-1]
	}
	return strings.TrimRight(string(runes), " ") + "…"
}

// wrap breaks text into lines of at most a width, words that are longer too.
func (p *paper) wrap(text string, width float64) []string {
	var lines []string
	current := ""
	for _, word := range strings.Fields(p.shown(text)) {
		if next := strings.TrimLeft(current+" "+word, " "); p.GetStringWidth(next) <= width {
			current = next
			continue
		}
		if current != "" {
			lines = append(lines, current)
		}
		for p.GetStringWidth(word) > width {
			head := p.longest(word, width)
			lines = append(lines, head)
			word = word[len(head):]
		}
		current = word
	}
	if current != "" {
		lines = append(lines, current)
	}
	return lines
}

// longest is the beginning of a word that fits, at least one rune of it.
func (p *paper) longest(word string, width float64) string {
	end := 0
	for i, r := range word {
		next := i + len(string(r))
		if end > 0 && p.GetStringWidth(word[:next]) > width {
			break
		}
		end = next
	}
	return word[:end]
}

// lines writes lines from y down and returns where the next one would be.
func (p *paper) lines(x, y, leading float64, lines []string) float64 {
	for _, l := range lines {
		p.Text(x, y, l)
		y += leading
	}
	return y
}

// label writes a small heading for what follows.
func (p *paper) label(text string) {
	p.style(sans, "B", 8.5, black)
	p.put(margin, p.GetY()+9, text)
	p.SetY(p.GetY() + 15)
}

// paragraph writes text over the whole width.
func (p *paper) paragraph(style string, size float64, grey int, text string) {
	p.style(sans, style, size, grey)
	leading := size * 1.38
	for _, l := range p.wrap(text, p.inner()) {
		p.room(leading)
		p.style(sans, style, size, grey)
		p.Text(margin, p.GetY()+size, l)
		p.SetY(p.GetY() + leading)
	}
}

// gap leaves room between blocks.
func (p *paper) gap(h float64) { p.SetY(p.GetY() + h) }

// shown is text as the fonts can show it: what they have no character for, and
// what cannot be seen, becomes a question mark.
func (p *paper) shown(text string) string {
	var scratch sfnt.Buffer
	return strings.Map(func(r rune) rune {
		glyph, err := p.glyphs.GlyphIndex(&scratch, r)
		if err != nil || glyph == 0 || r > 0xFFFF || r != ' ' && !strconv.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}

// days writes a period as people say it, the last day included.
func days(from, to time.Time) string {
	return date(from) + " to " + date(to.Add(-time.Second))
}

// date is a day where Cordon runs.
func date(t time.Time) string { return t.Local().Format("2 Jan 2006") }
