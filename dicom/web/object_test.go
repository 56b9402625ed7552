package web_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"cordon/dicom"
	"cordon/dicom/web"
)

const instanceJSON = `{"00080016":{"vr":"UI","Value":["1.2.840.10008.5.1.4.1.1.2"]},"00080018":{"vr":"UI","Value":["1.4"]},` +
	`"00100010":{"vr":"PN","Value":[{"Alphabetic":"Doe^J"}]},"0020000D":{"vr":"UI","Value":["1.2"]},"0020000E":{"vr":"UI","Value":["1.3"]},` +
	`"00280002":{"vr":"US","Value":[1]},"00280008":{"vr":"IS","Value":[3]},"00280010":{"vr":"US","Value":[2]},"00280011":{"vr":"US","Value":[2]},` +
	`"00280100":{"vr":"US","Value":[8]}`

// file is a Part 10 file of the instance, with pixels written by its caller.
func file(t testing.TB, ts dicom.UID, json string, pixels func(*dicom.Writer)) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := dicom.WriteFileMeta(&b, dicom.FileMeta{SOPClassUID: "1.2.840.10008.5.1.4.1.1.2", SOPInstanceUID: "1.4", TransferSyntaxUID: ts}); err != nil {
		t.Fatal(err)
	}
	w := dicom.NewWriter(&b, syntax(t, ts))
	for _, e := range dataSet(t, json) {
		if e.VR == dicom.SQ {
			w.BeginSequence(e.Tag, dicom.Defined)
			for _, item := range e.Items {
				w.BeginItem(dicom.Defined)
				for _, e := range item {
					w.Element(e.Tag, e.VR, e.Value)
				}
				w.EndItem()
			}
			w.EndSequence()
			continue
		}
		w.Element(e.Tag, e.VR, e.Value)
	}
	pixels(w)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// frames are all frames of the object in file, or the error.
func frames(t testing.TB, p []byte, o *web.Object, n int) string {
	t.Helper()
	pieces, err := o.Frame(n)
	if err != nil {
		if !errors.Is(err, web.ErrNoFrames) {
			t.Error(err)
		}
		return "none"
	}
	var b bytes.Buffer
	if err := web.CopyPieces(&b, bytes.NewReader(p), pieces); err != nil {
		t.Error(err)
	}
	return b.String()
}

