package inspect

import (
	"crypto/sha256"
	"fmt"
	"hash"
)

// wholeHash looks the object as a whole up in the hash list.
type wholeHash struct {
	hashes HashList
	digest hash.Hash // nil when the list is empty
	report *report
}

func newWholeHash(l HashList, r *report) wholeHash {
	w := wholeHash{hashes: l, report: r}
	if l.Len() > 0 {
		w.digest = sha256.New()
	}
	return w
}

func (w *wholeHash) write(p []byte) {
	if w.digest != nil {
		w.digest.Write(p)
	}
}

func (w *wholeHash) finish() {
	if w.digest == nil {
		return
	}
	if name, listed := w.hashes.Lookup([32]byte(w.digest.Sum(nil))); listed {
		w.report.add("hash-listed", nil, 0, listedAs(name))
	}
}

// pieceDigest is the digest of one piece, with and without its last byte, which
// may be there only to make the length even. The zero value digests nothing.
type pieceDigest struct {
	hash  hash.Hash
	last  [1]byte
	bytes int64
}

func (d *pieceDigest) start() {
	if d.hash == nil {
		d.hash = sha256.New()
	}
	d.hash.Reset()
	d.bytes = 0
}

func (d *pieceDigest) write(p []byte) {
	if d.hash == nil || len(p) == 0 {
		return
	}
	if d.bytes > 0 {
		d.hash.Write(d.last[:])
	}
	d.bytes += int64(len(p))
	d.hash.Write(p[:len(p)-1])
	d.last[0] = p[len(p)-1]
}

func (d *pieceDigest) lookup(l HashList) (name string, listed bool) {
	if d.hash == nil || d.bytes == 0 {
		return "", false
	}
	if d.last[0] == 0 || d.last[0] == ' ' {
		if name, listed = l.Lookup([32]byte(d.hash.Sum(nil))); listed {
			return name, true
		}
	}
	d.hash.Write(d.last[:])
	return l.Lookup([32]byte(d.hash.Sum(nil)))
}

func listedAs(name string) string {
	if name == "" {
		return "SHA-256 digest is on the list"
	}
	return fmt.Sprintf("SHA-256 digest is on the list as %s", name)
}
