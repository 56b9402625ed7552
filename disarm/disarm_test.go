package disarm

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"cordon/dicom"
	"cordon/inspect/compose"
)

// disarmed disarms p and returns what was written.
func disarmed(t testing.TB, p []byte) (Outcome, []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "out.dcm")
	out, err := File(bytes.NewReader(p), int64(len(p)), path)
	if err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(written)) != out.Bytes {
		t.Errorf("%d bytes written, said %d", len(written), out.Bytes)
	}
	return out, written
}

func whats(out Outcome) []string {
	var all []string
	for _, r := range out.Removed {
		all = append(all, r.What)
	}
	return all
}

// Each place where a payload needs no data set is emptied, and the file is the
// one that would have been without the payload.
func TestPayloadsAroundTheDataSetAreRemoved(t *testing.T) {
	for _, syntax := range []dicom.UID{dicom.ImplicitVRLittleEndian, dicom.ExplicitVRLittleEndian, dicom.ExplicitVRBigEndian} {
		for _, c := range []struct {
			what  string
			place compose.Place
		}{
			{Preamble, compose.Preamble},
			{TrailingPadding, compose.TrailingPadding},
			{Trailer, compose.Appended},
		} {
			o := compose.CT(16, 16)
			o.TransferSyntax = syntax
			o.SetPixels(make([]uint16, 256))
			clean, dataSet := o.File(), o.DataSet()
			c.place.Put(o, compose.WindowsProgram())
			out, written := disarmed(t, o.File())
			if !bytes.Equal(written, clean) {
				t.Errorf("%s in %s: not the file without it", c.what, syntax)
			}
			if got := whats(out); !slices.Equal(got, []string{c.what}) {
				t.Errorf("%s in %s: removed %v", c.what, syntax, got)
			}
			if want := sha256.Sum256(dataSet); out.DataSet.SHA256 != want || out.DataSet.Bytes != int64(len(dataSet)) {
				t.Errorf("%s in %s: the digest is not that of the data set", c.what, syntax)
			}
			if want := sha256.Sum256(make([]byte, 512)); out.PixelData.SHA256 != want || out.PixelData.Bytes != 512 {
				t.Errorf("%s in %s: the digest is not that of the pixel data", c.what, syntax)
			}
		}
	}
}

func TestAllThreeAtOnce(t *testing.T) {
	o := compose.Photo(64, 64)
	clean := o.File()
	for _, p := range []compose.Place{compose.Preamble, compose.TrailingPadding, compose.Appended} {
		p.Put(o, compose.LinuxProgram())
	}
	hostile := o.File()
	out, written := disarmed(t, hostile)
	if !bytes.Equal(written, clean) {
		t.Error("not the file without them")
	}
	for _, r := range out.Removed {
		if r.Offset < 0 || r.Offset+r.Bytes > int64(len(hostile)) || r.Bytes < 128 {
			t.Errorf("%+v", r)
		}
	}
}

// A payload inside the data set is copied: it is the judgement's, not ours.
func TestDataSetIsNeverAltered(t *testing.T) {
	for _, place := range compose.Places() {
		if !place.InDataSet || place.Name == compose.TrailingPadding.Name {
			continue
		}
		o := compose.CT(64, 64)
		place.Put(o, compose.WindowsProgram())
		if out, written := disarmed(t, o.File()); !bytes.Equal(written, o.File()) {
			t.Errorf("%s: altered, removed %v", place.Name, out.Removed)
		}
	}
}

func TestWhatIsHarmlessStays(t *testing.T) {
	for name, change := range map[string]func(o *compose.Object){
		"empty":          func(*compose.Object) {},
		"zero padding":   func(o *compose.Object) { compose.TrailingPadding.Put(o, make([]byte, 1000)) },
		"deflate stream": func(o *compose.Object) { o.TransferSyntax = dicom.DeflatedExplicitVRLittleEndian },
		"padding in a deflate stream": func(o *compose.Object) {
			o.TransferSyntax = dicom.DeflatedExplicitVRLittleEndian
			compose.TrailingPadding.Put(o, compose.EICAR())
		},
		"TIFF":    func(o *compose.Object) { copy(o.Preamble[:], "II\x2A\x00\x00\x40\x00\x00") },
		"TIFF MM": func(o *compose.Object) { copy(o.Preamble[:], "MM\x00\x2A\x7F\x00\x00\x00 a stale offset") },
		"BigTIFF": func(o *compose.Object) {
			copy(o.Preamble[:], "II\x2B\x00\x08\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00")
		},
		"BigTIFF MM": func(o *compose.Object) {
			copy(o.Preamble[:], "MM\x00\x2B\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10")
		},
	} {
		o := compose.CT(16, 16)
		change(o)
		if out, written := disarmed(t, o.File()); !bytes.Equal(written, o.File()) {
			t.Errorf("%s: removed %v", name, out.Removed)
		}
	}
}