func readObject(t testing.TB, p []byte) *web.Object {
	t.Helper()
	o, err := web.ReadObject(bytes.NewReader(p), web.Limits{}, func(path string) string { return "bulkdata/" + path })
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestFrames(t *testing.T) {
	table := []byte{0, 0, 0, 0, 20, 0, 0, 0, 30, 0, 0, 0} // between fragments, which begin at 0, 12, 22 and 32
	for name, c := range map[string]struct {
		ts     dicom.UID
		pixels func(*dicom.Writer)
		want   string
	}{
		"native": {dicom.ExplicitVRLittleEndian, func(w *dicom.Writer) {
			w.Element(dicom.TagPixelData, dicom.OB, []byte("aaaabbbbcccc"))
		}, "none aaaa bbbb cccc none"},
		"implicit VR": {dicom.ImplicitVRLittleEndian, func(w *dicom.Writer) {
			w.Element(dicom.TagPixelData, dicom.OW, []byte("aaaabbbbcccc"))
		}, "none aaaa bbbb cccc none"},
		"too short": {dicom.ExplicitVRLittleEndian, func(w *dicom.Writer) {
			w.Element(dicom.TagPixelData, dicom.OB, []byte("aaaabbbb"))
		}, "none aaaa bbbb none none"},
		"big endian": {dicom.ExplicitVRBigEndian, func(w *dicom.Writer) {
			w.Element(dicom.TagPixelData, dicom.OB, []byte("aaaabbbbcccc"))
		}, "none none none none none"},
		"deflated": {dicom.DeflatedExplicitVRLittleEndian, func(w *dicom.Writer) {
			w.Element(dicom.TagPixelData, dicom.OB, []byte("aaaabbbbcccc"))
		}, "none none none none none"},
		"no pixels":                         {dicom.ExplicitVRLittleEndian, func(w *dicom.Writer) {}, "none none none none none"},
		"a fragment to a frame":             {dicom.JPEGBaseline8Bit, encapsulated(nil, "aa", "bbbb", "cc"), "none aa bbbb cc none"},
		"an offset table that does not fit": {dicom.JPEGBaseline8Bit, encapsulated(table, "aaaa", "AA", "bb", "cc"), "none aaaaAA none none none"},
		"a good offset table":               {dicom.JPEGBaseline8Bit, encapsulated([]byte{0, 0, 0, 0, 22, 0, 0, 0, 32, 0, 0, 0}, "aaaa", "AA", "bb", "cc"), "none aaaaAA bb cc none"},
		"no offset table":                   {dicom.JPEGBaseline8Bit, encapsulated(nil, "aa", "bb"), "none none none none none"},
	} {
		p := file(t, c.ts, instanceJSON+"}", c.pixels)
		o := readObject(t, p)
		var got []string
		for n := range 5 {
			got = append(got, frames(t, p, o, n))
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: got %s, want %s", name, s, c.want)
		}
		if o.TransferSyntax != c.ts {
			t.Errorf("%s: got transfer syntax %s", name, o.TransferSyntax)
		}
	}
}

func encapsulated(table []byte, fragments ...string) func(*dicom.Writer) {
	return func(w *dicom.Writer) {
		w.BeginEncapsulated(dicom.TagPixelData)
		w.Fragment(table)
		for _, f := range fragments {
			w.Fragment([]byte(f))
		}
		w.EndEncapsulated()
	}
}

func TestMetadataHasNoBulkData(t *testing.T) {
	big := bytes.Repeat([]byte("x"), 2000)
	json := instanceJSON + `,"54000100":{"vr":"SQ","Value":[{"54001010":{"vr":"OW","InlineBinary":"AAE="}}]}}`
	p := file(t, dicom.ExplicitVRLittleEndian, json, func(w *dicom.Writer) {
		w.BeginSequence(0x54000102, dicom.Undefined)
		for range 2 {
			w.BeginItem(dicom.Undefined)
			w.Element(0x54001010, dicom.OW, big)
			w.EndItem()
		}
		w.EndSequence()
		w.Element(dicom.TagPixelData, dicom.OB, []byte("aaaabbbbcccc"))
	})
	o := readObject(t, p)
	got := string(o.DataSet.AppendJSON(nil))
	want := compact(t, instanceJSON+`,"54000100":{"vr":"SQ","Value":[{"54001010":{"vr":"OW","InlineBinary":"AAE="}}]},
		"54000102":{"vr":"SQ","Value":[{"54001010":{"vr":"OW","BulkDataURI":"bulkdata/54000102/1/54001010"}},{"54001010":{"vr":"OW","BulkDataURI":"bulkdata/54000102/2/54001010"}}]},
		"7FE00010":{"vr":"OB","BulkDataURI":"bulkdata/7FE00010"}}`)
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	b, ok := o.Bulk("54000102/2/54001010")
	if !ok || b.VR != dicom.OW {
		t.Fatalf("got %v", b)
	}
	var out bytes.Buffer
	if err := web.CopyPieces(&out, bytes.NewReader(p), b.Pieces); err != nil || !bytes.Equal(out.Bytes(), big) {
		t.Errorf("got %d bytes, %v", out.Len(), err)
	}
	if err := web.CopyPieces(io.Discard, bytes.NewReader(p[:500]), b.Pieces); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("of a file cut off: got %v", err)
	}
	if _, ok := o.Bulk("00100010"); ok {
		t.Error("metadata is bulk data")
	}
}

// Where VRs are implicit, Pixel Representation says which numbers have signs (PS3.5 §A.1).
func TestImplicitVRs(t *testing.T) {
	for representation, want := range map[string]string{
		"":                                    `"00280106":{"vr":"US","Value":[65535]}`,
		`,"00280103":{"vr":"US","Value":[0]}`: `"00280106":{"vr":"US","Value":[65535]}`,
		`,"00280103":{"vr":"US","Value":[1]}`: `"00280106":{"vr":"SS","Value":[-1]}`,
	} {
		p := file(t, dicom.ImplicitVRLittleEndian, instanceJSON+representation+"}", func(w *dicom.Writer) {
			w.Uint16(0x00280106, 0xFFFF)
			w.Element(dicom.TagPixelData, dicom.OW, []byte("aaaabbbbcccc"))
		})
		got := string(readObject(t, p).DataSet.AppendJSON(nil))
		if !strings.Contains(got, want) || !strings.Contains(got, `"7FE00010":{"vr":"OW"`) {
			t.Errorf("%s: got %s", representation, got)
		}
	}
}

// The metadata of a large file needs as much memory as the metadata.
func TestMetadataOfALargeFileNeedsNoMemory(t *testing.T) {
	head := file(t, dicom.ExplicitVRLittleEndian, instanceJSON+"}", func(w *dicom.Writer) { w.Header(dicom.TagPixelData, dicom.OB, 1<<30) })
	block := noise()
	before := heap()
	r := io.MultiReader(bytes.NewReader(head), io.LimitReader(&pattern{block: block}, 1<<30))
	o, err := web.ReadObject(r, web.Limits{}, func(path string) string { return path })
	if err != nil {
		t.Fatal(err)
	}
	if grown := heap() - before; grown > 1<<20 {
		t.Errorf("%d bytes allocated", grown)
	}
	if b, ok := o.Bulk(web.PixelData()); !ok || b.Pieces[0].Length != 1<<30 {
		t.Errorf("got %v", b)
	}
}

