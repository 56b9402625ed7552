package cordon

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cordon/dicom"
	"cordon/policy"
)

var update = flag.Bool("update", false, "write the generated tables of CONFORMANCE.md")

// The tables of SOP classes and transfer syntaxes in CONFORMANCE.md are what the
// code has.
func TestConformanceTablesAreTheCodes(t *testing.T) {
	text, err := os.ReadFile("CONFORMANCE.md")
	if err != nil {
		t.Fatal(err)
	}
	want := replaceTable(t, string(text), "SOP classes", sopClasses())
	want = replaceTable(t, want, "transfer syntaxes", transferSyntaxes())
	if want == string(text) {
		return
	}
	if !*update {
		t.Fatal("CONFORMANCE.md is not what the code has: run go test -run Conformance -update .")
	}
	if err := os.WriteFile("CONFORMANCE.md", []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// replaceTable puts a table between its marks.
func replaceTable(t *testing.T, text, name, table string) string {
	t.Helper()
	mark := "<!-- " + name + ": made by go test -run Conformance -update . -->\n"
	before, rest, ok := strings.Cut(text, mark)
	_, after, ended := strings.Cut(rest, "<!-- end -->")
	if !ok || !ended {
		t.Fatalf("CONFORMANCE.md has no place for the %s", name)
	}
	return before + mark + table + "<!-- end -->" + after
}

// sopClasses lists what can be negotiated, by service and then as PS3.6 does.
func sopClasses() string {
	order := policy.Services()
	all := slices.DeleteFunc(dicom.UIDNames(), func(u dicom.UIDName) bool {
		return !strings.HasSuffix(u.Type, "SOP Class") || u.Name == "" || policy.ServiceOf(u.UID) == ""
	})
	slices.SortStableFunc(all, func(a, b dicom.UIDName) int {
		return cmp.Compare(slices.Index(order, policy.ServiceOf(a.UID)), slices.Index(order, policy.ServiceOf(b.UID)))
	})
	var b strings.Builder
	b.WriteString("| service | SOP class | UID |\n|---|---|---|\n")
	for _, u := range all {
		name := strings.TrimSuffix(strings.TrimSuffix(u.Name, " SOP Class"), " SOP Class UID")
		if u.Retired {
			name += " (retired)"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", policy.ServiceOf(u.UID), name, u.UID)
	}
	return b.String()
}

func transferSyntaxes() string {
	var b strings.Builder
	b.WriteString("| transfer syntax | UID |\n|---|---|\n")
	for _, u := range dicom.UIDNames() {
		if ts, ok := dicom.LookupTransferSyntax(u.UID); ok && u.Type == "Transfer Syntax" {
			fmt.Fprintf(&b, "| %s | %s |\n", ts.Name, ts.UID)
		}
	}
	return b.String()
}

// Every status that the code has a name of its own for is in CONFORMANCE.md.
func TestConformanceHasEveryStatus(t *testing.T) {
	text, err := os.ReadFile("CONFORMANCE.md")
	if err != nil {
		t.Fatal(err)
	}
	number := regexp.MustCompile(`0x([AC][0-9A-F]{3})\b`)
	found := 0
	for _, pattern := range []string{"gateway/statuses.go", "query/query.go", "folder/*.go", "bridge/status.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, file := range files {
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range number.FindAllStringSubmatch(string(source), -1) {
				found++
				if !strings.Contains(string(text), m[1]) {
					t.Errorf("%s: status %s is not in CONFORMANCE.md", file, m[1])
				}
			}
		}
	}
	if found < 12 {
		t.Errorf("%d statuses found", found)
	}
}
