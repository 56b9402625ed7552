package graph

import (
	"cmp"
	"fmt"
	"html"
	"slices"
	"strings"
	"unicode"
)

// dress says how each part looks: as attributes.
type dress map[string]string

// classes are for a page, whose style knows them.
var classes = dress{
	"svg": `class="graph"`, "ground": `class="g-ground"`, "zone": `class="g-zone"`, "node": `class="g-node"`, "look": `class="g-node g-look"`, "bar": `class="g-bar"`,
	"title": `class="g-title"`, "label": `class="g-label"`, "note": `class="g-note"`,
	"seen": `class="g-seen"`, "declared": `class="g-declared"`, "undeclared": `class="g-undeclared"`,
	"seen.tip": `class="g-seen-tip"`, "declared.tip": `class="g-declared-tip"`, "undeclared.tip": `class="g-undeclared-tip"`,
}

// colours are for paper.
var colours = dress{
	"svg": `font-family="sans-serif"`, "ground": `fill="#ffffff"`, "zone": `fill="#f3f5f8" stroke="#76818f"`, "node": `fill="#ffffff" stroke="#76818f"`, "look": `fill="#ffffff" stroke="#a33b00" stroke-width="2"`, "bar": `fill="#e4f1fa" stroke="#005b96" stroke-width="2"`,
	"title": `font-size="13" font-weight="bold" fill="#17202a"`, "label": `font-size="13" fill="#17202a"`, "note": `font-size="11" fill="#4f5b68"`,
	"seen": `fill="none" stroke="#005b96" stroke-width="1.5"`, "declared": `fill="none" stroke="#4f5b68" stroke-width="1.2" stroke-dasharray="5 4"`, "undeclared": `fill="none" stroke="#a33b00" stroke-width="3"`,
	"seen.tip": `fill="#005b96"`, "declared.tip": `fill="#4f5b68"`, "undeclared.tip": `fill="#a33b00"`,
}

var kinds = map[Kind]string{Seen: "seen", Declared: "declared", Undeclared: "undeclared"}

// picture is what is being written.
type picture struct {
	strings.Builder
	dress dress
	at    layout
}

func (g Graph) draw(d dress) string {
	p := &picture{dress: d, at: g.place()}
	whole := p.at.height + legend
	fmt.Fprintf(p, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %.0f" width="%d" height="%.0f" role="img" aria-label="%s" %s>`, width, whole, width, whole, text(g.Title), d["svg"])
	fmt.Fprintf(p, `<title>%s</title><rect width="%d" height="%.0f" %s/>`, text(g.Title), width, whole, d["ground"])
	p.bar(g.Words.Bar)
	for _, z := range p.at.zones {
		p.zone(z)
	}
	p.lines(g.Lines)
	for _, z := range p.at.zones {
		for _, n := range z.nodes {
			p.node(n)
		}
	}
	p.legend(g.Words)
	p.WriteString(`</svg>`)
	return p.String()
}

func (p *picture) bar(word string) {
	fmt.Fprintf(p, `<rect x="%d" y="%d" width="%d" height="%.0f" rx="6" %s/>`, barAt, top, bar, p.at.height-top, p.dress["bar"])
	p.text(barAt+bar/2, top+18, "title", "middle", word)
}

func (p *picture) zone(z placed) {
	fmt.Fprintf(p, `<rect x="%.0f" y="%.1f" width="%.0f" height="%.0f" rx="6" %s/>`, z.x, z.y, z.w, z.h, p.dress["zone"])
	p.text(z.x+frame, z.y+17, "title", "start", cut(z.Title, mostTitle))
}

// Letters that fit beside each other.
const mostTitle, mostLabel, mostNote = 34, 22, 20

func (p *picture) node(n Node) {
	b := p.at.nodes[n.ID]
	look := "node"
	if n.Look {
		look = "look"
	}
	fmt.Fprintf(p, `<g><title>%s</title><rect x="%.0f" y="%.1f" width="%.0f" height="%.0f" rx="3" %s/>`, text(strings.TrimSpace(n.Label+" "+n.Note)), b.x, b.y, b.w, b.h, p.dress[look])
	label := n.Label
	if n.Look {
		label = "▲ " + label
	}
	p.text(b.x+6, b.y+14.5, "label", "start", cut(label, mostLabel))
	p.text(b.x+b.w-6, b.y+14.5, "note", "end", cut(n.Note, mostNote))
	p.WriteString(`</g>`)
}

// lines draws what is harmless first, so that what is not stays on top.
func (p *picture) lines(all []Line) {
	order := map[Kind]int{Declared: 0, Seen: 1, Undeclared: 2}
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b Line) int { return cmp.Compare(order[a.Kind], order[b.Kind]) })
	for _, l := range all {
		if way, ok := p.way(l); ok {
			p.line(l, way)
		}
	}
}

