package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxConfig bounds a configuration file; a thousand devices are a tenth of it.
const maxConfig = 1 << 20

// Problem is one thing that is wrong with a configuration file.
type Problem struct {
	Line, Column int
	Text         string // what is wrong and what to write instead
}

// ConfigError is everything that is wrong with a configuration file, in the
// order of the file.
type ConfigError struct {
	Path     string
	Problems []Problem
}

func (e *ConfigError) Error() string {
	return fmt.Sprintf("configuration has %s\n%s", count(len(e.Problems), "problem"), e.lines())
}

// lines is one line for each problem, as compilers write them.
func (e *ConfigError) lines() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = fmt.Sprintf("%s:%d:%d: %s", e.Path, p.Line, p.Column, p.Text)
	}
	return strings.Join(lines, "\n")
}

// readConfig reads a configuration file over the defaults. If the content is
// wrong the error is a *ConfigError that lists every problem. Relative paths in
// the file are relative to the folder that it is in. With tls, the files of its TLS
// keys must be good too; Cordon itself starts without, and closes what needs them.
func readConfig(path string, tls bool) (Config, error) {
	text, err := readSmallFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("configuration: %w", err)
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return Config{}, fmt.Errorf("configuration: %w", err)
	}
	d := &document{dir: dir, places: map[string]ast.Node{}, tlsFiles: tls}
	c := d.parse(text)
	if len(d.problems) == 0 {
		c.Digest = fmt.Sprintf("%x", sha256.Sum256(text))
		c.Values = d.values()
		c.Declared, c.Said = d.declared(), d.said()
		return c, nil
	}
	slices.SortStableFunc(d.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return Config{}, &ConfigError{path, d.problems}
}

// readSmallFile reads a regular file of at most maxConfig bytes. It does not
// wait for the other end of a pipe.
func readSmallFile(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err == nil && len(text) > maxConfig {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxConfig)
	}
	return text, err
}

// document reads the nodes of one file and notes what is wrong with them. It
// goes on after a problem, so that one run shows them all.
type document struct {
	dir      string // of the file
	tlsFiles bool   // read them, too
	at       []string
	places   map[string]ast.Node // "devices[0].archive" → its value
	problems []Problem
}

// keys are the keys that a mapping may have, each with what reads its value.
type keys map[string]func(ast.Node)

func (d *document) parse(text []byte) Config {
	text = bytes.TrimPrefix(text, []byte("\uFEFF")) // the byte order mark that some editors write (YAML 1.2 §5.2)
	c := defaults()
	c.Data = filepath.Join(d.dir, c.Data)
	if line := tooDeep(text); line > 0 {
		d.problems = append(d.problems, Problem{line, 1, fmt.Sprintf("not a configuration: more than %d levels", maxLevels)})
		return c
	}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		d.syntax(err)
		return c
	}
	if len(file.Docs) > 1 {
		d.wrong(file.Docs[1].Body, "a second document; write one document a file")
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return c
	}
	d.config(file.Docs[0].Body, &c)
	return c
}

// maxLevels is several times what a configuration needs. The parser's memory
// grows with the square of the levels, so they are counted before it sees them.
const maxLevels = 32

// tooDeep is the first line with more levels than maxLevels, or 0: brackets
// that are open, list entries on one line, or the indentation by that many
// steps. It does not know quotes, so it counts too many rather than too few.
func tooDeep(text []byte) int {
	open, line, entries, indent := 0, 1, 0, 0
	for i, c := range text {
		switch c {
		case '[', '{':
			open++
		case ']', '}':
			open = max(0, open-1)
		case '\n':
			line, entries, indent = line+1, 0, 0
		case ' ':
			if i > 0 && text[i-1] == '-' {
				entries++
			}
			if indent >= 0 {
				indent++
			}
			continue
		}
		if open > maxLevels || entries > maxLevels || indent > 4*maxLevels {
			return line
		}
		if c != '\n' {
			indent = -1 // the line's own text has begun
		}
	}
	return 0
}

