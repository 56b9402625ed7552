package monoculture

import (
	"fmt"
	"math"
	"strings"
)

// The bounds of the words for an index: see the package comment.
const (
	somewhatAlike = 0.15
	alike         = 0.25
)

// Word is what an index means: "varied", "somewhat alike" or "alike".
func Word(index float64) string {
	switch {
	case index > alike:
		return "alike"
	case index > somewhatAlike:
		return "somewhat alike"
	}
	return "varied"
}

// sentence says what one attack on a group takes.
func (g Group) sentence(p property, of int) string {
	says := fmt.Sprintf("One attack on %s %s takes %d of %s (%s).", p.noun, g.Value, len(g.Devices), devices(of), percent(g.Share))
	var still, less []string
	for _, s := range g.Stops {
		name := s.Modality
		if name == "" {
			name = "of no known modality"
		}
		switch {
		case s.Modality != "" && s.Still():
			still = append(still, name)
		default:
			less = append(less, fmt.Sprintf("%s %d of %d", name, s.Lost, s.Of))
		}
	}
	if len(still) > 0 {
		says += " No examination with " + strings.Join(still, ", ") + " is left."
	}
	if len(less) > 0 {
		says += " Lost in part: " + strings.Join(less, ", ") + "."
	}
	return says
}

// sentence says how alike devices are in one thing.
func (a Attribute) sentence() string {
	unknown := ""
	if n := len(a.Unknown); n > 0 {
		unknown = fmt.Sprintf(" Of %s nobody has said it.", devices(n))
	}
	switch {
	case a.devices == 0:
		return "There are no devices yet."
	case len(a.Groups) == 0:
		return "Nothing is known." + unknown
	case a.Many:
		return fmt.Sprintf("The most common is on %d of %s (%s).", len(a.Groups[0].Devices), devices(a.devices), percent(a.Groups[0].Share)) + unknown
	}
	says := fmt.Sprintf("In this the devices are %s: index %.2f, as if they were of %s in equal parts.", Word(a.Index), a.Index, kinds(a.Index))
	if unknown != "" {
		says += unknown + fmt.Sprintf(" If these are of the largest group: index %.2f, %s.", a.Worst, Word(a.Worst))
	}
	return says
}

// kinds is the number of equal groups that have the same index.
func kinds(index float64) string {
	n := int(math.Round(1 / index))
	if n == 1 {
		return "1 kind"
	}
	return fmt.Sprintf("%d kinds", n)
}

func devices(n int) string {
	if n == 1 {
		return "1 device"
	}
	return fmt.Sprintf("%d devices", n)
}

func percent(share float64) string { return fmt.Sprintf("%.0f %%", math.Round(100*share)) }
