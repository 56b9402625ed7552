package preview_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cordon/dicom"
	"cordon/inspect/compose"
	"cordon/preview"
)

// tight are limits that a test can meet.
var tight = preview.Limits{Time: 5 * time.Second, Pixels: 4_000_000, JPEGPixels: 1_000_000, Frame: 1 << 20, Side: 64}

// look makes every preview of an object, and fails the test if one is neither a
// small picture nor says why there is none.
func look(t *testing.T, name string, object []byte, of preview.Object) (shown bool) {
	t.Helper()
	p := preview.New(tight)
	began := time.Now()
	f, err := p.Frame(t.Context(), bytes.NewReader(object), of, 0)
	switch {
	case err == nil && (f.Width > 64 || f.Height > 64 || f.Width < 1 || f.Height < 1 || len(f.PNG) == 0 || len(f.PNG) > 64<<10):
		t.Errorf("%s: a picture of %d by %d in %d bytes", name, f.Width, f.Height, len(f.PNG))
	case err != nil && !isNone(err):
		t.Errorf("%s: %v", name, err)
	}
	texts, err := p.Texts(t.Context(), bytes.NewReader(object), of)
	if err != nil && !isNone(err) {
		t.Errorf("%s: %v", name, err)
	}
	for _, x := range texts {
		if len(x.Value) > 3*512 {
			t.Errorf("%s: %s has %d bytes", name, x.Name, len(x.Value))
		}
	}
	at := preview.Place{Where: "(7FE0,0010)", Offset: int64(len(object)) / 2}
	if w, err := p.Bytes(t.Context(), bytes.NewReader(object), of, at, -1); len(w.Data) > preview.WindowBytes || err != nil && !isNone(err) {
		t.Errorf("%s: %d bytes, %v", name, len(w.Data), err)
	}
	if _, err := p.Pieces(t.Context(), bytes.NewReader(object), of, []preview.Place{at}); err != nil && !isNone(err) {
		t.Errorf("%s: %v", name, err)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("%s: took %v", name, took)
	}
	return f.PNG != nil
}

func TestNothingHostileExceedsTheLimits(t *testing.T) {
	for _, place := range compose.Places() {
		o := compose.CT(64, 64)
		place.Put(o, compose.WindowsProgram())
		look(t, place.Name, o.File(), preview.Object{})
		if place.InDataSet {
			look(t, place.Name, o.DataSet(), preview.Object{TransferSyntax: o.TransferSyntax})
		}
	}
	for _, c := range compose.Containers() {
		look(t, c.Name, c.Body, preview.Object{})
	}
	lies := compose.Photo(64, 64).File()
	for cut := 0; cut < len(lies); cut += 37 {
		look(t, "cut short", lies[:cut], preview.Object{})
	}
}

// Files that others wrote, hostile and malformed ones among them.
func TestCorpusHasPreviewsOrReasons(t *testing.T) {
	looked, shown := 0, 0
	err := filepath.WalkDir("../../shared/corpus", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		object, err := os.ReadFile(path)
		looked++
		if err == nil && look(t, path, object, preview.Object{Size: int64(len(object))}) {
			shown++
		}
		return err
	})
	if looked == 0 {
		t.Log("no corpus beside the tree: what is composed is looked at elsewhere")
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if shown < 10 {
		t.Errorf("%d of %d have a picture", shown, looked)
	}
}

// FuzzPreview: whatever comes, no panic, and a small picture or a reason.
func FuzzPreview(f *testing.F) {
	f.Add(compose.CT(8, 8).File(), false)
	f.Add(compose.Photo(16, 16).File(), false)
	f.Add(compose.CT(8, 8).DataSet(), true)
	rle := compose.CT(4, 4)
	rle.TransferSyntax = dicom.RLELossless
	rle.SetFragments(nil, append([]byte{2, 0, 0, 0, 64, 0, 0, 0, 66, 0, 0, 0}, make([]byte, 56)...))
	f.Add(rle.File(), false)
	deflated := compose.CT(8, 8)
	deflated.TransferSyntax = dicom.DeflatedExplicitVRLittleEndian
	f.Add(deflated.File(), false)
	f.Fuzz(func(t *testing.T, object []byte, bare bool) {
		of := preview.Object{}
		if bare {
			of.TransferSyntax = dicom.ExplicitVRLittleEndian
		}
		look(t, "fuzz", object, of)
	})
}
