package dicom_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"cordon/dicom"
)

// TestWriterVectors compares with encodings worked out by hand from PS3.5 §7.1 and tables 7.5-1 to 7.5-3.
func TestWriterVectors(t *testing.T) {
	for _, c := range []struct {
		name   string
		syntax dicom.UID
		write  func(w *dicom.Writer)
		want   string
	}{
		{"implicit", implicit, func(w *dicom.Writer) { w.String(dicom.TagPatientID, dicom.LO, "abc") }, "1000 2000 04000000 61626320"},
		{"explicit", explicit, func(w *dicom.Writer) { w.String(dicom.TagPatientID, dicom.LO, "abc") }, "1000 2000 4c4f 0400 61626320"},
		{"big endian", big, func(w *dicom.Writer) { w.String(dicom.TagPatientID, dicom.LO, "abc") }, "0010 0020 4c4f 0004 61626320"},
		{"UI is padded with a null", explicit, func(w *dicom.Writer) { w.String(dicom.TagSOPClassUID, dicom.UI, "1.2") }, "0800 1600 5549 0400 312e3200"},
		{"long length", explicit, func(w *dicom.Writer) { w.Element(dicom.TagPixelData, dicom.OB, []byte{1}) }, "e07f 1000 4f42 0000 02000000 0100"},
		{"several values", explicit, func(w *dicom.Writer) { w.String(dicom.TagImageType, dicom.CS, "A", "B") }, "0800 0800 4353 0400 415c4220"},
		{"numbers", big, func(w *dicom.Writer) {
			w.Uint16(dicom.TagRows, 1, 2)
			w.Uint32(dicom.NewTag(8, 0x1162), 3)
		}, "0028 0010 5553 0004 0001 0002 0008 1162 554c 0004 00000003"},
		{"sequence of undefined length", implicit, func(w *dicom.Writer) {
			w.BeginSequence(dicom.TagContentSequence, dicom.Undefined)
			w.BeginItem(dicom.Undefined)
			w.EndItem()
			w.EndSequence()
		}, "4000 30a7 ffffffff feff 00e0 ffffffff feff 0de0 00000000 feff dde0 00000000"},
		{"sequence of defined length", explicit, func(w *dicom.Writer) {
			w.BeginSequence(dicom.TagContentSequence, dicom.Defined)
			w.BeginItem(dicom.Defined)
			w.Uint16(dicom.TagRows, 1)
			w.EndItem()
			w.EndSequence()
		}, "4000 30a7 5351 0000 12000000 feff 00e0 0a000000 2800 1000 5553 0200 0100"},
		{"fragments", dicom.RLELossless, func(w *dicom.Writer) {
			w.BeginEncapsulated(dicom.TagPixelData)
			w.Fragment(nil)
			w.Fragment([]byte{1, 2, 3})
			w.EndEncapsulated()
		}, "e07f 1000 4f42 0000 ffffffff feff 00e0 00000000 feff 00e0 04000000 01020300 feff dde0 00000000"},
	} {
		want, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(c.want), []byte(" "), nil)))
		if err != nil {
			t.Fatal(err)
		}
		if got := build(t, c.syntax, c.write); !bytes.Equal(got, want) {
			t.Errorf("%s:\n got %x\nwant %x", c.name, got, want)
		}
	}
}

func TestTooLongForItsVRBecomesUN(t *testing.T) {
	p := build(t, explicit, func(w *dicom.Writer) { w.String(dicom.TagPatientID, dicom.LO, string(make([]byte, 0x10000))) })
	if string(p[4:6]) != "UN" || len(p) != 12+0x10000 {
		t.Errorf("VR %s, %d bytes", p[4:6], len(p))
	}
}

func TestDeflatedLengthIsEven(t *testing.T) {
	for n := range 40 {
		p := build(t, deflated, func(w *dicom.Writer) { w.Element(dicom.TagPixelData, dicom.OB, make([]byte, n*n)) })
		if len(p)%2 == 1 {
			t.Errorf("%d bytes", len(p))
		}
		if r := decode(t, dicom.Options{TransferSyntax: deflated}, p, len(p)); len(r.anomalies) > 0 {
			t.Errorf("%v", r.anomalies)
		}
	}
}

func TestUnbalanced(t *testing.T) {
	for name, write := range map[string]func(w *dicom.Writer){
		"sequence not ended":   func(w *dicom.Writer) { w.BeginSequence(dicom.TagContentSequence, dicom.Undefined) },
		"nothing to end":       func(w *dicom.Writer) { w.EndItem() },
		"sequence before item": func(w *dicom.Writer) { w.BeginSequence(1, dicom.Defined); w.BeginItem(dicom.Defined); w.EndSequence() },
	} {
		w := dicom.NewWriter(new(bytes.Buffer), syntax(t, explicit))
		write(w)
		if w.Close() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

var errFull = errors.New("disk full")

type full struct{ writes int }

func (f *full) Write([]byte) (int, error) { f.writes++; return 0, errFull }

func TestFirstErrorSticks(t *testing.T) {
	f := new(full)
	w := dicom.NewWriter(f, syntax(t, explicit))
	sample(syntax(t, explicit))(w)
	if err := w.Close(); !errors.Is(err, errFull) || f.writes != 1 {
		t.Errorf("%v after %d writes", err, f.writes)
	}
	if err := dicom.WriteFileMeta(f, dicom.FileMeta{}); !errors.Is(err, errFull) {
		t.Errorf("meta: %v", err)
	}
}
