package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"cordon/console/answer"
	"cordon/console/route"
)

const commentsFile = "../../console/openapi/comments.go"

// What the description of the interface says of types and keys is what their
// comments say; UPDATE=1 writes it.
func TestCommentsOfTheInterface(t *testing.T) {
	types := described(newAPI(t).routes)
	said := comments{}
	for _, pkg := range slices.Sorted(maps.Keys(packagesOf(types))) {
		said.read(t, pkg)
	}
	want := said.source(t, types)
	old, err := os.ReadFile(commentsFile)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(old, want) {
		return
	}
	if os.Getenv("UPDATE") == "" {
		t.Fatal("console/openapi/comments.go is not what the types' comments say: UPDATE=1 go test -run CommentsOfTheInterface ./cmd/cordon, then the same with -run PageOfTheInterface")
	}
	if err := os.WriteFile(commentsFile, want, 0o644); err != nil {
		t.Fatal(err)
	}
}

// described are the types of this program that the interface reads and writes.
func described(routes []route.Route) map[reflect.Type]bool {
	out := map[reflect.Type]bool{}
	reach(reflect.TypeFor[answer.Problem](), out)
	for _, r := range routes {
		for _, v := range []any{r.Doc.Request, r.Doc.Form, r.Doc.Response} {
			if r.API() && v != nil {
				reach(reflect.TypeOf(v), out)
			}
		}
	}
	return out
}

// reach notes a type and those it is made of.
func reach(t reflect.Type, out map[reflect.Type]bool) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		reach(t.Elem(), out)
	}
	if !strings.HasPrefix(t.PkgPath(), "cordon/") || out[t] {
		return
	}
	out[t] = true
	if t.Kind() != reflect.Struct {
		return
	}
	for f := range t.Fields() {
		if key, _, _ := strings.Cut(f.Tag.Get("json"), ","); key != "-" {
			reach(f.Type, out)
		}
	}
}

func packagesOf(types map[reflect.Type]bool) map[string]bool {
	out := map[string]bool{}
	for t := range types {
		out[t.PkgPath()] = true
	}
	return out
}

// comments are what the source says of types and their fields, as one line each:
// under cordon/alarm.Item and cordon/alarm.Item.Count.
type comments map[string]string

// read adds those of a package.
func (c comments) read(t *testing.T, pkg string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../..", strings.TrimPrefix(pkg, "cordon/"), "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("the source of %s: %d files, %v", pkg, len(files), err)
	}
	words := map[string][]string{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if group, ok := d.(*ast.GenDecl); ok {
				c.declared(group, pkg, words)
			}
		}
	}
	for name, all := range words {
		if text := c[name]; text != "" {
			c[name] = text + " One of " + strings.Join(all, ", ") + "."
		}
	}
}

// declared adds those of a declaration, and to words the values of constants that
// have a type and are texts.
func (c comments) declared(group *ast.GenDecl, pkg string, words map[string][]string) {
	for _, spec := range group.Specs {
		switch one := spec.(type) {
		case *ast.TypeSpec:
			doc := one.Doc
			if doc == nil && !group.Lparen.IsValid() {
				doc = group.Doc
			}
			name := pkg + "." + one.Name.Name
			c[name] = sentence(doc, one.Name.Name)
			if s, ok := one.Type.(*ast.StructType); ok {
				c.fields(s, name)
			}
		case *ast.ValueSpec:
			kind, ok := one.Type.(*ast.Ident)
			if !ok || group.Tok != token.CONST || len(one.Values) != 1 {
				continue
			}
			if text, ok := one.Values[0].(*ast.BasicLit); ok && text.Kind == token.STRING && text.Value != `""` {
				name := pkg + "." + kind.Name
				words[name] = append(words[name], strings.Trim(text.Value, `"`))
			}
		}
	}
}

func (c comments) fields(s *ast.StructType, name string) {
	for _, f := range s.Fields.List {
		for _, n := range f.Names {
			text := oneLine(f.Comment)
			if text == "" {
				text = sentence(f.Doc, n.Name)
			}
			c[name+"."+n.Name] = text
		}
	}
}

// sentence is a comment that begins with the name of what it is about, without
// that: "State says how far it is." becomes "Says how far it is."
func sentence(c *ast.CommentGroup, name string) string {
	text := oneLine(c)
	for _, article := range []string{"A ", "An ", "The "} {
		text = strings.TrimPrefix(text, article+name+" ")
	}
	text = strings.TrimPrefix(text, name+" ")
	for _, verb := range []string{"is ", "are "} {
		text = strings.TrimPrefix(text, verb)
	}
	if text == "" {
		return ""
	}
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:]
}

// oneLine is a comment as one line, for people who do not write Go.
func oneLine(c *ast.CommentGroup) string {
	words := strings.Fields(c.Text())
	for i, w := range words {
		if strings.TrimRight(w, ":;,.") == "nil" {
			words[i] = "none" + w[3:]
		}
	}
	return strings.Join(words, " ")
}

// source is the Go file of what is said of types.
func (c comments) source(t *testing.T, types map[reflect.Type]bool) []byte {
	t.Helper()
	var names []string
	for one := range types {
		name := one.PkgPath() + "." + one.Name()
		names = append(names, name)
		if one.Kind() != reflect.Struct {
			continue
		}
		for f := range one.Fields() {
			if key, _, _ := strings.Cut(f.Tag.Get("json"), ","); key != "-" && key != "" {
				names = append(names, name+"."+f.Name)
			}
		}
	}
	slices.Sort(names)
	var out bytes.Buffer
	out.WriteString("// Code generated by UPDATE=1 go test -run CommentsOfTheInterface ./cmd/cordon; DO NOT EDIT.\n\n" +
		"package openapi\n\n// comments are what the source says of the types of the interface, and of their fields.\n" +
		"func comments() map[string]string {\n\treturn map[string]string{\n")
	for _, name := range names {
		if c[name] != "" {
			fmt.Fprintf(&out, "%q: %s,\n", name, quoted(c[name]))
		}
	}
	out.WriteString("\t}\n}\n")
	text, err := format.Source(out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// quoted is a text in Go, with as few backslashes as can be.
func quoted(text string) string {
	if strings.Contains(text, `"`) && strconv.CanBackquote(text) {
		return "`" + text + "`"
	}
	return strconv.Quote(text)
}
