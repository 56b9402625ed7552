package ledger_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cordon/ledger"
	"cordon/store"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// signerOf is what a thief of the ledger's key file has.
func signerOf(t testing.TB, dir string) note.Signer {
	t.Helper()
	skey, err := os.ReadFile(filepath.Join(dir, "keys", "ledger.key"))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(strings.TrimSpace(string(skey)))
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// forgeHistory changes record n of an export and signs all of it anew with the
// ledger's own key.
func forgeHistory(t testing.TB, s site, export []byte, n int) []byte {
	t.Helper()
	lines := bytes.Split(export, []byte("\n"))
	records := int(s.count(t))
	lines[1+n] = bytes.Replace(lines[1+n], []byte(`"i":`), []byte(`"i":77`), 1)
	return resign(t, signerOf(t, s.dir), lines[:1+records])
}

func (s site) count(t testing.TB) (n int64) {
	t.Helper()
	err := s.db.View(t.Context(), func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT COUNT(*) FROM ledger_records`).Scan(&n)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// resign makes an export of a header and records, signed by signer.
func resign(t testing.TB, signer note.Signer, lines [][]byte) []byte {
	t.Helper()
	var stored []tlog.Hash
	read := tlog.HashReaderFunc(func(indexes []int64) (out []tlog.Hash, err error) {
		for _, i := range indexes {
			out = append(out, stored[i])
		}
		return out, nil
	})
	for i, line := range lines[1:] {
		leaf, err := ledger.Leaf(line)
		if err != nil {
			t.Fatal(err)
		}
		added, err := tlog.StoredHashes(int64(i), leaf, read)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, added...)
	}
	root, err := tlog.TreeHash(int64(len(lines)-1), read)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%s\n%d\n%s\ntime %s\n", signer.Name(), len(lines)-1, root, time.Now().UTC().Format("2006-01-02T15:04:05.000000Z"))
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		t.Fatal(err)
	}
	return append(append(bytes.Join(lines, []byte("\n")), '\n'), signed...)
}
