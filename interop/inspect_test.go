package interop

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cordon/dicom"
	"cordon/finding"
	"cordon/inspect"
	"cordon/inspect/compose"
)

// inspected inspects a file of the machine.
func inspected(t *testing.T, path string) inspect.Outcome {
	t.Helper()
	p, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	in := inspect.New(inspect.Options{Decoder: dicom.Options{Size: int64(len(p))}})
	for len(p) > 0 {
		n := min(len(p), 16<<10)
		in.Write(p[:n])
		p = p[n:]
	}
	return in.Close()
}

func held(o inspect.Outcome) bool { return o.Fatal || finding.Worst(o.Findings) > finding.Info }

func filesIn(t *testing.T, folder string) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) == 0 {
		t.Fatalf("%s: no files", folder)
	}
	return paths
}

// A blocked real image harms a patient; a hostile one that passes harms all.
func TestCorpusIsJudgedAsExpected(t *testing.T) {
	for kind, want := range map[string]func(inspect.Outcome) bool{
		"valid":     func(o inspect.Outcome) bool { return !held(o) },
		"odd":       func(o inspect.Outcome) bool { return !held(o) },
		"malformed": func(o inspect.Outcome) bool { return len(o.Findings) > 0 },
		"hostile":   held,
	} {
		for _, path := range filesIn(t, filepath.Join("testdata", "corpus", kind)) {
			if out := inspected(t, path); !want(out) {
				t.Errorf("%s: fatal %v, found %v", path, out.Fatal, out.Findings)
			}
		}
	}
}

func TestCorpusIsUnchanged(t *testing.T) {
	list, err := os.Open(filepath.Join("testdata", "corpus", "manifest.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer list.Close()
	lines := bufio.NewScanner(list)
	for lines.Scan() {
		fields := strings.Split(lines.Text(), "\t")
		if fields[0] == "path" {
			continue
		}
		p, err := os.ReadFile(filepath.Join("testdata", "corpus", fields[0]))
		if err != nil {
			t.Error(err)
			continue
		}
		sum := sha256.Sum256(p)
		if !bytes.Contains(lines.Bytes(), []byte(hex.EncodeToString(sum[:]))) {
			t.Errorf("%s: not the file of the manifest", fields[0])
		}
	}
}

// unreadable are pydicom's own test files that end too early or lose their
// structure. pydicom reads the start of them; they are held as unparseable.
var unreadable = map[string]bool{
	"test_files/MR_truncated.dcm":                true, // 62 bytes of pixel data are missing
	"test_files/rtplan_truncated.dcm":            true, // ends inside an item
	"test_files/dicomdirtests/DICOMDIR-nooffset": true, // ends inside a directory record
}

// No real file that pydicom is tested with is held.
func TestPydicomFilesAreAdmitted(t *testing.T) {
	admitted := 0
	for _, folder := range []string{"test_files", "charset_files", "palettes"} {
		for _, path := range filesIn(t, filepath.Join(pydicomData, folder)) {
			name, err := filepath.Rel(pydicomData, path)
			if err != nil {
				t.Fatal(err)
			}
			out := inspected(t, path)
			switch {
			case unreadable[name]:
				if !out.Fatal || finding.Worst(out.Findings) > finding.Info {
					t.Errorf("%s: fatal %v, found %v", name, out.Fatal, out.Findings)
				}
			case held(out):
				t.Errorf("%s: fatal %v, found %v", name, out.Fatal, out.Findings)
			default:
				admitted++
			}
		}
	}
	t.Logf("%d files admitted", admitted)
}

// Debian's clamav-testfiles holds one harmless Windows program, packed in many
// ways. As plain files those that are programs are held.
func TestPlainProgramsAreHeld(t *testing.T) {
	for _, path := range filesIn(t, "/usr/share/clamav-testfiles") {
		out := inspected(t, path)
		if program := strings.HasSuffix(path, ".exe"); program && !held(out) {
			t.Errorf("%s: found %v", path, out.Findings)
		}
	}
}

// The same programs, hidden where a scanner of whole files does not look.
func TestProgramsAreFoundInsideObjects(t *testing.T) {
	hidden := 0
	for _, path := range filesIn(t, "/usr/share/clamav-testfiles") {
		program, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(path, ".exe") || !bytes.HasPrefix(program, []byte("MZ")) || len(program) > 30000 {
			continue
		}
		for _, place := range compose.Places() {
			if place.Name == compose.PreambleAndPrivate.Name {
				continue // needs a header of 64 bytes that leads elsewhere
			}
			o := compose.CT(64, 64)
			place.Put(o, program)
			in := inspect.New(inspect.Options{})
			in.Write(o.File())
			if out := in.Close(); finding.Worst(out.Findings) == finding.Info {
				t.Errorf("%s in %s: found %v", filepath.Base(path), place.Name, out.Findings)
			}
			hidden++
		}
	}
	t.Logf("%d compositions", hidden)
}
