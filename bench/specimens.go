package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"
)

const (
	corpusFiles    = "interop/testdata/corpus"
	pydicomCharset = "/usr/lib/python3/dist-packages/pydicom/data/charset_files"
	toolTime       = 30 * time.Second // for one conversion of one file
)

// A specimen is one file with the class that it is counted in.
type specimen struct {
	class, name, path string
	malformed         bool   // it, or what it was converted from, breaks off or lies about its structure
	limit             string // why Cordon alone does not find it, if it need not
}

// A collection is a folder of real files.
type collection struct {
	class, folder string
	malformed     bool
}

var collections = [...]collection{
	{"corpus, valid", corpusFiles + "/valid", false},
	{"corpus, odd", corpusFiles + "/odd", false},
	{"corpus, malformed", corpusFiles + "/malformed", true},
	{"pydicom, test files", pydicomFiles, false},
	{"pydicom, character sets", pydicomCharset, false},
}

// truncated are pydicom's files that end too early; people made them so, to test
// how much of them can be read.
var truncated = map[string]bool{
	"MR_truncated.dcm":     true, // 62 bytes of pixel data are missing
	"rtplan_truncated.dcm": true, // ends inside an item
	"DICOMDIR-nooffset":    true, // ends inside a directory record
}

// A conversion is a tool of DCMTK with the option that says what it writes.
type conversion []string

// Encoders have the files themselves and what decoders make of them.
var (
	rewriters = []conversion{{"dcmconv", "+ti"}, {"dcmconv", "+te"}, {"dcmconv", "+tb"}, {"dcmconv", "+td"}}
	decoders  = []conversion{{"dcmdjpeg", "+te"}, {"dcmdjpeg", "+tb"}, {"dcmdjpeg", "+ti"}, {"dcmdjpls", "+te"}, {"dcmdrle", "+te"}}
	encoders  = []conversion{
		{"dcmcjpeg", "+e1"}, {"dcmcjpeg", "+el"}, {"dcmcjpeg", "+eb"}, {"dcmcjpeg", "+ee"}, {"dcmcjpeg", "+es"}, {"dcmcjpeg", "+ep"},
		{"dcmcjpeg", "+e1", "+fs", "4", "-ot"},
		{"dcmcjpls", "+el"}, {"dcmcjpls", "+en"}, {"dcmcrle"}, {"dcmcrle", "+fs", "4", "-ot"},
	}
)

// A gatherer collects files, each once by its bytes.
type gatherer struct {
	dir       string // where conversions are written
	seen      map[[sha256.Size]byte]bool
	specimens []specimen
	refused   int // conversions that a tool would not make
	same      int // conversions that were byte for byte a file that was there
}

// realFiles gathers the collections and what DCMTK can make of them.
func realFiles(ctx context.Context, dir string) (*gatherer, error) {
	g := &gatherer{dir: dir, seen: map[[sha256.Size]byte]bool{}}
	for _, c := range collections {
		if err := g.collect(c); err != nil {
			return nil, err
		}
	}
	files := once(g.specimens)
	g.convert(ctx, rewriters, files)
	decoded := g.convert(ctx, decoders, files)
	g.convert(ctx, encoders, append(files, decoded...))
	slices.SortStableFunc(g.specimens, func(a, b specimen) int { return cmp.Compare(rank(a), rank(b)) })
	return g, ctx.Err()
}

const madeOfMalformed = "made of malformed"

// rank puts the classes that are not of one tool or one place at the end.
func rank(s specimen) int {
	return slices.Index([]string{madeOfMalformed, programClass, wrappedClass}, s.class)
}

// collect adds the files of a folder, those of the same bytes too.
func (g *gatherer) collect(c collection) error {
	return filepath.WalkDir(c.folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		name := c.class + ": " + d.Name()
		if path, err = filepath.Abs(path); err != nil {
			return err
		}
		if _, err := g.isNew(path); err != nil {
			return err
		}
		g.specimens = append(g.specimens, specimen{class: c.class, name: name, path: path, malformed: c.malformed || truncated[d.Name()]})
		return nil
	})
}

// isNew says whether no file of these bytes was there before.
func (g *gatherer) isNew(path string) (bool, error) {
	p, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	digest := sha256.Sum256(p)
	old := g.seen[digest]
	g.seen[digest] = true
	return !old, nil
}

// convert makes every conversion of every source and returns those that are new.
func (g *gatherer) convert(ctx context.Context, conversions []conversion, sources []specimen) []specimen {
	before := len(g.specimens)
	for _, c := range conversions {
		outs := make([]string, len(sources))
		concurrently(len(sources), func(i int) { outs[i] = g.run(ctx, c, sources[i]) })
		for i, out := range outs {
			g.keep(c, sources[i], out)
		}
	}
	return slices.Clone(g.specimens[before:])
}

// keep adds the outcome of a conversion, if there is one and it is a new file.
func (g *gatherer) keep(c conversion, from specimen, out string) {
	if out == "" {
		g.refused++
		return
	}
	if fresh, err := g.isNew(out); err != nil || !fresh {
		g.same++
		return
	}
	class, name := c[0], from.name
	for _, option := range c[1:] {
		class += " " + option
	}
	name += " | " + class
	if from.malformed {
		class = madeOfMalformed
	}
	g.specimens = append(g.specimens, specimen{class: class, name: name, path: out, malformed: from.malformed})
}

// run converts one file and returns the new one's path, or "" if the tool
// refused, took too long, or wrote nothing.
func (g *gatherer) run(ctx context.Context, c conversion, from specimen) string {
	ctx, cancel := context.WithTimeout(ctx, toolTime)
	defer cancel()
	dir, err := os.MkdirTemp(g.dir, "made-")
	if err != nil {
		return ""
	}
	out := filepath.Join(dir, "object.dcm")
	argv := append(append([]string{}, c[1:]...), from.path, out)
	if exec.CommandContext(ctx, c[0], argv...).Run() != nil {
		return ""
	}
	if info, err := os.Stat(out); err != nil || info.Size() == 0 {
		return ""
	}
	return out
}

// once leaves out specimens of the same bytes.
func once(all []specimen) []specimen {
	seen := map[[sha256.Size]byte]bool{}
	var out []specimen
	for _, s := range all {
		p, err := os.ReadFile(s.path)
		digest := sha256.Sum256(p)
		if err == nil && !seen[digest] {
			seen[digest] = true
			out = append(out, s)
		}
	}
	return out
}

// concurrently calls fn for 0 to n-1, as many at a time as there are processors.
func concurrently(n int, fn func(i int)) {
	turns := make(chan struct{}, runtime.NumCPU())
	var all sync.WaitGroup
	for i := range n {
		turns <- struct{}{}
		all.Go(func() {
			fn(i)
			<-turns
		})
	}
	all.Wait()
}
