package container_test

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"slices"
	"testing"

	"cordon/inspect/compose"
	"cordon/inspect/container"
)

func deflated(p []byte) []byte {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	w.Write(p)
	w.Close()
	return b.Bytes()
}

func pdfOf(entries string, raw []byte) []byte {
	return compose.PDF(fmt.Sprintf("<<%s/Length %d>>\nstream\n%s\nendstream", entries, len(raw), raw))
}

// Readers of PDFs are lenient; what they can be led to counts.
func TestPDFReadAsReadersReadIt(t *testing.T) {
	script := deflated([]byte("5 0 <</S/JavaScript/JS(app.alert(1))>>"))
	digits := []byte(fmt.Sprintf("%x%s%x>", script[:10], bytes.Repeat([]byte(" "), 100_000), script[10:]))
	split := slices.Concat([]byte("\x78\x01\x00\x0A\x00\xF5\xFFendstream "), script[2:])
	hidden := []byte("\n7 0\nobj\n<</S/Launch>>\nendobj\n")
	for name, c := range map[string]struct {
		p  []byte
		id string
	}{
		"comment before an action":       {compose.PDF("<</S%x\n/Launch/F(cmd.exe)>>"), "pdf-launch"},
		"action in an object of its own": {compose.PDF("<</S 9 0 R>>\nendobj\n9 0 obj\n/Launch"), "pdf-launch"},
		"comment before a type":          {pdfOf("/Type%x\n/ObjStm/Filter/FlateDecode", script), "pdf-javascript"},
		"no type":                        {pdfOf("/N 1/First 4/Filter/FlateDecode", script), "pdf-javascript"},
		"comment before a filter":        {pdfOf("/Type/ObjStm/Filter%x/y[\n/FlateDecode", script), "pdf-javascript"},
		"comment with an object":         {pdfOf("/Type/ObjStm/Filter/FlateDecode%1 0 obj\n", script), "pdf-javascript"},
		"filter in an object of its own": {pdfOf("/Type/ObjStm/Filter 9 0 R", script), "pdf-javascript"},
		"null among the filters":         {pdfOf("/Type/ObjStm/Filter[null/FlateDecode]", script), "pdf-javascript"},
		"blank behind stream":            {bytes.Replace(pdfOf("/Type/ObjStm/Filter/FlateDecode", script), []byte("stream\n"), []byte("stream \n"), 1), "pdf-javascript"},
		"blanks among digits":            {pdfOf("/Type/ObjStm/Filter[/AHx/Fl]", digits), "pdf-javascript"},
		"endstream in the data":          {compose.PDF("<</Type/ObjStm/Filter/FlateDecode/Length 9 0 R>>\nstream\n" + string(split) + "\nendstream"), "pdf-javascript"},
		"object in a string":             {compose.PDF("(" + string(hidden) + ")"), "pdf-launch"},
		"object in a stream":             {pdfOf("", hidden), "pdf-launch"},
		"object in a filtered stream":    {pdfOf("/Filter/DCTDecode", hidden), "container-mismatch"},
		"object in an image":             {pdfOf("/Subtype/Image", hidden), "container-mismatch"},
	} {
		if n := opened(container.Limits{}, c.p); !n.has(c.id) {
			t.Errorf("%s: found %v, want %s", name, n.found, c.id)
		}
	}
}

// What readers do not take for an action or an object is none.
func TestPDFWords(t *testing.T) {
	for name, p := range map[string][]byte{
		"font":    compose.PDF("<</Font<</JS 5 0 R>>/BaseFont/Launch>>"),
		"string":  compose.PDF("<</Title(3 objects, 4 objectives: /S /Launch)>>"),
		"picture": pdfOf("/Subtype/Image/Filter/DCTDecode", append(compose.JPEG(64, 64), "12 objects"...)),
	} {
		if n := opened(container.Limits{}, p); len(n.found) > 0 {
			t.Errorf("%s: found %v", name, n.found)
		}
	}
}

// What one filter gives the next counts, though nothing may come out of the last.
func TestPDFFiltersAreBounded(t *testing.T) {
	spaces := bytes.Repeat([]byte(" "), 64<<20)
	p := pdfOf("/Filter[/Fl/Fl/Fl/AHx]", deflated(deflated(deflated(spaces))))
	n := opened(container.Limits{Bytes: 1 << 20}, p)
	if !n.has("container-bomb") || n.bytes > 1<<20 {
		t.Errorf("%d bytes of %d, found %v", n.bytes, len(p), n.found)
	}
}
