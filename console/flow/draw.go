package flow

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"cordon/console/graph"
)

// graph is the picture of some wires, and how many lines it has no room for: one line
// for each two who talk, whatever they talk about, since a picture is for seeing who.
func (s *pages) graph(wires []Wire, known map[string]party, most int) (g graph.Graph, left int) {
	t := s.View.Text
	g.Title = t("map.picture")
	g.Words = graph.Words{Bar: gatewayName, Seen: t("map.is_both"), Declared: t("map.is_unseen"), Undeclared: t("map.is_undeclared")}
	g.Lines = lines(wires)
	left = max(0, len(g.Lines)-most)
	g.Lines = g.Lines[:len(g.Lines)-left]
	var drawn []string
	for _, l := range g.Lines {
		drawn = with(with(drawn, l.From), l.To)
	}
	slices.Sort(drawn)
	others := map[graph.Side]string{graph.Left: t("map.other_callers"), graph.Right: t("map.others")}
	for _, name := range drawn {
		if name == graph.Bar {
			continue
		}
		p := known[name]
		z := graph.Zone{Side: graph.Right, Title: p.zone}
		if p.calls {
			z.Side = graph.Left
		}
		z.Title = cmp.Or(z.Title, others[z.Side])
		z.ID = fmt.Sprint(z.Side, z.Title)
		if !slices.Contains(g.Zones, z) {
			g.Zones = append(g.Zones, z)
		}
		g.Nodes = append(g.Nodes, graph.Node{ID: name, Zone: z.ID, Label: name, Note: p.address, Look: p.look})
	}
	slices.SortStableFunc(g.Zones, func(a, b graph.Zone) int {
		return cmp.Or(last(a.Title == others[a.Side], b.Title == others[b.Side]), cmp.Compare(a.Title, b.Title))
	})
	return g, left
}

// last puts what is so behind what is not.
func last(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// lines joins the wires of each two to one line, as suspicious as its worst.
func lines(wires []Wire) (out []graph.Line) {
	at := map[[2]string]int{}
	for _, w := range wires {
		l := graph.Line{From: bar(w.From), To: bar(w.To), Kind: kind(w), Label: w.From + " → " + w.To + ": " + w.Service}
		i, ok := at[[2]string{l.From, l.To}]
		if !ok {
			at[[2]string{l.From, l.To}] = len(out)
			out = append(out, l)
			continue
		}
		o := &out[i]
		if !strings.Contains(o.Label, w.Service) && strings.Count(o.Label, ",") < mostServices {
			o.Label += ", " + w.Service
		}
		o.Kind = worse(o.Kind, l.Kind)
	}
	return out
}

const mostServices = 8 // that a line names

// worse has what nobody declared before what was seen, and that before what was not.
func worse(a, b graph.Kind) graph.Kind {
	for _, k := range []graph.Kind{graph.Undeclared, graph.Seen} {
		if a == k || b == k {
			return k
		}
	}
	return graph.Declared
}

func kind(w Wire) graph.Kind {
	switch w.Kind() {
	case "undeclared":
		return graph.Undeclared
	case "unseen":
		return graph.Declared
	}
	return graph.Seen
}

func bar(name string) string {
	if name == gatewayName {
		return graph.Bar
	}
	return name
}
