// Package graph draws who talks to whom: devices on the left, what they talk to on
// the right, and between them the bar that traffic should go through. A line that
// passes the bar by is seen to.
//
// Ordinary use:
//
//	g := graph.Graph{Title: "Who talks to whom", Zones: zones, Nodes: nodes, Lines: lines, Words: words}
//	html := g.Page()   // within a page: classes, which the console's style has colours for
//	file := g.File()   // a file of its own, with its own colours, for paper
//
// A line that was declared and not seen is dashed; one that was seen and nobody
// declared is thick and has a triangle on it: neither is told by its colour alone.
// The place of everything follows from what is drawn and its order alone, so that two
// pictures can be compared. All texts are escaped. It knows no devices and decides
// nothing, and what is too much to read it draws all the same: whoever asks filters.
package graph

import (
	"cmp"
	"html/template"
	"slices"
)

// Side is where a zone stands.
type Side int

const (
	Left  Side = iota // who calls
	Right             // who is called
)

// Zone is a part of the network, with a frame around it.
type Zone struct {
	ID, Title string
	Side      Side
}

// Node is a device, an archive, a server or an address.
type Node struct {
	ID    string
	Zone  string // its ID; one that is not drawn is Right, without a frame's title
	Label string
	Note  string // an address
	Look  bool   // somebody must look at it
}

// Bar is the ID of what stands in the middle, for lines.
const Bar = "|"

// Kind is what is known of a line.
type Kind int

const (
	Seen       Kind = iota // and declared
	Declared               // and never seen
	Undeclared             // and seen
)

// Line is that one talks to another: to the bar, from the bar, or past it.
type Line struct {
	From, To string
	Kind     Kind
	Label    string // what for, by which ports
}

// Words are what the picture says itself.
type Words struct{ Bar, Seen, Declared, Undeclared string }

// Graph is what is drawn.
type Graph struct {
	Title string
	Words Words
	Zones []Zone
	Nodes []Node
	Lines []Line
}

// Page is the picture within a page.
func (g Graph) Page() template.HTML { return template.HTML(g.draw(classes)) }

// File is the picture as a file of its own.
func (g Graph) File() []byte {
	return []byte("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" + g.draw(colours))
}

// Measures, in units of the picture.
const (
	row, frame, head, between = 24, 8, 26, 14
	margin, column, gap, bar  = 76, 280, 190, 104
	top, legend               = 8, 44
	width                     = 2*margin + 2*column + 2*gap + bar
	barAt                     = margin + column + gap
	rightAt                   = barAt + bar + gap
)

// box is where something was put.
type box struct{ x, y, w, h float64 }

func (b box) middle() float64 { return b.y + b.h/2 }

// layout is where everything was put.
type layout struct {
	zones  []placed
	nodes  map[string]box
	height float64
}

type placed struct {
	Zone
	box
	nodes []Node
}

// place stacks the zones of each side, in their order, with their nodes by name.
func (g Graph) place() layout {
	l := layout{nodes: map[string]box{}}
	var ends [2]float64
	for _, side := range []Side{Left, Right} {
		x, y := float64(margin), float64(top)
		if side == Right {
			x = rightAt
		}
		for _, z := range g.zonesOf(side) {
			nodes := g.in(z)
			if len(nodes) == 0 {
				continue
			}
			p := placed{z, box{x, y, column, head + float64(len(nodes)*row) + frame}, nodes}
			for i, n := range nodes {
				l.nodes[n.ID] = box{x + frame, y + head + float64(i*row), column - 2*frame, row - 4}
			}
			l.zones = append(l.zones, p)
			y += p.h + between
		}
		ends[side] = y - between
	}
	l.height = max(ends[Left], ends[Right], 120)
	l.centre(ends)
	return l
}

// centre moves the shorter side to the middle of the longer one.
func (l layout) centre(ends [2]float64) {
	for i, z := range l.zones {
		by := (l.height - ends[z.Side]) / 2
		l.zones[i].y += by
		for _, n := range z.nodes {
			b := l.nodes[n.ID]
			b.y += by
			l.nodes[n.ID] = b
		}
	}
}

// zonesOf are the zones of a side; on the right also one for nodes of no zone.
func (g Graph) zonesOf(side Side) []Zone {
	var out []Zone
	for _, z := range g.Zones {
		if z.Side == side {
			out = append(out, z)
		}
	}
	if side == Right {
		out = append(out, Zone{Side: Right})
	}
	return out
}

func (g Graph) in(z Zone) []Node {
	known := func(id string) bool { return slices.ContainsFunc(g.Zones, func(z Zone) bool { return z.ID == id }) }
	var out []Node
	for _, n := range g.Nodes {
		if n.Zone == z.ID || z.ID == "" && !known(n.Zone) {
			out = append(out, n)
		}
	}
	slices.SortStableFunc(out, func(a, b Node) int { return cmp.Compare(a.Label, b.Label) })
	return out
}
