package atna

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
)

// The page for operators has the tables as they are.
func TestPageHasTheTables(t *testing.T) {
	const page, begin, end = "../../docs/audit.md", "<!-- table:", "<!-- end -->"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), begin)
	comment, rest, ok2 := strings.Cut(rest, "\n")
	_, tail, ok3 := strings.Cut(rest, end)
	if !ok || !ok2 || !ok3 {
		t.Fatalf("%s has no place for the table", page)
	}
	want := head + begin + comment + "\n" + table(t) + end + tail
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if !bytes.Equal(text, []byte(want)) {
		t.Errorf("%s has another table: go test ./ledger/atna -update", page)
	}
}

// table is what each kind of record causes, in Markdown, by what the samples make.
func table(t *testing.T) string {
	var out strings.Builder
	out.WriteString("| event | from the record | type, and our own |\n|---|---|---|\n")
	for _, e := range events {
		var types []string
		var id Code
		for _, r := range samples(t) {
			if r.Kind != e.kind || e.when != nil && !e.when(readBody(r.Body)) {
				continue
			}
			m := e.messages(&scene{ctx: t.Context(), r: Renderer{node, vault{}}, rec: r, body: readBody(r.Body)})
			if len(m) > 0 {
				id, types = m[0].Event.ID, nil
				for _, c := range m[0].Event.Types {
					types = append(types, c.Value+" "+c.Text)
				}
			}
		}
		fmt.Fprintf(&out, "| %s %s | `%s` | %s |\n", id.Value, id.Text, e.kind, strings.Join(types, ", "))
	}
	for _, a := range alerts {
		fmt.Fprintf(&out, "| %s %s | `%s` | %s %s; `%s`: %s |\n", securityAlert.Value, securityAlert.Text, a.kind, a.typ.Value, a.typ.Text, a.what.Value, a.what.Text)
	}
	return out.String()
}
