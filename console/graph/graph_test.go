package graph

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// hospital is a graph of n devices and an archive, with lines of each kind.
func hospital(n int) Graph {
	g := Graph{
		Title: "Who talks to whom", Words: Words{"Cordon", "declared and seen", "declared, not seen", "not declared"},
		Zones: []Zone{{"modalities", "Modalities", Left}, {"archive", "Archive", Right}},
		Nodes: []Node{{ID: "pacs", Zone: "archive", Label: "pacs", Note: "192.0.2.10"}, {ID: "ws", Label: "192.0.2.99"}},
		Lines: []Line{{Bar, "pacs", Seen, "DICOM"}},
	}
	for i := range n {
		id := fmt.Sprintf("us-%02d", i)
		g.Nodes = append(g.Nodes, Node{ID: id, Zone: "modalities", Label: id, Note: fmt.Sprintf("192.0.2.%d", i)})
		g.Lines = append(g.Lines, Line{id, Bar, Kind(i % 2), "DICOM"})
	}
	g.Lines = append(g.Lines, Line{"us-00", "us-01", Undeclared, "tcp 445"}, Line{"us-01", "ws", Undeclared, "tcp 445"})
	return g
}

func wellFormed(t *testing.T, text string) (elements map[string]int) {
	t.Helper()
	elements = map[string]int{}
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return elements
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if e, ok := token.(xml.StartElement); ok {
			elements[e.Name.Local]++
		}
	}
}

func TestNothingOverlaps(t *testing.T) {
	l := hospital(60).place()
	var all []box
	for _, b := range l.nodes {
		for _, c := range all {
			if b.x < c.x+c.w && c.x < b.x+b.w && b.y < c.y+c.h && c.y < b.y+b.h {
				t.Fatalf("%v over %v", b, c)
			}
		}
		all = append(all, b)
		if b.y < 0 || b.y+b.h > l.height || b.x < margin || b.x+b.w > width-margin {
			t.Errorf("%v is outside", b)
		}
	}
	if len(all) != 62 {
		t.Errorf("%d nodes", len(all))
	}
}

func TestHostileNamesAreText(t *testing.T) {
	g := hospital(2)
	for _, evil := range []string{`</text><script>alert(1)</script>`, `"/><image href="https://evil.example/x"/>`, "a\x00b\xff\ufffe\n", "]]>&lt;"} {
		g.Nodes[0].Label, g.Nodes[0].Note, g.Lines[0].Label, g.Title = evil, evil, evil, evil
		for _, text := range []string{string(g.Page()), string(g.File())} {
			if e := wellFormed(t, text); e["script"]+e["image"] != 0 || e["svg"] != 1 {
				t.Errorf("%q: %v", evil, e)
			}
		}
	}
}

// In a page nothing says how it looks but classes; a file has no style sheet, which a
// strict policy would not apply.
func TestLooksAreClassesOrAttributes(t *testing.T) {
	g := hospital(3)
	if page := string(g.Page()); strings.Contains(page, "style") || strings.Contains(page, "stroke=") {
		t.Error(page)
	}
	if file := string(g.File()); strings.Contains(file, "style") || strings.Contains(file, "class=") || !strings.Contains(file, "stroke-dasharray") {
		t.Error(file)
	}
}

// What is dashed, thick or has a triangle is told without colours.
func TestKindsDifferInShape(t *testing.T) {
	triangles := func(g Graph) int { return strings.Count(string(g.File()), "l9 16h-18z") }
	g := hospital(4)
	with := triangles(g)
	g.Lines = g.Lines[:len(g.Lines)-2]
	if without := triangles(g); with != without+2 {
		t.Errorf("%d triangles, and %d", with, without)
	}
	if n := strings.Count(string(g.File()), "stroke-dasharray"); n != 2+1 { // and the legend's
		t.Errorf("%d dashed lines", n)
	}
}

func TestLineToNobodyIsNotDrawn(t *testing.T) {
	g := hospital(2)
	n := wellFormed(t, string(g.File()))["g"]
	g.Lines = append(g.Lines, Line{"us-00", "nobody", Seen, ""}, Line{Bar, Bar, Seen, ""})
	if m := wellFormed(t, string(g.File()))["g"]; m != n {
		t.Errorf("%d groups, want %d", m, n)
	}
}

func TestEmptyGraphIsDrawn(t *testing.T) {
	wellFormed(t, string(Graph{}.File()))
}
