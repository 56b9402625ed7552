package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"cordon/inspect/compose"
)

// around writes, for each payload that needs no data set, NAME.dcm with it and
// NAME.clean without; and inside.dcm, which has one in the data set as well.
func around(ts *testscript.TestScript, neg bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	write := func(name string, p []byte) { ts.Check(os.WriteFile(filepath.Join(dir, name), p, 0o644)) }
	for _, place := range []compose.Place{compose.Preamble, compose.TrailingPadding, compose.Appended} {
		o := compose.CT(64, 64)
		write(place.Name+".clean", o.File())
		place.Put(o, compose.WindowsProgram())
		write(place.Name+".dcm", o.File())
	}
	o := compose.CT(64, 64)
	compose.PrivateOB.Put(o, compose.WindowsProgram())
	write("inside.clean", o.File())
	compose.Preamble.Put(o, compose.LinuxProgram())
	write("inside.dcm", o.File())
}

func TestOutputIsOutsideOfWhatIsDisarmed(t *testing.T) {
	dir := t.TempDir()
	in, link := filepath.Join(dir, "in"), filepath.Join(dir, "link")
	if err := os.Mkdir(in, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(in, link); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path, output string
		want         bool
	}{
		{in, in, true},
		{in, filepath.Join(in, "a", "b"), true},
		{in, filepath.Join(link, "a", "b"), true},
		{link, filepath.Join(in, "a"), true},
		{in, filepath.Join(dir, "in2"), false},
		{in, dir, false},
		{filepath.Join(in, "file"), filepath.Join(in, "out"), false},
		{in, filepath.Join(in, "..", "out"), false},
		{in, filepath.Join(in, "..out"), true},
	} {
		if got := encloses(c.path, c.output); got != c.want {
			t.Errorf("%s in %s: %v", c.output, c.path, got)
		}
	}
}

func TestNamesInTheOutputMirrorThoseOfTheWalk(t *testing.T) {
	for _, c := range []struct{ root, path, want string }{
		{"images", "images/a/b.dcm", "images/a/b.dcm"},
		{"images/", "images/a/b.dcm", "images/a/b.dcm"},
		{"/media/cd", "/media/cd/a", "cd/a"},
		{"x.dcm", "x.dcm", "x.dcm"},
		{"../x.dcm", "../x.dcm", "x.dcm"},
		{".", "a/b", "a/b"},
		{"..", "../a", "a"},
		{"../..", "../../a", "a"},
		{"/", "/a", "a"},
	} {
		if got := (disarmCommand{Paths: []string{c.root}}).relative(c.path); got != c.want {
			t.Errorf("%s under %s: %s, want %s", c.path, c.root, got, c.want)
		}
	}
}
