package ledger

import (
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// TreeHead is what a checkpoint says.
type TreeHead struct {
	Origin string // the ledger's name
	Size   int64  // records
	Root   tlog.Hash
	Time   time.Time
	Next   string // the verifier key that is about to sign; "" for that of the checkpoint
	Text   string // what is signed
}

// OpenHead verifies a signed checkpoint that carries the signature of the
// ledger's verifier key alone, as Witness.Add is given it.
func OpenHead(signed []byte, vkey string) (TreeHead, error) {
	v, err := parseVerifier(vkey)
	if err != nil {
		return TreeHead{}, err
	}
	c, _, err := openCheckpoint(signed, v, nil)
	if err != nil {
		return TreeHead{}, err
	}
	return TreeHead{Origin: c.origin, Size: c.size, Root: c.root, Time: c.time, Next: c.next, Text: c.text()}, nil
}

// OriginOf returns the name of the ledger that a verifier key belongs to.
func OriginOf(vkey string) (string, error) {
	v, err := parseVerifier(strings.TrimSpace(vkey))
	if err != nil {
		return "", err
	}
	return v.Name(), nil
}
