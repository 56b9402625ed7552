package dicom_test

import (
	"bytes"
	"fmt"
	"testing"

	"cordon/dicom"
)

// recorder is a visitor that writes down what it is told, and the bytes it is told of.
type recorder struct {
	events    []string
	bytes     bytes.Buffer // headers and values in order, of what is not inflated
	inflated  bytes.Buffer // the same, of what is
	anomalies []dicom.Anomaly
	open      int
	deflated  bool // the data set is
	value     []byte
}

func (r *recorder) to(e *dicom.Element) *bytes.Buffer {
	if e.Inflated {
		return &r.inflated
	}
	return &r.bytes
}

func (r *recorder) Begin(e *dicom.Element) {
	r.open++
	r.value = r.value[:0]
	r.to(e).Write(e.Header)
	r.events = append(r.events, fmt.Sprintf("begin %v %v %v %d at %d value %d depth %d index %d meta %t explicit %t big %t header %x",
		e.Path(), e.Kind, e.VR, e.Length, e.Offset, e.ValueOffset, e.Depth, e.Index, e.Meta, e.Explicit, e.BigEndian, e.Header))
}

func (r *recorder) Value(e *dicom.Element, p []byte) {
	r.to(e).Write(p)
	r.value = append(r.value, p...)
}

func (r *recorder) End(e *dicom.Element) {
	r.open--
	if len(r.value) > 0 {
		r.events = append(r.events, fmt.Sprintf("value %x", r.value))
		r.value = r.value[:0]
	}
	r.to(e).Write(e.Header)
	r.events = append(r.events, fmt.Sprintf("end %v %v header %x", e.Path(), e.Kind, e.Header))
}

func (r *recorder) Anomaly(e *dicom.Element, a dicom.Anomaly) {
	r.anomalies = append(r.anomalies, a)
	path := ""
	if e != nil {
		path = e.Path()
	}
	r.events = append(r.events, fmt.Sprintf("anomaly %v at %d in %s: %s", a.Code, a.Offset, path, a.Detail))
}

// decode feeds p to a decoder in pieces of n bytes.
func decode(t testing.TB, o dicom.Options, p []byte, n int) *recorder {
	t.Helper()
	r := new(recorder)
	d := dicom.NewDecoder(r, o)
	for rest := p; len(rest) > 0; {
		k := min(n, len(rest))
		if m, err := d.Write(rest[:k]); m != k || err != nil {
			t.Fatalf("Write: %d, %v", m, err)
		}
		rest = rest[k:]
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	r.deflated = d.TransferSyntax().Deflated
	if r.open != 0 {
		t.Fatalf("%d elements have begun and not ended", r.open)
	}
	return r
}
