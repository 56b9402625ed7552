package interop

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"hash"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cordon/dicom"
)

// pydicomData holds all of pydicom's test files, those of testFiles and others.
const pydicomData = "/usr/lib/python3/dist-packages/pydicom/data"

// reading is what a reader makes of a file: its elements by path.
type reading map[string]elementFact

// elementFact is what two readers must agree on.
type elementFact struct {
	vr     string // as encoded; empty where VRs are implicit
	length int64  // as declared
	sum    string // SHA-256 of the value; empty for sequences
}

// TestReadsWhatPydicomReads compares element by element, at every depth: VR, declared length
// and SHA-256 of the value.
func TestReadsWhatPydicomReads(t *testing.T) {
	files := pydicomFiles(t)
	read, elements := 0, 0
	for _, theirs := range readByPydicom(t, files) {
		name := strings.TrimPrefix(theirs.File, pydicomData+"/")
		if theirs.Error != "" {
			if strings.HasSuffix(name, ".dcm") {
				t.Errorf("%s: pydicom: %s", name, theirs.Error)
			}
			continue
		}
		if why, ok := readDifferently[name]; ok {
			t.Logf("%s: not compared: %s", name, why)
			continue
		}
		read++
		elements += len(theirs.Elements)
		compareReadings(t, name, readByUs(t, theirs.File), theirs.reading(t))
	}
	if read < 150 {
		t.Errorf("compared %d files, expected at least 150", read)
	}
	t.Logf("compared %d files, %d elements", read, elements)
}

// readDifferently are the files that pydicom reads in another way than we do, and why.
var readDifferently = map[string]string{
	"test_files/no_meta.dcm": "a stray byte precedes its first element; pydicom, forced, reads the tag (0820,0500), we read no data set",
}

// TestPeersReadWhatWriterWrites: pydicom reads the same elements as we do, dcmdump finds nothing to say.
func TestPeersReadWhatWriterWrites(t *testing.T) {
	dir := t.TempDir()
	var files []string
	for _, u := range []dicom.UID{
		dicom.ImplicitVRLittleEndian, dicom.ExplicitVRLittleEndian, dicom.ExplicitVRBigEndian,
		dicom.DeflatedExplicitVRLittleEndian, dicom.RLELossless,
	} {
		name := filepath.Join(dir, string(u)+".dcm")
		writeSample(t, name, u)
		files = append(files, name)
		if out, err := exec.Command("dcmdump", "-q", name).CombinedOutput(); err != nil {
			t.Errorf("%s: dcmdump: %v\n%s", u, err, out)
		}
		if out, err := exec.Command("dcmdump", name).CombinedOutput(); err != nil || bytes.Contains(out, []byte("W: ")) {
			t.Errorf("%s: dcmdump: %v\n%s", u, err, out)
		}
	}
	for _, theirs := range readByPydicom(t, files) {
		if theirs.Error != "" || len(theirs.Elements) < 20 {
			t.Errorf("%s: pydicom: %s, %d elements", theirs.File, theirs.Error, len(theirs.Elements))
		}
		compareReadings(t, filepath.Base(theirs.File), readByUs(t, theirs.File), theirs.reading(t))
	}
}