func TestPreamblesThatOnlyLookLikeTIFFAreCleared(t *testing.T) {
	withProgram := append([]byte("II\x2A\x00\x10\x00\x00\x00"), compose.LinuxProgram()[:112]...)
	for name, text := range map[string][]byte{
		"words":                 []byte("harmless words"),
		"offset in the header":  []byte("II\x2A\x00\x04\x00\x00\x00rest"),
		"wrong byte order":      []byte("II\x00\x2A\x00\x00\x00\x10"),
		"BigTIFF of 4 bytes":    []byte("II\x2B\x00\x04\x00\x00\x00\x10\x00\x00\x00"),
		"TIFF and a program":    withProgram,
		"a program":             compose.LinuxProgram(),
		"a Windows program":     compose.WindowsProgram()[:128],
		"the last byte is used": append(make([]byte, 127), 1),
	} {
		o := compose.CT(16, 16)
		clean := o.File()
		copy(o.Preamble[:], text)
		if _, written := disarmed(t, o.File()); !bytes.Equal(written, clean) {
			t.Errorf("%s: not cleared", name)
		}
	}
}

func TestBytesAfterADeflateStreamAreDropped(t *testing.T) {
	for range 8 { // streams of odd and of even length, which random UIDs make
		o := compose.CT(16, 16)
		o.TransferSyntax = dicom.DeflatedExplicitVRLittleEndian
		clean := o.File()
		o.Trailer = compose.WindowsProgram()
		if _, written := disarmed(t, o.File()); !bytes.Equal(written, clean) {
			t.Error("not the file without them")
		}
		o.Trailer = make([]byte, 9)
		if _, written := disarmed(t, o.File()); !bytes.Equal(written, clean) {
			t.Error("not the file without nulls")
		}
	}
}

// Without meta information there is no preamble; what follows is dropped all the same.
func TestBareDataSet(t *testing.T) {
	o := compose.CT(16, 16)
	out, written := disarmed(t, append(o.DataSet(), "MZ and so on"...))
	if !bytes.Equal(written, o.DataSet()) || !slices.Equal(whats(out), []string{Trailer}) {
		t.Errorf("removed %v", out.Removed)
	}
}

// A data set that ends too early keeps what it has.
func TestTruncatedFileKeepsAllItHas(t *testing.T) {
	o := compose.CT(64, 64)
	copy(o.Preamble[:], "MZ")
	half := o.File()[:4000]
	out, written := disarmed(t, half)
	if !bytes.Equal(written[128:], half[128:]) || !slices.Equal(whats(out), []string{Preamble}) {
		t.Errorf("removed %v", out.Removed)
	}
}

func TestPaddingOutOfOrderIsCutOut(t *testing.T) {
	o := compose.CT(16, 16)
	payload := compose.EICAR()
	padding := binary.LittleEndian.AppendUint32([]byte("\xFC\xFF\xFC\xFFOB\x00\x00"), uint32(len(payload)))
	late := []byte("\xFC\xFF\xFD\xFFLO\x02\x00hi") // an element after the padding
	clean := append(o.File(), late...)
	hostile := slices.Concat(o.File(), padding, payload, late)
	if out, written := disarmed(t, hostile); !bytes.Equal(written, clean) {
		t.Errorf("removed %v", out.Removed)
	}
}

func TestNothingIsWrittenOver(t *testing.T) {
	o := compose.CT(16, 16)
	path := filepath.Join(t.TempDir(), "mine")
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := File(bytes.NewReader(o.File()), int64(len(o.File())), path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("%v", err)
	}
	if got, _ := os.ReadFile(path); string(got) != "mine" {
		t.Errorf("now %d bytes", len(got))
	}
}