// An enhanced instance of 10,000 frames has metadata, however long.
func TestMetadataOfManyFrames(t *testing.T) {
	p := file(t, dicom.ExplicitVRLittleEndian, instanceJSON+"}", func(w *dicom.Writer) {
		w.BeginSequence(0x52009230, dicom.Undefined) // Per-frame Functional Groups Sequence
		for range 10_000 {
			w.BeginItem(dicom.Undefined)
			for _, group := range []dicom.Tag{0x00189118, 0x00209111, 0x00209113, 0x00209116, 0x00289110, 0x00289132, 0x00289145} {
				w.BeginSequence(group, dicom.Undefined)
				w.BeginItem(dicom.Undefined)
				for i := range dicom.Tag(4) {
					w.String(0x00200030+i, dicom.DS, "1.5", "2.5", "3.5")
				}
				w.EndItem()
				w.EndSequence()
			}
			w.EndItem()
		}
		w.EndSequence()
	})
	o := readObject(t, p)
	if n := len(o.DataSet.Items(0x52009230)); n != 10_000 {
		t.Errorf("got %d items", n)
	}
}

func TestObjectsThatCannotBeRead(t *testing.T) {
	good := file(t, dicom.ExplicitVRLittleEndian, instanceJSON+"}", func(*dicom.Writer) {})
	for name, p := range map[string][]byte{
		"nothing": nil, "noise": noise()[:5000], "cut off": good[:len(good)-3], "appended": append(good[:len(good):len(good)], "MZ and more"...),
	} {
		o, err := web.ReadObject(bytes.NewReader(p), web.Limits{}, func(path string) string { return path })
		if err == nil && name != "nothing" {
			t.Errorf("%s: read as %s", name, o.DataSet.AppendJSON(nil))
		}
	}
}

// metadata is what a sender says of the instance whose bulk data follows.
func metadata(t testing.TB, more string) web.DataSet { return dataSet(t, instanceJSON+more+"}") }

func part(media, data string) web.BulkPart {
	m, err := web.ParseMediaType(media)
	if err != nil {
		panic(err)
	}
	return web.BulkPart{Type: m, Size: int64(len(data)), Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(data)), nil }}
}

const pixelURI = `,"7FE00010":{"vr":"OB","BulkDataURI":"pixels"}`

