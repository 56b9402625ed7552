// Package paper writes text on pages, as PDF: fonts in it, no colour needed, and
// every word can be searched for.
//
// Ordinary use:
//
//	p, err := paper.New(paper.Config{Title: "The report", Made: now})
//	p.Page("January 2026")                               // begins a page that is about that
//	p.Paragraph("", 9.5, paper.Black, "What happened …") // and a new page where one is full
//	err = p.Output(w)
//
// Lengths are points; y runs down. It embeds its pen, codeberg.org/go-pdf/fpdf, for
// lines and links. It will not lay out more than lines of text, and what the fonts
// have no character for becomes a question mark.
package paper

import (
	"strconv"
	"strings"
	"time"
	"unicode"

	"codeberg.org/go-pdf/fpdf"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goitalic"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/sfnt"
)

// Paper is a document with its pen.
type Paper struct {
	*fpdf.Fpdf
	glyphs *sfnt.Font // that the fonts have, all alike

	Width, Height float64 // of a page
	Running       string  // what the pages at hand are about, for their top
}

// Config says what a document is. What is at the top and at the foot of its pages is
// said with SetHeaderFunc and SetFooterFunc.
type Config struct {
	Letter                 bool // its size, instead of A4
	Title, Author, Creator string
	Made                   time.Time
}

// The page: margins, and where text may be.
const (
	Margin = 54.0
	Top    = 78.0
	Bottom = 76.0 // from the lower edge
)

// Greys, from black: what is printed grey stays readable on any printer.
const (
	Black = 0
	Dark  = 70
	Mid   = 110
	Line  = 190
	Light = 238
)

// The fonts.
const (
	Sans = "go"
	Mono = "gomono"
)

// New is an empty document.
func New(c Config) (*Paper, error) {
	size := "A4"
	if c.Letter {
		size = "Letter"
	}
	glyphs, err := sfnt.Parse(goregular.TTF)
	if err != nil {
		return nil, err
	}
	p := &Paper{Fpdf: fpdf.New("P", "pt", size, ""), glyphs: glyphs}
	p.AddUTF8FontFromBytes(Sans, "", goregular.TTF)
	p.AddUTF8FontFromBytes(Sans, "B", gobold.TTF)
	p.AddUTF8FontFromBytes(Sans, "I", goitalic.TTF)
	p.AddUTF8FontFromBytes(Mono, "", gomono.TTF)
	p.SetCatalogSort(true)
	p.SetCreationDate(c.Made)
	p.SetModificationDate(c.Made)
	p.SetTitle(p.Shown(c.Title), true)
	p.SetAuthor(p.Shown(c.Author), true)
	p.SetCreator(p.Shown(c.Creator), true)
	p.SetLang("en")
	p.SetMargins(Margin, Top, Margin)
	p.SetAutoPageBreak(false, 0)
	p.SetLineWidth(0.5)
	p.Width, p.Height = p.GetPageSize()
	return p, nil
}

// Right is where text ends.
func (p *Paper) Right() float64 { return p.Width - Margin }

// Inner is how wide text may be.
func (p *Paper) Inner() float64 { return p.Width - 2*Margin }

// Page begins a new one.
func (p *Paper) Page(running string) {
	p.Running = running
	p.AddPage()
	p.SetY(Top)
}

const continued = " (continued)"

// Room begins a new page if there is none for h below.
func (p *Paper) Room(h float64) {
	if p.GetY()+h > p.Height-Bottom {
		p.Page(strings.TrimSuffix(p.Running, continued) + continued)
	}
}

// Left is how much room there is on the page.
func (p *Paper) Left() float64 { return p.Height - Bottom - p.GetY() }

// Style says how text looks from now on: Sans or Mono; "", "B" or "I"; the size; the
// grey.
func (p *Paper) Style(family, style string, size float64, grey int) {
	p.SetFont(family, style, size)
	p.SetTextColor(grey, grey, grey)
}

// Put writes text with its base line at y.
func (p *Paper) Put(x, y float64, text string) { p.Text(x, y, p.Shown(text)) }

// PutRight writes text that ends at x.
func (p *Paper) PutRight(x, y float64, text string) {
	text = p.Shown(text)
	p.Text(x-p.GetStringWidth(text), y, text)
}

// Squeeze is PutRight for a column: text that is too wide becomes smaller, and is
// cut when that does not help.
func (p *Paper) Squeeze(x, y, width float64, text string) {
	size, _ := p.GetFontSize()
	for text = p.Shown(text); p.GetStringWidth(text) > width && size > 6; size -= 0.5 {
		p.SetFontSize(size)
	}
	p.PutRight(x, y, p.Fit(text, width))
}

// Rule draws a line over the text's width.
func (p *Paper) Rule(y float64, grey int) {
	p.SetDrawColor(grey, grey, grey)
	p.Line(Margin, y, p.Right(), y)
}

// Fit cuts text to a width.
func (p *Paper) Fit(text string, width float64) string {
	text = p.Shown(text)
	if p.GetStringWidth(text) <= width {
		return text
	}
	runes := []rune(text)
	for len(runes) > 0 && p.GetStringWidth(string(runes)+"…") > width {
		runes = runes[:len(runes)-1]
	}
	return strings.TrimRight(string(runes), " ") + "…"
}

// Wrap breaks text into lines of at most a width, words that are longer too.
func (p *Paper) Wrap(text string, width float64) []string {
	var lines []string
	current := ""
	for _, word := range strings.Fields(p.Shown(text)) {
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
func (p *Paper) longest(word string, width float64) string {
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

// Lines writes lines from y down and returns where the next one would be.
func (p *Paper) Lines(x, y, leading float64, lines []string) float64 {
	for _, l := range lines {
		p.Text(x, y, l)
		y += leading
	}
	return y
}

// Label writes a small heading for what follows.
func (p *Paper) Label(text string) {
	p.Style(Sans, "B", 8.5, Black)
	p.Put(Margin, p.GetY()+9, text)
	p.SetY(p.GetY() + 15)
}

// Paragraph writes text over the whole width.
func (p *Paper) Paragraph(style string, size float64, grey int, text string) {
	p.Style(Sans, style, size, grey)
	leading := size * 1.38
	for _, l := range p.Wrap(text, p.Inner()) {
		p.Room(leading)
		p.Style(Sans, style, size, grey)
		p.Text(Margin, p.GetY()+size, l)
		p.SetY(p.GetY() + leading)
	}
}

// Gap leaves room between blocks.
func (p *Paper) Gap(h float64) { p.SetY(p.GetY() + h) }

// Shown is text as the fonts can show it: a space of any width is one, and what they
// have no character for, and what cannot be seen, becomes a question mark.
func (p *Paper) Shown(text string) string {
	var scratch sfnt.Buffer
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Zs, r) {
			return ' '
		}
		glyph, err := p.glyphs.GlyphIndex(&scratch, r)
		if err != nil || glyph == 0 || r > 0xFFFF || !strconv.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}
