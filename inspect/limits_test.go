package inspect_test

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"cordon/dicom"
	"cordon/inspect"
	"cordon/inspect/compose"
)

// Memory does not grow with the object: 64 MiB of pixels, of text, of fragments
// and of elements each take less than 512 KiB.
func TestMemoryIsBounded(t *testing.T) {
	block := bytes.Repeat([]byte("0123456789ABCDEF"), 4096)
	const size = 64 << 20
	value := func(vr string) []byte {
		return append([]byte("\x09\x00\x01\x10"+vr+"\x00\x00"), 0, 0, 0, 0x04) // 64 MiB
	}
	fragments := []byte("\xE0\x7F\x10\x00OB\x00\x00\xFF\xFF\xFF\xFF\xFE\xFF\x00\xE0\x00\x00\x00\x00")
	for name, c := range map[string]struct {
		head  []byte
		block []byte
		ts    dicom.UID
	}{
		"binary":    {value("OB"), block, dicom.ExplicitVRLittleEndian},
		"text":      {value("UT"), block, dicom.ExplicitVRLittleEndian},
		"fragments": {fragments, append([]byte("\xFE\xFF\x00\xE0\x00\x00\x01\x00"), block...), dicom.JPEGBaseline8Bit},
		"table":     {append(fragments[:16:16], 0, 0, 0, 0x04), block, dicom.JPEGBaseline8Bit},
		"elements":  {nil, bytes.Repeat([]byte("\x09\x00\x10\x10UT\x00\x00\x08\x00\x00\x00<script>"), 4096), dicom.ExplicitVRLittleEndian},
	} {
		in := inspect.New(inspect.Options{Decoder: dicom.Options{TransferSyntax: c.ts}})
		before := heap()
		in.Write([]byte("\x08\x00\x05\x00CS\x00\x00"))
		in.Write(c.head)
		for n := 0; n < size; n += len(c.block) {
			in.Write(c.block)
		}
		grown := heap() - before
		runtime.KeepAlive(in)
		if grown > 512<<10 {
			t.Errorf("%s: %d KiB", name, grown>>10)
		}
		in.Close()
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestHashList(t *testing.T) {
	sum := sha256.Sum256([]byte("x"))
	l, err := inspect.ReadHashList(strings.NewReader(fmt.Sprintf("# list\n\n%X\tTab.Name\n%064d\n", sum, 1)))
	if err != nil || l.Len() != 2 {
		t.Fatalf("%d digests, %v", l.Len(), err)
	}
	for text, want := range map[string]string{
		"abc":                    "line 1: 3 characters",
		strings.Repeat("z", 64):  "line 1: digest",
		"# ok\n" + "12 name":     "line 2: 2 characters",
		strings.Repeat("a", 1e6): "reading hash list",
	} {
		if _, err := inspect.ReadHashList(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %s", text, err, want)
		}
	}
}

// A digest is looked up for the whole object and for each piece.
func TestListedContentIsFound(t *testing.T) {
	payload := bytes.Repeat([]byte("listed "), 100)
	for _, line := range []string{fmt.Sprintf("%x Sample", sha256.Sum256(payload)), fmt.Sprintf("%X\tSample", md5.Sum(payload))} {
		list, err := inspect.ReadHashList(strings.NewReader(line))
		if err != nil {
			t.Fatal(err)
		}
		listedContentIsFound(t, list, payload)
	}
}

func listedContentIsFound(t *testing.T, list inspect.HashList, payload []byte) {
	t.Helper()
	for _, place := range []compose.Place{
		compose.PrivateOB, compose.PrivateNested, compose.EncapsulatedPDF, compose.Fragment, compose.AfterEndOfImage,
		compose.AfterLastFrame, compose.TrailingPadding, compose.Appended, compose.Deflated, compose.OffsetTable,
	} {
		o := compose.CT(64, 64)
		place.Put(o, payload)
		file := o.File()
		if out := judged(inspect.Options{Hashes: list, Decoder: dicom.Options{Size: int64(len(file))}}, file, 50); !has(out, "hash-listed", "") {
			t.Errorf("%s: found %v", place.Name, out.Findings)
		}
	}
	if out := judged(inspect.Options{Hashes: list}, payload, 0); !has(out, "hash-listed", "file") {
		t.Errorf("a whole file: found %v", out.Findings)
	}
}

// What comes after Close is not judged, and says so.
func TestWriteAfterCloseFails(t *testing.T) {
	in := inspect.New(inspect.Options{})
	in.Write(compose.CT(4, 4).File())
	in.Close()
	if _, err := in.Write([]byte{0}); err == nil {
		t.Error("a write after Close passes")
	}
}