func (d *document) syntax(err error) {
	var y yaml.Error
	if !errors.As(err, &y) || y.GetToken() == nil {
		d.problems = append(d.problems, Problem{1, 1, "not YAML: " + err.Error()})
		return
	}
	p := y.GetToken().Position
	d.problems = append(d.problems, Problem{p.Line, p.Column, "not YAML: " + y.GetMessage()})
}

// wrong notes a problem with a node, under the node's path.
func (d *document) wrong(n ast.Node, format string, args ...any) {
	d.problem(n, strings.Join(d.at, ""), format, args...)
}

// wrongAt notes a problem with the value at a path that has been read.
func (d *document) wrongAt(path, format string, args ...any) {
	d.problem(d.places[path], path, format, args...)
}

func (d *document) problem(n ast.Node, path, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if path = strings.TrimPrefix(path, "."); path != "" {
		text = path + ": " + text
	}
	p := Problem{Line: 1, Column: 1, Text: text}
	if n != nil {
		p.Line, p.Column = position(n)
	}
	d.problems = append(d.problems, p)
}

// position is where a person would look for the node: at the first key of a
// mapping, not at its first colon.
func position(n ast.Node) (line, column int) {
	switch m := n.(type) {
	case *ast.MappingNode:
		if !m.IsFlowStyle && len(m.Values) > 0 {
			return position(m.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return position(m.Key)
	}
	p := n.GetToken().Position
	return p.Line, p.Column
}

// within runs fn one step further down the document.
func (d *document) within(step string, n ast.Node, fn func(ast.Node)) {
	d.at = append(d.at, step)
	d.places[strings.TrimPrefix(strings.Join(d.at, ""), ".")] = n
	fn(n)
	d.at = d.at[:len(d.at)-1]
}

// mapping reads a mapping that may have the given keys. No value at all is an
// empty mapping.
func (d *document) mapping(n ast.Node, known keys) {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode, *ast.NullNode:
	default:
		d.wrong(n, "expected keys and values: %s", strings.Join(names(known), ", "))
	}
	for _, p := range pairs(n) {
		name := p.Key.GetToken().Value
		read, ok := known[name]
		if !ok {
			d.wrong(p.Key, "unknown key %q; %s", name, suggestion(name, names(known)))
			continue
		}
		d.within("."+name, p.Value, read)
	}
}

// pairs are the keys and values of a mapping.
func pairs(n ast.Node) []*ast.MappingValueNode {
	switch m := n.(type) {
	case *ast.MappingNode:
		return m.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{m}
	}
	return nil
}

// sequence reads a list, each element with read. No value at all is an empty
// list.
func (d *document) sequence(n ast.Node, read func(i int, n ast.Node)) {
	switch s := n.(type) {
	case *ast.SequenceNode:
		for i, v := range s.Values {
			d.within(fmt.Sprintf("[%d]", i), v, func(n ast.Node) { read(i, n) })
		}
	case *ast.NullNode:
	default:
		d.wrong(n, "expected a list: lines that begin with \"- \", or [a, b]")
	}
}

// scalar is the text of a value as it was written, without quotes. It notes a
// problem and answers false if there is none.
func (d *document) scalar(n ast.Node) (string, bool) {
	switch v := n.(type) {
	case *ast.StringNode:
		return strings.TrimSpace(v.Value), true
	case *ast.LiteralNode:
		return strings.TrimSpace(v.Value.Value), true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	case *ast.NullNode:
		d.wrong(n, "no value; write one or take the line out")
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		d.wrong(n, "anchors, aliases and tags are not read; write the value itself")
	default:
		d.wrong(n, "expected one value")
	}
	return "", false
}

func names(known keys) []string {
	out := make([]string, 0, len(known))
	for name := range known {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// suggestion says which of the known words was probably meant.
func suggestion(word string, known []string) string {
	nearest, best := "", len(word)/2+2
	for _, k := range known {
		if n := distance(word, k); n < best {
			nearest, best = k, n
		}
	}
	if nearest == "" {
		return "known here: " + strings.Join(known, ", ")
	}
	return fmt.Sprintf("did you mean %q?", nearest)
}

// distance is the number of single-character insertions, deletions and
// replacements between a and b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
