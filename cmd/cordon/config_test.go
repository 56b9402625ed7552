package main

import (
	"strings"
	"testing"

	"github.com/goccy/go-yaml/ast"
)

// TestNestedConfigTakesNoMemory: each of these would take the parser gigabytes.
func TestNestedConfigTakesNoMemory(t *testing.T) {
	for _, piece := range []string{"[", "{a: ", "- ", "[\n", "- {a: [\n"} {
		d := &document{dir: "/nowhere", places: map[string]ast.Node{}}
		d.parse([]byte(strings.Repeat(piece, 100_000)))
		if len(d.problems) != 1 || !strings.Contains(d.problems[0].Text, "more than 32 levels") {
			t.Errorf("%q: %+v", piece, d.problems)
		}
	}
}

// FuzzConfig: whatever a configuration file holds, the answer is a
// configuration or problems with their places, never a panic.
func FuzzConfig(f *testing.F) {
	f.Add([]byte("gateway: {listen: 127.0.0.1:104, tls: {listen: a}}\narchives: [{name: a}]\n"))
	f.Add([]byte("devices:\n  - {name: a, ae_title: A, addresses: [10.0.0.0/8], may: [echo]}\npolicy: {unscanned: hold}\n"))
	f.Add([]byte("site: &a b\ndata: *a\n---\n<<: {}\n? x\n: y\n"))
	f.Add([]byte("console:\n  tls:\n    key: |\n      a\n    certificate: !!str b\nengines:\naudit: \"x\"\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		d := &document{dir: "/nowhere", places: map[string]ast.Node{}}
		d.parse(text)
		for _, p := range d.problems {
			if p.Line < 1 || p.Column < 1 || p.Text == "" {
				t.Errorf("%+v", p)
			}
		}
	})
}