// Metadata and bulk data become a Part 10 file with the same frames.
func TestAssembledInstancesReadTheSame(t *testing.T) {
	for name, c := range map[string]struct {
		more  string
		parts map[string][]web.BulkPart
		ts    dicom.UID
		want  string
	}{
		"uncompressed": {pixelURI, map[string][]web.BulkPart{"pixels": {part("application/octet-stream", "aaaabbbbcccc")}}, dicom.ExplicitVRLittleEndian, "aaaa bbbb cccc"},
		"odd": {pixelURI, map[string][]web.BulkPart{"pixels": {part("application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1", "aaaabbbbccccd")}},
			dicom.ExplicitVRLittleEndian, "aaaa bbbb cccc"},
		"inline": {`,"7FE00010":{"vr":"OB","InlineBinary":"YWFhYWJiYmJjY2Nj"}`, nil, dicom.ExplicitVRLittleEndian, "aaaa bbbb cccc"},
		"JPEG": {pixelURI, map[string][]web.BulkPart{"pixels": {part("image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50", "aa"), part("image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50", "b"),
			part("image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50", "cc")}}, dicom.JPEGBaseline8Bit, "aa b\x00 cc"},
		"the default of image/jls": {pixelURI, map[string][]web.BulkPart{"pixels": {part("image/jls", "aa"), part("image/jls", "bb"), part("image/jls", "cc")}}, dicom.JPEGLSLossless, "aa bb cc"},
		"a value in a sequence": {`,"54000100":{"vr":"SQ","Value":[{"54001010":{"vr":"OW","BulkDataURI":"wave"}}]}` + pixelURI,
			map[string][]web.BulkPart{"pixels": {part("application/octet-stream", "aaaabbbbcccc")}, "wave": {part("application/octet-stream", "wwww")}}, dicom.ExplicitVRLittleEndian, "aaaa bbbb cccc"},
	} {
		a, err := web.Assemble(metadata(t, c.more), c.parts)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var b bytes.Buffer
		if err := a.Write(&b); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		beginning, err := dicom.ReadBeginning(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil || beginning.SOPInstanceUID != "1.4" || beginning.TransferSyntaxUID != c.ts || a.TransferSyntaxUID != c.ts || a.StudyInstanceUID != "1.2" {
			t.Errorf("%s: got %+v, %v", name, beginning, err)
		}
		o := readObject(t, b.Bytes())
		got := fmt.Sprint(frames(t, b.Bytes(), o, 1), " ", frames(t, b.Bytes(), o, 2), " ", frames(t, b.Bytes(), o, 3))
		if got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestInstancesThatCannotBeAssembled(t *testing.T) {
	octets := part("application/octet-stream", "aaaabbbbcccc")
	huge := octets
	huge.Size = 1 << 32
	for name, c := range map[string]struct {
		metadata web.DataSet
		parts    map[string][]web.BulkPart
		status   int
	}{
		"no part":                      {metadata(t, pixelURI), nil, 400},
		"another location":             {metadata(t, pixelURI), map[string][]web.BulkPart{"other": {octets}}, 400},
		"two uncompressed parts":       {metadata(t, pixelURI), map[string][]web.BulkPart{"pixels": {octets, octets}}, 400},
		"two frames of three":          {metadata(t, pixelURI), map[string][]web.BulkPart{"pixels": {part("image/jls", "a"), part("image/jls", "b")}}, 400},
		"frames of two kinds":          {metadata(t, pixelURI), map[string][]web.BulkPart{"pixels": {part("image/jls", "a"), part("image/jp2", "b"), part("image/jls", "c")}}, 415},
		"an unknown media type":        {metadata(t, pixelURI), map[string][]web.BulkPart{"pixels": {part("text/html", "a")}}, 415},
		"a transfer syntax of another": {metadata(t, pixelURI), map[string][]web.BulkPart{"pixels": {part("image/jls; transfer-syntax=1.2.840.10008.1.2.4.50", "a")}}, 415},
		"big endian":                   {metadata(t, pixelURI), map[string][]web.BulkPart{"pixels": {part("application/octet-stream; transfer-syntax=1.2.840.10008.1.2.2", "a")}}, 415},
		"too long a value":             {metadata(t, pixelURI), map[string][]web.BulkPart{"pixels": {huge}}, 413},
		"a value that is not there":    {metadata(t, `,"54000100":{"vr":"SQ","Value":[{"54001010":{"vr":"OW","BulkDataURI":"wave"}}]}`), nil, 400},
		"no instance":                  {dataSet(t, `{"00080016":{"vr":"UI","Value":["1.2"]},"0020000D":{"vr":"UI","Value":["1.2"]}}`), nil, 400},
		"an instance that is no UID":   {dataSet(t, `{"00080016":{"vr":"UI","Value":["1.2"]},"00080018":{"vr":"UI","Value":["../x"]},"0020000D":{"vr":"UI","Value":["1.2"]}}`), nil, 400},
	} {
		_, err := web.Assemble(c.metadata, c.parts)
		var refusal *web.Refusal
		if !errors.As(err, &refusal) || refusal.Status != c.status {
			t.Errorf("%s: got %v, want status %d", name, err, c.status)
		}
	}
	short := octets
	short.Size = 100
	a, err := web.Assemble(metadata(t, pixelURI), map[string][]web.BulkPart{"pixels": {short}})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Write(io.Discard); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a part shorter than it was: got %v", err)
	}
}

// FuzzObject: whatever comes, pieces are within the file.
func FuzzObject(f *testing.F) {
	f.Add(file(f, dicom.ExplicitVRLittleEndian, instanceJSON+"}", func(w *dicom.Writer) { w.Element(dicom.TagPixelData, dicom.OB, []byte("aaaabbbbcccc")) }))
	f.Add(file(f, dicom.JPEGBaseline8Bit, instanceJSON+"}", encapsulated([]byte{0, 0, 0, 0, 22, 0, 0, 0, 32, 0, 0, 0}, "aaaa", "AA", "bb", "cc")))
	f.Fuzz(func(t *testing.T, p []byte) {
		o, err := web.ReadObject(bytes.NewReader(p), web.Limits{Bytes: 1 << 16, Elements: 1000}, func(path string) string { return path })
		if err != nil {
			return
		}
		for n := range 5 {
			pieces, err := o.Frame(n)
			if err != nil {
				continue
			}
			if err := web.CopyPieces(io.Discard, bytes.NewReader(p), pieces); err != nil {
				t.Errorf("frame %d at %v of %d bytes: %v", n, pieces, len(p), err)
			}
		}
		checkAgain(t, o.DataSet)
	})
}
