package alarm

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

const page = "../docs/alarms.md"

// The page for people has the table as it is; UPDATE=1 writes it.
func TestPageHasTheKinds(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- kinds -->\n", "<!-- end -->"
	head, rest, ok := strings.Cut(string(text), begin)
	old, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", page)
	}
	var table strings.Builder
	table.WriteString("| kind | severity | of each | what it means | what to do | ends |\n|---|---|---|---|---|---|\n")
	for _, k := range Kinds() {
		ends := "a person closes it"
		if k.Lasting {
			ends = "by itself"
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s | %s | %s |\n", k.Name, k.Severity, k.Subject, k.Means, k.Do, ends)
	}
	if old == table.String() {
		return
	}
	if os.Getenv("UPDATE") == "" {
		t.Fatalf("%s has another table: UPDATE=1 go test ./alarm", page)
	}
	if err := os.WriteFile(page, []byte(head+begin+table.String()+end+tail), 0o644); err != nil {
		t.Fatal(err)
	}
}
