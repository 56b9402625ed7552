package dicom_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"cordon/dicom"
)

// fuzzSyntaxes are what a fuzzed input is decoded as; empty is a file.
var fuzzSyntaxes = append([]dicom.UID{""}, encodings...)

// FuzzDecoder: whatever comes, the decoder neither panics nor grows, every Begin has its End,
// no byte escapes, and how the input is cut into Writes makes no difference.
func FuzzDecoder(f *testing.F) {
	for _, p := range samples(f) {
		for i := range fuzzSyntaxes {
			f.Add(p, uint8(i), uint8(7), true)
		}
	}
	for _, o := range oddities(f) {
		f.Add(o.input, uint8(slices.Index(fuzzSyntaxes, o.syntax)), uint8(1), false)
	}
	f.Fuzz(func(t *testing.T, p []byte, syntax, split uint8, sized bool) {
		o := dicom.Options{
			TransferSyntax: fuzzSyntaxes[int(syntax)%len(fuzzSyntaxes)],
			Limits:         dicom.Limits{Depth: 8, Elements: 10_000, InflateFree: 1 << 16, InflateBytes: 1 << 18},
		}
		if sized {
			o.Size = int64(len(p))
		}
		checkReencode(t, o, p)
		whole, cut := decode(t, o, p, len(p)+1), decode(t, o, p, int(split)+1)
		if !slices.Equal(whole.events, cut.events) {
			t.Errorf("cut into pieces of %d bytes:\n%s\nwhole:\n%s", int(split)+1, strings.Join(cut.events, "\n"), strings.Join(whole.events, "\n"))
		}
		if fatals := slices.DeleteFunc(whole.anomalies, func(a dicom.Anomaly) bool { return !a.Fatal }); len(fatals) > 2 {
			t.Errorf("the structure was lost %d times: %v", len(fatals), fatals)
		}
		const perByte = 64 // what is said about anomalies, at most one or two for eight bytes
		v := new(tally)
		if n := allocated(func() {
			d := dicom.NewDecoder(v, o)
			write(t, d, p)
			d.Close()
		}); n > maxDecoder+perByte*uint64(len(p)+whole.inflated.Len()) {
			t.Errorf("%d bytes allocated for %d", n, len(p))
		}
	})
}

// FuzzReadElements: what is accepted is bounded and, written again, reads the same.
func FuzzReadElements(f *testing.F) {
	for _, u := range []dicom.UID{implicit, explicit, big} {
		f.Add(build(f, u, sample(syntax(f, u))), uint8(slices.Index(fuzzSyntaxes, u)))
	}
	f.Fuzz(func(t *testing.T, p []byte, index uint8) {
		ts := syntax(t, encodings[int(index)%len(encodings)])
		const most = 100
		elements, err := dicom.ReadElements(p, ts, most)
		if err != nil {
			return
		}
		n, bytesOf := len(elements), 0
		for _, e := range elements {
			bytesOf += len(e.Value)
		}
		if n > most || bytesOf > len(p)*64+1<<16 || !ts.Deflated && bytesOf > len(p) {
			t.Errorf("%d elements, %d bytes of %d", n, bytesOf, len(p))
		}
		if ts.Deflated || slices.ContainsFunc(elements, func(e dicom.DataElement) bool { return !isFlat(e, ts) }) {
			return
		}
		p = build(t, ts.UID, func(w *dicom.Writer) {
			for _, e := range elements {
				w.Element(e.Tag, e.VR, e.Value)
			}
		})
		again, err := dicom.ReadElements(p, ts, most)
		if err == nil && !slices.EqualFunc(elements, again, func(a, b dicom.DataElement) bool { return a.Tag == b.Tag && bytes.Equal(a.Value, b.Value) }) {
			t.Errorf("%v, read again %v", elements, again)
		}
	})
}

// isFlat tells whether e can be written alone, as it was: in the byte order of ts, not in or around a sequence.
func isFlat(e dicom.DataElement, ts dicom.TransferSyntax) bool {
	return e.BigEndian == ts.BigEndian && e.Depth == 0 && e.VR != dicom.SQ && e.VR.IsKnown() && len(e.Value)%2 == 0
}