// liar is a file whose content differs from one reading to the next.
type liar struct {
	first, second []byte
	read          int
}

func (l *liar) ReadAt(p []byte, at int64) (int, error) {
	b := l.first
	if l.read >= len(l.first) {
		b = l.second
	}
	n, err := bytes.NewReader(b).ReadAt(p, at)
	l.read += n
	return n, err
}

func TestCopyThatCannotBeProvenIsNotKept(t *testing.T) {
	dir := t.TempDir()
	a := compose.CT(16, 16).File()
	changed := bytes.Clone(a)
	changed[len(changed)-1] ^= 1
	hostile := bytes.Clone(a)
	copy(hostile, "MZ")
	for name, c := range map[string]struct {
		from io.ReaderAt
		size int
		want error
	}{
		"another data set":      {&liar{first: a, second: changed}, len(a), ErrNotProven},
		"another preamble":      {&liar{first: a, second: hostile}, len(a), ErrNotProven},
		"shorter than it was":   {bytes.NewReader(a), len(a) + 10, io.ErrUnexpectedEOF},
		"shorter the next time": {&liar{first: a, second: a[:len(a)-2]}, len(a), nil},
		"not DICOM":             {bytes.NewReader([]byte("Dear colleague")), 14, ErrNotDICOM},
		"empty":                 {bytes.NewReader(nil), 0, ErrNotDICOM},
	} {
		_, err := File(c.from, int64(c.size), filepath.Join(dir, "out"))
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("%d files are left", len(left))
	}
}

// virtual is a file of zeros with a beginning.
type virtual struct{ begin []byte }

func (v virtual) ReadAt(p []byte, at int64) (int, error) {
	clear(p)
	if at < int64(len(v.begin)) {
		copy(p, v.begin[at:])
	}
	return len(p), nil
}

func TestMemoryDoesNotDependOnTheFile(t *testing.T) {
	const pixels = 96 << 20
	o := compose.CT(16, 16)
	o.Remove(dicom.TagPixelData)
	copy(o.Preamble[:], "MZ")
	begin := binary.LittleEndian.AppendUint32(append(o.File(), "\xE0\x7F\x10\x00OW\x00\x00"...), pixels)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	out, err := File(virtual{begin}, int64(len(begin)+pixels), filepath.Join(t.TempDir(), "out"))
	runtime.ReadMemStats(&after)
	if err != nil || out.PixelData.Bytes != pixels {
		t.Fatalf("%v, %d bytes of pixel data", err, out.PixelData.Bytes)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20 {
		t.Errorf("%d MiB allocated", used>>20)
	}
}

// FuzzDisarm: whatever is removed, the rest is the original's, byte for byte, and
// what File proves is so, or the file is not kept.
func FuzzDisarm(f *testing.F) {
	for _, place := range []compose.Place{compose.Preamble, compose.TrailingPadding, compose.Appended, compose.Deflated, compose.SplitFragments} {
		o := compose.CT(8, 8)
		place.Put(o, compose.LinuxProgram())
		f.Add(o.File())
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		before, err := examine(bytes.NewReader(p), int64(len(p)))
		if err != nil {
			return
		}
		var written bytes.Buffer
		n, err := copyWithout(&written, bytes.NewReader(p), int64(len(p)), before.removals())
		if err != nil || n != int64(written.Len()) {
			t.Fatalf("%v, %d bytes said, %d written", err, n, written.Len())
		}
		want, next := []byte{}, int64(0)
		for _, r := range before.removals() {
			want = append(want, p[next:r.Offset]...)
			if r.What == Preamble {
				want = append(want, make([]byte, r.Bytes)...)
			}
			next = r.Offset + r.Bytes
		}
		if want = append(want, p[next:]...); !bytes.Equal(written.Bytes(), want) {
			t.Fatalf("removed %v, wrote %d bytes", before.removals(), written.Len())
		}
		err = prove(bytes.NewReader(want), Outcome{Bytes: n, DataSet: before.dataSet, PixelData: before.pixelData})
		if err != nil && !errors.Is(err, ErrNotProven) {
			t.Fatal(err)
		}
	})
}
