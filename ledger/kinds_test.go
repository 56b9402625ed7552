package ledger_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cordon/alarm"
	"cordon/ledger"
)

// readers look for kinds, those of later versions too, and write none of what
// they look for.
var readers = []string{
	"../review/rules.go", "../review/analysis.go", "../review/opened.go", "../evidence/facts.go", "../evidence/mapping.go",
	"../setting/keys.go", "../console/report/spans.go", "../console/report/sections.go", "../ledger/atna/alerts.go", "../ledger/atna/events.go", "../ledger/atna/ecs.go",
}

// literals returns the strings of the program that look like kinds, each with
// where it stands.
func literals(t *testing.T) map[string]string {
	t.Helper()
	looks := regexp.MustCompile(`^[a-z]+\.[a-z_]+$`)
	found := map[string]string{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "bench" || d.Name() == "interop" || d.Name() == "testdata" || d.Name() == "inspect"):
			return filepath.SkipDir
		case !strings.HasSuffix(path, ".go"), strings.HasSuffix(path, "_test.go"), strings.HasSuffix(path, "ledger/kinds.go"), slices.Contains(readers, path):
			return nil
		case strings.HasPrefix(path, "../cmd/cordon/config"): // its keys look alike
			return nil
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if s, err := strconv.Unquote(lit.Value); err == nil && looks.MatchString(s) {
					found[s] = set.Position(lit.Pos()).String()
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// notKinds look like kinds and are none: files, and keys of the configuration.
var notKinds = []string{
	"ledger.last", "ledger.seal", "witness.listen", "witness.tls", "witness.logs", "ledger.witness", "audit.ecs", "audit.jsonl",
	"evidence.pdf", "evidence.json", "evidence.csv", "review.owner", "audit.review", "device.csv", "step.list",
	"plan.closed", "plan.fresh", "plan.allowed", // sets of packets' addresses
	"tokens.json",
}

func TestEveryKindIsListed(t *testing.T) {
	prefixes, names := map[string]bool{}, map[string]bool{}
	for _, k := range ledger.Kinds() {
		prefix, _, _ := strings.Cut(k.Name, ".")
		prefixes[prefix], names[k.Name] = true, true
		for _, key := range strings.Fields(k.Sealed) {
			if !slices.Contains(strings.Fields(k.Keys), key) {
				t.Errorf("%s: sealed %s is no key of it", k.Name, key)
			}
		}
		if k.Owner == "" || !strings.HasSuffix(k.Means, ".") {
			t.Errorf("%s: owner or sentence is missing", k.Name)
		}
	}
	written, texts := literals(t), texts(t)
	for name, at := range written {
		prefix, _, _ := strings.Cut(name, ".")
		if prefixes[prefix] && !names[name] && !slices.Contains(notKinds, name) && !isAlarm(name) && !texts[name] && !strings.HasSuffix(name, ".html") {
			t.Errorf("%s: %s is not among the kinds: give it a row in ledger/kinds.go", at, name)
		}
	}
	for name := range names {
		if _, ok := written[name]; !ok {
			t.Errorf("%s is listed, and nothing writes it", name)
		}
	}
}

// texts are the keys of the console's, which look alike.
func texts(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("../console/view/strings/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	all := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var keys map[string]string
		if err := json.Unmarshal(text, &keys); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for key := range keys {
			all[key] = true
		}
	}
	return all
}

// isAlarm reports whether a name is that of a kind of alarm: they look alike.
func isAlarm(name string) bool {
	return slices.ContainsFunc(alarm.Kinds(), func(k alarm.Kind) bool { return k.Name == name })
}

const page = "../docs/ledger.md"

// TestThePageListsEveryKind holds the catalogue in docs/ledger.md against the
// kinds; with UPDATE=1 it writes it.
func TestThePageListsEveryKind(t *testing.T) {
	var table strings.Builder
	table.WriteString("| kind | written by | what it says | keys of its body |\n|---|---|---|---|\n")
	for _, k := range ledger.Kinds() {
		keys := strings.Fields(k.Keys)
		slices.Sort(keys)
		keys = slices.Compact(keys)
		for i, key := range keys {
			if slices.Contains(strings.Fields(k.Sealed), key) {
				keys[i] = "**" + key + "**"
			}
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", k.Name, k.Owner, k.Means, strings.Join(keys, ", "))
	}
	section(t, "kinds", table.String())
}

// section holds the part of the page between <!-- NAME --> and <!-- end --> against
// what it must be.
func section(t *testing.T, name, want string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	begin := []byte("<!-- " + name + " -->\n")
	head, rest, ok := bytes.Cut(text, begin)
	old, tail, ok2 := bytes.Cut(rest, []byte("<!-- end -->"))
	if !ok || !ok2 {
		t.Fatalf("%s has no section %s", page, name)
	}
	if string(old) == want {
		return
	}
	if os.Getenv("UPDATE") == "" {
		t.Fatalf("%s: section %s is not what the program says; run UPDATE=1 go test ./ledger", page, name)
	}
	all := slices.Concat(head, begin, []byte(want), []byte("<!-- end -->"), tail)
	if err := os.WriteFile(page, all, 0o644); err != nil {
		t.Fatal(err)
	}
}
