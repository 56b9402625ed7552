package report

import (
	"cmp"
	"fmt"
	"slices"

	"cordon/monoculture"
)

// picture is a bar for each attribute, in the units of an SVG.
type picture struct {
	Width, Height int
	Bars          []bar
}

// bar is one attribute: the largest group first, what nobody has said last.
type bar struct {
	Title string
	Y     int // of its words; the bar is below
	Parts []part
}

// part is one group of a bar.
type part struct {
	Class  string // svg-first, svg-other, svg-rest, svg-unknown
	X, Y   int
	Width  int
	Label  string // in it; "" if there is no room
	Title  string // for who points at it, and for ears
	LabelX int
	LabelY int
}

const (
	pictureWidth = 720
	rowHeight    = 52
	barHeight    = 22
	letter       = 8 // units that one letter takes
)

// shares draws what devices have in common; nothing if there are no devices.
func shares(r monoculture.Report) (p picture) {
	if r.Devices == 0 {
		return p
	}
	p.Width = pictureWidth
	for _, a := range r.Attributes {
		if a.Many {
			continue // its groups overlap: the table has them
		}
		b := bar{Title: a.Title, Y: p.Height + 16}
		p.Height += rowHeight
		x := 0
		add := func(class, value string, n int) {
			to := x + pictureWidth*n/r.Devices
			one := part{Class: class, X: x, Y: b.Y + 6, Width: max(1, to-x-2), Title: fmt.Sprintf("%s: %d of %d", value, n, r.Devices), LabelX: x + 6, LabelY: b.Y + 22}
			if one.Label = fmt.Sprintf("%s %d", value, n); letter*len([]rune(one.Label)) > one.Width {
				one.Label = fmt.Sprint(n)
			}
			if letter*len(one.Label)+6 > one.Width {
				one.Label = ""
			}
			b.Parts = append(b.Parts, one)
			x = to
		}
		for i, g := range a.Groups {
			class := "svg-other"
			switch {
			case i == 0:
				class = "svg-first"
			case i%2 == 0:
				class = "svg-rest"
			}
			add(class, g.Value, len(g.Devices))
		}
		if len(a.Unknown) > 0 {
			add("svg-unknown", "?", len(a.Unknown))
		}
		p.Bars = append(p.Bars, b)
	}
	p.Height += 6
	return p
}

// attack is what one attack would take: a column of devices for each modality.
type attack struct {
	Group         monoculture.Group
	Width, Height int
	Columns       []column
}

type column struct {
	Modality string
	X, Y     int // of its words
	Squares  []square
	Still    bool
}

// StillY is where it says that nothing is left.
func (c column) StillY() int { return c.Y + 17 }

// square is one device.
type square struct {
	X, Y  int
	X2    int
	Y2    int
	Taken bool
}

const (
	side       = 20
	gap        = 5
	columnWide = 84
	mostHigh   = 8 // squares in a column; further ones are beside them
)

// attackOf draws the attack that takes most.
func attackOf(r monoculture.Report) *attack {
	if r.Worst == nil {
		return nil
	}
	a := &attack{Group: *r.Worst}
	stops := slices.Clone(r.Worst.Stops)
	slices.SortStableFunc(stops, func(x, y monoculture.Stop) int { return cmp.Compare(y.Lost, x.Lost) })
	high := 0
	for _, s := range stops {
		high = max(high, min(s.Of, mostHigh))
	}
	base := high*(side+gap) + gap
	for _, s := range stops {
		c := column{Modality: s.Modality, X: a.Width, Y: base + 16, Still: s.Modality != "" && s.Still()}
		for i := range s.Of {
			x, y := a.Width+i/mostHigh*(side+gap), base-(i%mostHigh+1)*(side+gap)
			c.Squares = append(c.Squares, square{x, y, x + side, y + side, i < s.Lost})
		}
		a.Columns = append(a.Columns, c)
		a.Width += max(columnWide, (s.Of-1)/mostHigh*(side+gap)+columnWide)
	}
	a.Height = base + 40
	return a
}

// Side is how wide a square is.
func (square) Side() int { return side }
