package interop

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"cordon/dicom"
	"cordon/dicom/ul"
	"cordon/folder"
)

// DCMTK stores to the folder archive, and reads back what it finds there.
func TestFolderArchiveTakesFromStorescu(t *testing.T) {
	dir, sent := t.TempDir(), filepath.Join(t.TempDir(), "ct.dcm")
	dump := filepath.Join(t.TempDir(), "ct.dump")
	write(t, dump, `(0008,0016) UI =CTImageStorage
(0008,0018) UI [2.25.2002]
(0010,0010) PN [PHANTOM^FOLDER]
(0020,000D) UI [2.25.2000]
(0020,000E) UI [2.25.2001]
`)
	run(t, "dump2dcm", "+te", dump, sent)

	archive, err := folder.New(dir, "ARCHIVE", ul.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- archive.Serve(ctx, l) }() // ends with ctx
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	run(t, "echoscu", "-aec", "ARCHIVE", "127.0.0.1", port)
	run(t, "storescu", "-R", "-aec", "ARCHIVE", "127.0.0.1", port, sent)
	cancel()
	if err := <-served; err != nil {
		t.Fatal(err)
	}

	kept, err := filepath.Glob(filepath.Join(dir, "*", "*.dcm"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("archive holds %q, %v", kept, err)
	}
	run(t, "dcmftest", kept[0])
	if got, want := dataSetOf(t, kept[0]), dataSetOf(t, sent); string(got) != string(want) {
		t.Errorf("the data set kept is %d bytes, sent were %d others", len(got), len(want))
	}
}

// dataSetOf is what follows the File Meta Information of a file that begins
// with its group length (PS3.10 §7.1).
func dataSetOf(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	length := uint32(text[140]) | uint32(text[141])<<8 | uint32(text[142])<<16 | uint32(text[143])<<24
	if string(text[128:132]) != "DICM" || dicom.NewTag(uint16(text[132]), 0) != dicom.TagFileMetaInformationGroupLength {
		t.Fatalf("%s does not begin as a Part 10 file", path)
	}
	return text[144+length:]
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
