package dicom_test

import (
	"bytes"
	"compress/flate"
	"runtime"
	"testing"

	"cordon/dicom"
)

// tally is a visitor that keeps nothing but counts.
type tally struct {
	begun, ended int
	bytes        int64
	depth        int
	codes        map[dicom.AnomalyCode]int
}

func (v *tally) Begin(e *dicom.Element) {
	v.begun++
	v.bytes += int64(len(e.Header))
	v.depth = max(v.depth, e.Depth)
}
func (v *tally) Value(_ *dicom.Element, p []byte) { v.bytes += int64(len(p)) }
func (v *tally) End(e *dicom.Element)             { v.ended++; v.bytes += int64(len(e.Header)) }
func (v *tally) Anomaly(_ *dicom.Element, a dicom.Anomaly) {
	if v.codes == nil {
		v.codes = make(map[dicom.AnomalyCode]int)
	}
	v.codes[a.Code]++
}

// allocated is how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// maxDecoder bounds what decoding anything allocates besides events: stack, inflater.
const maxDecoder = 256 << 10

// checkBounded decodes what feed writes and holds the memory against maxDecoder.
func checkBounded(t testing.TB, o dicom.Options, feed func(d *dicom.Decoder)) *tally {
	t.Helper()
	v := new(tally)
	if n := allocated(func() {
		d := dicom.NewDecoder(v, o)
		feed(d)
		d.Close()
	}); n > maxDecoder {
		t.Errorf("%d bytes allocated", n)
	}
	if v.begun != v.ended {
		t.Errorf("%d begun, %d ended", v.begun, v.ended)
	}
	return v
}

func write(t testing.TB, d *dicom.Decoder, p []byte) {
	if _, err := d.Write(p); err != nil {
		t.Error(err)
	}
}

func TestHundredThousandNestedItems(t *testing.T) {
	var b bytes.Buffer
	w := dicom.NewWriter(&b, syntax(t, explicit))
	for range 100_000 {
		w.Header(dicom.TagContentSequence, dicom.SQ, dicom.UndefinedLength)
		w.Header(dicom.TagItem, 0, dicom.UndefinedLength)
	}
	v := checkBounded(t, dicom.Options{TransferSyntax: explicit}, func(d *dicom.Decoder) { write(t, d, b.Bytes()) })
	if v.codes[dicom.AnomalyDepthLimit] != 1 || v.depth > 64 || v.bytes != int64(b.Len()) {
		t.Errorf("%+v of %d bytes", v, b.Len())
	}
}

func TestFourGigabyteLengths(t *testing.T) {
	for _, length := range []uint32{0x7FFFFFFE, 0xFFFFFFFE} {
		for _, tag := range []dicom.Tag{dicom.TagPixelData, dicom.TagContentSequence} {
			p := build(t, explicit, func(w *dicom.Writer) {
				vr := dicom.OW
				if tag == dicom.TagContentSequence {
					vr = dicom.SQ
				}
				w.Header(tag, vr, length)
				w.Header(dicom.TagItem, 0, length)
			})
			v := checkBounded(t, dicom.Options{TransferSyntax: explicit, Size: int64(len(p))}, func(d *dicom.Decoder) { write(t, d, p) })
			if v.codes[dicom.AnomalyLengthExceedsRest] == 0 || v.codes[dicom.AnomalyTruncated] != 1 {
				t.Errorf("%v of %d bytes: %v", tag, length, v.codes)
			}
		}
	}
}

// TestLongValue streams a value of 256 MiB.
func TestLongValue(t *testing.T) {
	const size = 256 << 20
	chunk := make([]byte, 1<<20)
	v := checkBounded(t, dicom.Options{TransferSyntax: explicit}, func(d *dicom.Decoder) {
		write(t, d, build(t, explicit, func(w *dicom.Writer) { w.Header(dicom.TagPixelData, dicom.OW, size) }))
		for range size / len(chunk) {
			write(t, d, chunk)
		}
	})
	if v.bytes != size+12 || len(v.codes) != 0 {
		t.Errorf("%+v", v)
	}
}

// TestDeflateBomb: 200 MiB of zeros, a thousandth of that deflated, are given up once the ratio is met.
func TestDeflateBomb(t *testing.T) {
	var b bytes.Buffer
	z, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	copy(zeros, build(t, explicit, func(w *dicom.Writer) { w.Header(dicom.TagPixelData, dicom.OW, 0xFFFFFFFE) }))
	for range 200 {
		if _, err := z.Write(zeros); err != nil {
			t.Fatal(err)
		}
		clear(zeros)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	v := checkBounded(t, dicom.Options{TransferSyntax: deflated}, func(d *dicom.Decoder) { write(t, d, b.Bytes()) })
	if v.codes[dicom.AnomalyInflateRatio] != 1 || v.bytes > 65<<20 {
		t.Errorf("%+v", v)
	}
}

// TestCloseEndsTheInflater: a decoder that is closed in the middle of a deflate stream, or
// after an error in it, leaves no coroutine behind.
func TestCloseEndsTheInflater(t *testing.T) {
	sound := build(t, deflated, sample(syntax(t, deflated)))
	before := runtime.NumGoroutine()
	for n := range sound {
		d := dicom.NewDecoder(new(tally), dicom.Options{TransferSyntax: deflated})
		write(t, d, sound[:n])
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, o := range deflateOddities(t) {
		decode(t, dicom.Options{TransferSyntax: o.syntax, Limits: dicom.Limits{InflateBytes: 10}}, o.input, 5)
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines before, %d after", before, after)
	}
}

func TestDecodingAllocatesLittle(t *testing.T) {
	p := file(t, explicit, build(t, explicit, sample(syntax(t, explicit))))
	v := new(tally)
	n := testing.AllocsPerRun(100, func() {
		d := dicom.NewDecoder(v, dicom.Options{})
		write(t, d, p)
		d.Close()
	})
	if n > 12 {
		t.Errorf("%v allocations for a file of %d elements", n, v.begun/101)
	}
}