// writeSample writes a file with sequences of both forms, private elements, numbers and Pixel Data.
func writeSample(t *testing.T, name string, u dicom.UID) {
	t.Helper()
	ts, ok := dicom.LookupTransferSyntax(u)
	if !ok {
		t.Fatal(u)
	}
	var b bytes.Buffer
	if err := dicom.WriteFileMeta(&b, dicom.FileMeta{
		SOPClassUID: dicom.SecondaryCaptureImageStorage, SOPInstanceUID: "2.25.1", TransferSyntaxUID: u, SourceAETitle: "CORDON",
	}); err != nil {
		t.Fatal(err)
	}
	w := dicom.NewWriter(&b, ts)
	w.String(dicom.TagSOPClassUID, dicom.UI, string(dicom.SecondaryCaptureImageStorage))
	w.String(dicom.TagSOPInstanceUID, dicom.UI, "2.25.1")
	for i, form := range []dicom.LengthForm{dicom.Defined, dicom.Undefined} {
		w.BeginSequence([]dicom.Tag{dicom.NewTag(0x0008, 0x1140), dicom.TagReferencedSOPSequence}[i], form)
		w.BeginItem(!form)
		w.String(dicom.TagReferencedSOPClassUID, dicom.UI, "1.2")
		w.BeginSequence(dicom.NewTag(0x0040, 0xA170), form)
		w.BeginItem(form)
		w.EndItem()
		w.EndSequence()
		w.EndItem()
		w.EndSequence()
	}
	w.String(dicom.NewTag(0x0009, 0x0010), dicom.LO, "CORDON TEST")
	w.Element(dicom.NewTag(0x0009, 0x1001), dicom.UN, []byte("odd"))
	w.String(dicom.TagPatientName, dicom.PN, "Test^Writer")
	w.Uint16(dicom.TagSamplesPerPixel, 1)
	w.Uint16(dicom.TagRows, 4)
	w.Uint16(dicom.TagColumns, 4)
	w.Uint16(dicom.TagBitsAllocated, 16)
	if ts.Encapsulated {
		w.BeginEncapsulated(dicom.TagPixelData)
		w.Fragment(nil)
		w.Fragment(make([]byte, 65))
		w.EndEncapsulated()
	} else {
		w.Element(dicom.TagPixelData, dicom.OW, make([]byte, 32))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

func compareReadings(t *testing.T, name string, ours, theirs reading) {
	t.Helper()
	for path, their := range theirs {
		our, ok := ours[path]
		switch {
		case !ok:
			t.Errorf("%s: %s: pydicom reads it, we do not", name, path)
		case their.vr != our.vr && their.length >= 0 && their.vr != "":
			t.Errorf("%s: %s: VR %q, pydicom %q", name, path, our.vr, their.vr)
		case their.length >= 0 && their.length != our.length:
			t.Errorf("%s: %s: length %d, pydicom %d", name, path, our.length, their.length)
		case their.sum != "" && their.sum != our.sum:
			t.Errorf("%s: %s: the values differ", name, path)
		}
	}
	for path := range ours {
		if _, ok := theirs[path]; !ok {
			t.Errorf("%s: %s: we read it, pydicom does not", name, path)
		}
	}
}

func pydicomFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(pydicomData, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("pydicom's test files (Debian package python3-pydicom): %v", err)
	}
	return files
}

// pydicomReading is a line that testdata/pydicom_elements.py prints.
type pydicomReading struct {
	File     string
	Error    string
	Elements [][4]any
}

func (p *pydicomReading) reading(t *testing.T) reading {
	t.Helper()
	r := make(reading)
	for _, e := range p.Elements {
		path, ok0 := e[0].(string)
		vr, ok1 := e[1].(string)
		length, ok2 := e[2].(float64)
		sum, ok3 := e[3].(string)
		if !ok0 || !ok1 || !ok2 || !ok3 {
			t.Fatalf("%s: element %v", p.File, e)
		}
		r[path] = elementFact{vr: vr, length: int64(length), sum: sum}
	}
	return r
}

func readByPydicom(t *testing.T, files []string) []pydicomReading {
	t.Helper()
	cmd := exec.Command("/usr/bin/python3", "testdata/pydicom_elements.py")
	cmd.Stdin = strings.NewReader(strings.Join(files, "\n") + "\n")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("pydicom (Debian package python3-pydicom): %v\n%s", err, stderr.Bytes())
	}
	var all []pydicomReading
	for line := range bytes.Lines(out) {
		var r pydicomReading
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	if len(all) != len(files) {
		t.Fatalf("pydicom answered for %d of %d files", len(all), len(files))
	}
	return all
}

func readByUs(t *testing.T, file string) reading {
	t.Helper()
	p, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r := &factReader{facts: make(reading)}
	d := dicom.NewDecoder(r, dicom.Options{Size: int64(len(p))})
	if _, err := d.Write(p); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	return r.facts
}

// factReader is a visitor that notes facts. As in pydicom, the value of encapsulated Pixel Data is
// its fragments with their headers, and of several elements with one path the last counts.
type factReader struct {
	facts reading
	sum   hash.Hash
}

func (r *factReader) Begin(e *dicom.Element) {
	switch e.Kind {
	case dicom.KindElement, dicom.KindEncapsulated:
		r.sum = sha256.New()
	case dicom.KindFragment:
		r.sum.Write(e.Header)
	}
}

func (r *factReader) Value(e *dicom.Element, p []byte) {
	if e.Kind == dicom.KindElement || e.Kind == dicom.KindFragment {
		r.sum.Write(p)
	}
}

func (r *factReader) End(e *dicom.Element) {
	f := elementFact{length: int64(e.Length)}
	if e.Explicit {
		f.vr = e.VR.String()
	}
	switch e.Kind {
	case dicom.KindElement, dicom.KindEncapsulated:
		f.sum = hex.EncodeToString(r.sum.Sum(nil))
		fallthrough
	case dicom.KindSequence:
		r.facts[e.Path()] = f
	}
}

func (r *factReader) Anomaly(*dicom.Element, dicom.Anomaly) {}
