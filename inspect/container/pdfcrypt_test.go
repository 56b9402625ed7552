package container_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cordon/inspect/container"
)

// PDFs that only restrict what a reader offers are read like others; those with a
// password say that they cannot be. The files are one document, which has a script in an
// object stream and an attached file, encrypted by qpdf in each way that there is.
func TestEncryptedPDFs(t *testing.T) {
	for _, path := range encryptedPDFs(t) {
		p, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		n := &notes{}
		container.New(container.Limits{}, n).Open(container.Piece{Data: p, Whole: true, Document: true})
		open := strings.HasSuffix(path, "-open.pdf")
		if n.has("encrypted-container") != open || n.has("encrypted-document") == open || n.has("pdf-javascript") != open {
			t.Errorf("%s: found %v", path, n.found)
		}
		if strings.Contains(string(n.text), "the attached bytes of a drill") != open {
			t.Errorf("%s: members %v", path, n.members)
		}
	}
}

func encryptedPDFs(t testing.TB) []string {
	paths, err := filepath.Glob("testdata/*.pdf")
	if err != nil || len(paths) != 10 {
		t.Fatalf("%d files, %v", len(paths), err)
	}
	return paths
}
