package inspect_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"cordon/dicom"
	"cordon/finding"
	"cordon/inspect"
	"cordon/inspect/compose"
)

// judged inspects an object in writes of the given size; 0 means one.
func judged(o inspect.Options, object []byte, cut int) inspect.Outcome {
	in := inspect.New(o)
	if cut <= 0 {
		cut = max(1, len(object))
	}
	for len(object) > 0 {
		n := min(cut, len(object))
		in.Write(object[:n])
		object = object[n:]
	}
	return in.Close()
}

func judgedFile(file []byte) inspect.Outcome {
	return judged(inspect.Options{Decoder: dicom.Options{Size: int64(len(file))}}, file, 0)
}

func has(out inspect.Outcome, id, where string) bool {
	for _, f := range out.Findings {
		if f.ID == id && (where == "" || f.Where == where) {
			return true
		}
	}
	return false
}

// Every payload is found in every place where it can be hidden, and the finding
// says where.
func TestPayloadsAreFoundWhereverTheyHide(t *testing.T) {
	payloads := []struct {
		name, id string
		bytes    []byte
	}{
		{"windows program", "executable", program(t, "windows/amd64")},
		{"windows 32-bit program", "executable", program(t, "windows/386")},
		{"linux program", "executable", program(t, "linux/amd64")},
		{"mac program", "executable", program(t, "darwin/arm64")},
		{"windows header", "executable", compose.WindowsProgram()},
		{"linux header", "executable", compose.LinuxProgram()},
		{"mac header", "executable", compose.MacProgram()},
		{"shortcut", "shortcut", compose.Shortcut()},
		{"eicar", "eicar", compose.EICAR()},
	}
	compositions := 0
	for _, place := range compose.Places() {
		for _, p := range payloads {
			if place.Name == compose.PreambleAndPrivate.Name && !strings.HasPrefix(p.name, "windows") {
				continue
			}
			if len(p.bytes) > 60000 && (place.Name == compose.PrivateLT.Name || place.Name == compose.Palette.Name || place.Name == compose.Overlay.Name) {
				continue // does not fit a 16-bit length
			}
			compositions++
			o := compose.CT(64, 64)
			place.Put(o, p.bytes)
			found := false
			out := judgedFile(o.File())
			for _, f := range out.Findings {
				inPlace := f.Where == place.Where || strings.HasPrefix(f.Where, place.Where+"[")
				if f.Severity >= finding.Suspicious && inPlace {
					found = true
				}
			}
			if !found {
				t.Errorf("%s in %s: found only %v", p.name, place.Name, out.Findings)
			}
			if place.InDataSet && finding.Worst(judged(inspect.Options{Decoder: dicom.Options{TransferSyntax: o.TransferSyntax}}, o.DataSet(), 0).Findings) < finding.Suspicious {
				t.Errorf("%s in %s: not found in the bare data set", p.name, place.Name)
			}
		}
	}
	t.Logf("%d compositions", compositions)
}

// Scripts count at the start of a piece.
func TestScriptsAreFoundWhereTheyWouldRun(t *testing.T) {
	for _, place := range []compose.Place{
		compose.Preamble, compose.PrivateOB, compose.PrivateUN, compose.PrivateOWSwapped, compose.PrivateLT, compose.PrivateUT,
		compose.PrivateNested, compose.EncapsulatedPDF, compose.Fragment, compose.AfterEndOfImage, compose.AfterLastFrame,
		compose.TrailingPadding, compose.Appended, compose.Deflated, compose.Curve, compose.Waveform,
	} {
		o := compose.CT(64, 64)
		place.Put(o, compose.ShellScript())
		if out := judgedFile(o.File()); finding.Worst(out.Findings) != finding.Malicious {
			t.Errorf("in %s: found only %v", place.Name, out.Findings)
		}
	}
}

func TestCleanObjectsHaveNoFindings(t *testing.T) {
	bigEndian := compose.CT(33, 17)
	bigEndian.TransferSyntax = dicom.ExplicitVRBigEndian
	deflated := compose.CT(512, 512)
	deflated.TransferSyntax = dicom.DeflatedExplicitVRLittleEndian
	implicit := compose.CT(512, 512)
	implicit.TransferSyntax = dicom.ImplicitVRLittleEndian
	for name, o := range map[string]*compose.Object{
		"CT": compose.CT(512, 512), "photo": compose.Photo(97, 61), "document": compose.Document(),
		"big endian": bigEndian, "deflated": deflated, "implicit": implicit,
	} {
		out := judgedFile(o.File())
		if len(out.Findings) > 0 || out.Fatal || !out.IsDICOM {
			t.Errorf("%s: %+v", name, out)
		}
		want := finding.Identity{
			SOPClassUID: string(o.SOPClass), SOPInstanceUID: string(o.Instance), StudyInstanceUID: string(o.Study),
			SeriesInstanceUID: string(o.Series), TransferSyntaxUID: string(o.TransferSyntax),
		}
		if out.Identity != want {
			t.Errorf("%s: identity %+v, want %+v", name, out.Identity, want)
		}
	}
}

