package inspect

import (
	"crypto/sha256"
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
