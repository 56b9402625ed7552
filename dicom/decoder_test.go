package dicom_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"cordon/dicom"
)

// encodings are transfer syntaxes of all the ways in which a data set can be encoded.
var encodings = []dicom.UID{
	dicom.ImplicitVRLittleEndian, dicom.ExplicitVRLittleEndian, dicom.ExplicitVRBigEndian,
	dicom.DeflatedExplicitVRLittleEndian, dicom.JPEGBaseline8Bit, dicom.DeflatedImageFrameCompression,
}

func syntax(t testing.TB, u dicom.UID) dicom.TransferSyntax {
	t.Helper()
	ts, ok := dicom.LookupTransferSyntax(u)
	if !ok {
		t.Fatalf("no transfer syntax %s", u)
	}
	return ts
}

// build writes a data set.
func build(t testing.TB, u dicom.UID, write func(w *dicom.Writer)) []byte {
	t.Helper()
	var b bytes.Buffer
	w := dicom.NewWriter(&b, syntax(t, u))
	write(w)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// file is a Part 10 file of a data set.
func file(t testing.TB, u dicom.UID, dataSet []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	m := dicom.FileMeta{
		SOPClassUID: dicom.CTImageStorage, SOPInstanceUID: "1.2.3", TransferSyntaxUID: u,
		SourceAETitle: "CT1", SendingAETitle: "CT1", ReceivingAETitle: "CORDON",
	}
	m.Preamble[0] = 'I'
	if err := dicom.WriteFileMeta(&b, m); err != nil {
		t.Fatal(err)
	}
	b.Write(dataSet)
	return b.Bytes()
}

// sample writes a data set with something of each kind: strings, numbers, sequences of both
// forms in each other, private elements, Pixel Data native or encapsulated.
func sample(ts dicom.TransferSyntax) func(w *dicom.Writer) {
	return func(w *dicom.Writer) {
		w.String(dicom.TagSOPClassUID, dicom.UI, string(dicom.CTImageStorage))
		w.String(dicom.TagSOPInstanceUID, dicom.UI, "1.2.3")
		w.Uint32(dicom.NewTag(0x0008, 0x1162), 1, 2, 3)
		w.BeginSequence(dicom.TagReferencedSOPSequence, dicom.Defined)
		for range 2 {
			w.BeginItem(dicom.Undefined)
			w.BeginSequence(dicom.NewTag(0x0008, 0x1140), dicom.Undefined)
			w.BeginItem(dicom.Defined)
			w.String(dicom.TagReferencedSOPClassUID, dicom.UI, "1.2")
			w.EndItem()
			w.EndSequence()
			w.String(dicom.TagReferencedSOPInstanceUID, dicom.UI, "1.2.3.4")
			w.EndItem()
		}
		w.EndSequence()
		w.String(dicom.NewTag(0x0009, 0x0010), dicom.LO, "CORDON TEST")
		w.Element(dicom.NewTag(0x0009, 0x1001), dicom.UN, []byte("private"))
		w.String(dicom.TagPatientID, dicom.LO, "4711")
		w.Uint16(dicom.TagRows, 4)
		w.Uint16(dicom.TagColumns, 4)
		w.BeginSequence(dicom.NewTag(0x0040, 0x0275), dicom.Undefined)
		w.BeginItem(dicom.Undefined)
		w.EndItem()
		w.BeginItem(dicom.Defined)
		w.EndItem()
		w.EndSequence()
		if ts.Encapsulated {
			w.BeginEncapsulated(dicom.TagPixelData)
			w.Fragment(nil)
			w.Fragment([]byte("odd"))
			w.Fragment(make([]byte, 300))
			w.EndEncapsulated()
			return
		}
		w.Element(dicom.TagPixelData, dicom.OW, make([]byte, 32))
	}
}

func TestDecodeWhatWriterWrites(t *testing.T) {
	for _, u := range encodings {
		ts := syntax(t, u)
		whole := file(t, u, build(t, u, sample(ts)))
		r := decode(t, dicom.Options{Size: int64(len(whole))}, whole, len(whole))
		for _, a := range r.anomalies {
			t.Errorf("%s: %+v", ts.Name, a)
		}
		if !ts.Deflated && !bytes.Equal(r.bytes.Bytes(), whole) {
			t.Errorf("%s: the bytes visited are not the input", ts.Name)
		}
		events := strings.Join(r.events, "\n")
		for _, want := range []string{
			"begin preamble preamble", "begin (0002,0010) element UI",
			"begin (0008,1199)[1].(0008,1140)[0].(0008,1150) element UI 4 ", "depth 2 ",
			"begin (0009,1001) element UN", "begin (0040,0275)[1] item", "begin (7FE0,0010) ",
		} {
			if !strings.Contains(events, want) {
				t.Errorf("%s: no event %q in\n%s", ts.Name, want, events)
			}
		}
		if ts.Encapsulated && !strings.Contains(events, "begin (7FE0,0010)[2] fragment  300 ") {
			t.Errorf("%s: no third fragment in\n%s", ts.Name, events)
		}
		if !ts.Encapsulated && !strings.Contains(events, "begin (7FE0,0010) element OW 32 ") {
			t.Errorf("%s: no Pixel Data of VR OW in\n%s", ts.Name, events)
		}
	}
}

func TestSplitInvariance(t *testing.T) {
	for _, p := range samples(t) {
		whole := decode(t, dicom.Options{}, p, len(p)+1)
		for _, n := range []int{1, 2, 3, 7, 8, 131} {
			if split := decode(t, dicom.Options{}, p, n); !slices.Equal(whole.events, split.events) {
				t.Errorf("in pieces of %d bytes the events differ:\n%s\nwhole:\n%s", n, strings.Join(split.events, "\n"), strings.Join(whole.events, "\n"))
			}
		}
	}
}

// samples are inputs of every encoding, as files and as bare data sets, sound and cut off.
func samples(t testing.TB) [][]byte {
	var all [][]byte
	for _, u := range encodings {
		dataSet := build(t, u, sample(syntax(t, u)))
		whole := file(t, u, dataSet)
		all = append(all, dataSet, whole, whole[128:], whole[132:], whole[:len(whole)-5],
			append(slices.Clone(whole), "X5O!P%@AP[4\\PZX54(P^)7CC)7}$"...))
	}
	return append(all, nil, []byte("D"), []byte("DICM"), bytes.Repeat([]byte{0}, 300), []byte(strings.Repeat("text ", 60)))
}

// TestReencodeIdentical: no byte escapes the visitor. Header and Value bytes of all events in
// their order are the input, and decode again to the same events.
func TestReencodeIdentical(t *testing.T) {
	for _, p := range samples(t) {
		for n := range len(p) + 1 {
			checkReencode(t, dicom.Options{}, p[:n])
			if n > 200 && len(p)-n > 40 {
				continue
			}
			checkReencode(t, dicom.Options{Size: int64(len(p))}, p[:n])
			checkReencode(t, dicom.Options{TransferSyntax: dicom.ImplicitVRLittleEndian}, p[n:])
			checkReencode(t, dicom.Options{TransferSyntax: dicom.ExplicitVRBigEndian}, p[n:])
		}
	}
}

func checkReencode(t testing.TB, o dicom.Options, p []byte) {
	t.Helper()
	r := decode(t, o, p, 64)
	if r.inflated.Len() > 0 || r.deflated {
		return
	}
	if !bytes.Equal(r.bytes.Bytes(), p) {
		t.Fatalf("%d bytes in, %d visited\n in %x\nout %x\n%s", len(p), r.bytes.Len(), p, r.bytes.Bytes(), strings.Join(r.events, "\n"))
	}
}

func TestWriteAfterClose(t *testing.T) {
	d := dicom.NewDecoder(new(recorder), dicom.Options{})
	for range 2 {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := d.Write([]byte{1}); !errors.Is(err, dicom.ErrClosed) {
		t.Errorf("Write after Close: %v", err)
	}
}

func TestTransferSyntaxIsKnownAfterMeta(t *testing.T) {
	d := dicom.NewDecoder(new(recorder), dicom.Options{})
	defer d.Close()
	if ts := d.TransferSyntax(); ts.UID != "" {
		t.Errorf("before: %s", ts.UID)
	}
	if _, err := d.Write(file(t, dicom.RLELossless, nil)); err != nil {
		t.Fatal(err)
	}
	if ts := d.TransferSyntax(); ts.UID != dicom.RLELossless || !ts.Encapsulated {
		t.Errorf("after: %+v", ts)
	}
}

func TestPath(t *testing.T) {
	p := build(t, dicom.ExplicitVRLittleEndian, func(w *dicom.Writer) {
		w.BeginSequence(dicom.TagContentSequence, dicom.Undefined)
		for range 3 {
			w.BeginItem(dicom.Undefined)
			w.Element(0x00091001, dicom.UN, []byte("ab"))
			w.EndItem()
		}
		w.EndSequence()
		w.Raw([]byte("<script>alert(1)</script>"))
	})
	r := decode(t, dicom.Options{TransferSyntax: dicom.ExplicitVRLittleEndian}, p, len(p))
	var paths []string
	for _, e := range r.events {
		if rest, ok := strings.CutPrefix(e, "begin "); ok {
			path, _, _ := strings.Cut(rest, " ")
			paths = append(paths, path)
		}
	}
	want := []string{
		"(0040,A730)",
		"(0040,A730)[0]", "(0040,A730)[0].(0009,1001)",
		"(0040,A730)[1]", "(0040,A730)[1].(0009,1001)",
		"(0040,A730)[2]", "(0040,A730)[2].(0009,1001)",
		"trailer",
	}
	if !slices.Equal(paths, want) {
		t.Errorf("%q, want %q", paths, want)
	}
}