// way is a curve: from, two points that pull it, to.
type way [4]point

type point struct{ x, y float64 }

// way is how a line goes: straight to and from the bar, in a curve past it, and
// around the outside between two of one side.
func (p *picture) way(l Line) (way, bool) {
	from, known := p.at.nodes[l.From]
	to, called := p.at.nodes[l.To]
	switch {
	case l.From == Bar && called:
		from = box{barAt, to.y, bar, to.h}
	case l.To == Bar && known:
		to = box{barAt, from.y, bar, from.h}
	case !known || !called:
		return way{}, false
	}
	a, b := point{from.x + from.w, from.middle()}, point{to.x, to.middle()}
	switch {
	case from.x == to.x && from.x < barAt:
		out := pull(a.y, b.y)
		return way{{from.x, a.y}, {from.x - out, a.y}, {to.x - out, b.y}, {to.x, b.y}}, true
	case from.x == to.x:
		out := pull(a.y, b.y)
		return way{a, {a.x + out, a.y}, {to.x + to.w + out, b.y}, {to.x + to.w, b.y}}, true
	case from.x > to.x:
		a, b = point{from.x, from.middle()}, point{to.x + to.w, to.middle()}
	}
	half := (b.x - a.x) / 2
	return way{a, {a.x + half, a.y}, {b.x - half, b.y}, b}, true
}

// pull is how far out a line between two of one side goes: the further apart they
// are the further, within the margin.
func pull(a, b float64) float64 { return min(30+max(a-b, b-a)/6, margin+12) }

// at is the point of the way at a share of it (Bézier, De Casteljau).
func (w way) at(t float64) point {
	u := 1 - t
	f := func(a, b, c, d float64) float64 { return u*u*u*a + 3*u*u*t*b + 3*u*t*t*c + t*t*t*d }
	return point{f(w[0].x, w[1].x, w[2].x, w[3].x), f(w[0].y, w[1].y, w[2].y, w[3].y)}
}

func (p *picture) line(l Line, w way) {
	kind := kinds[l.Kind]
	fmt.Fprintf(p, `<g><title>%s</title><path d="M%.1f %.1fC%.1f %.1f %.1f %.1f %.1f %.1f" %s/>`, text(l.Label), w[0].x, w[0].y, w[1].x, w[1].y, w[2].x, w[2].y, w[3].x, w[3].y, p.dress[kind])
	tip := 7.0
	if w[2].x > w[3].x {
		tip = -tip
	}
	end := w[3]
	fmt.Fprintf(p, `<path d="M%.1f %.1fl%.1f -4v8z" %s/>`, end.x, end.y, -tip, p.dress[kind+".tip"])
	if l.Kind == Undeclared {
		m := w.at(0.5)
		p.triangle(m.x, m.y, kind)
	}
	p.WriteString(`</g>`)
}

func (p *picture) triangle(x, y float64, kind string) {
	fmt.Fprintf(p, `<path d="M%.1f %.1fl9 16h-18z" %s/>`, x, y-10, p.dress[kind+".tip"])
}

// legend says what the lines mean.
func (p *picture) legend(w Words) {
	x, y := float64(margin), p.at.height+legend/2+4
	for _, one := range []struct {
		kind Kind
		word string
	}{{Seen, w.Seen}, {Declared, w.Declared}, {Undeclared, w.Undeclared}} {
		fmt.Fprintf(p, `<path d="M%.0f %.0fh56" %s/>`, x, y, p.dress[kinds[one.kind]])
		if one.kind == Undeclared {
			p.triangle(x+28, y, kinds[one.kind])
		}
		p.text(x+66, y+4.5, "label", "start", one.word)
		x += 90 + 7.5*float64(len([]rune(one.word)))
	}
}

func (p *picture) text(x, y float64, look, anchor, s string) {
	if s != "" {
		fmt.Fprintf(p, `<text x="%.0f" y="%.1f" text-anchor="%s" %s>%s</text>`, x, y, anchor, p.dress[look], text(s))
	}
}

// text is a text as XML can hold it: whatever is no character of it is replaced.
func text(s string) string {
	return html.EscapeString(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == 0xFFFE || r == 0xFFFF {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(s, string(unicode.ReplacementChar))))
}

// cut is a text of at most so many letters.
func cut(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}