// What is found does not depend on how the network cut the object.
func TestCutsDoNotMatter(t *testing.T) {
	for _, place := range compose.Places() {
		o := compose.CT(64, 64)
		place.Put(o, compose.WindowsProgram())
		file := o.File()
		want := fmt.Sprint(judgedFile(file).Findings)
		for _, cut := range []int{1, 7, 1000} {
			out := judged(inspect.Options{Decoder: dicom.Options{Size: int64(len(file))}}, file, cut)
			if got := fmt.Sprint(out.Findings); got != want {
				t.Errorf("%s, writes of %d:\n%s\nin one:\n%s", place.Name, cut, got, want)
			}
		}
	}
}

// A hostile object cannot fill memory or a page with findings.
func TestFindingsAreCapped(t *testing.T) {
	o := compose.CT(8, 8)
	o.SetFunc(0x00091010, func(w *dicom.Writer) {
		w.BeginSequence(0x00091010, dicom.Undefined)
		for range 1000 {
			w.BeginItem(dicom.Undefined)
			w.Element(0x00091011, dicom.OB, compose.EICAR())
			w.EndItem()
		}
		w.EndSequence()
	})
	out := judgedFile(o.File())
	if len(out.Findings) != 16 {
		t.Fatalf("%d findings", len(out.Findings))
	}
	if last := out.Findings[15].Detail; !strings.Contains(last, "984 more") {
		t.Errorf("the last one says %q", last)
	}
}

// Pieces reach an outside engine each from its own first byte.
func TestPiecesAreCarved(t *testing.T) {
	for _, place := range compose.Places() {
		if place.Name == compose.PreambleAndPrivate.Name || place.Name == compose.PrivateMiddle.Name || place.Name == compose.ICCProfile.Name ||
			strings.HasPrefix(place.Name, "pixel-data") || strings.HasSuffix(place.Name, "swapped") {
			continue // not at the start of a piece, or not as it stands
		}
		o := compose.CT(64, 64)
		payload := compose.WindowsProgram()
		place.Put(o, payload)
		want := payload
		switch place.Name {
		case compose.Preamble.Name:
			want = payload[:128]
		case compose.SplitFragments.Name:
			want = payload[:30]
		}
		var carved []*copied
		file := o.File()
		judged(inspect.Options{Decoder: dicom.Options{Size: int64(len(file))}, Pieces: func(p inspect.Piece) io.WriteCloser {
			carved = append(carved, &copied{where: p.Where})
			return carved[len(carved)-1]
		}}, file, 100)
		found := false
		for _, c := range carved {
			if !c.closed {
				t.Errorf("%s: the piece %s was not closed", place.Name, c.where)
			}
			found = found || bytes.HasPrefix(c.Bytes(), want)
		}
		if !found {
			t.Errorf("%s: no piece begins with the payload", place.Name)
		}
	}
}

type copied struct {
	bytes.Buffer
	where  string
	closed bool
}

func (c *copied) Close() error { c.closed = true; return nil }

// A program among medical images is malicious, whatever its name.
func TestPlainFiles(t *testing.T) {
	for _, c := range []struct {
		name string
		file []byte
		id   string // "" : nothing above info
	}{
		{"empty", nil, ""},
		{"text", []byte("Read me first: open DICOMDIR with a viewer."), ""},
		{"web page", []byte("<!DOCTYPE html><html><body>Images</body></html>"), ""},
		{"windows program", program(t, "windows/amd64"), "executable"},
		{"linux program", program(t, "linux/amd64"), "executable"},
		{"mac program", program(t, "darwin/arm64"), "executable"},
		{"shell script", compose.ShellScript(), "script"},
		{"autorun", []byte("[autorun]\r\nopen=viewer.exe\r\n"), "script"},
		{"shortcut", compose.Shortcut(), "shortcut"},
		{"eicar", compose.EICAR(), "eicar"},
	} {
		out := judgedFile(c.file)
		if out.IsDICOM || out.Fatal {
			t.Errorf("%s: DICOM %v, fatal %v", c.name, out.IsDICOM, out.Fatal)
		}
		if c.id == "" && finding.Worst(out.Findings) > finding.Info || c.id != "" && !has(out, c.id, "file") {
			t.Errorf("%s: %v", c.name, out.Findings)
		}
	}
}
