package ledger

import (
	"fmt"

	"cordon/store"

	"golang.org/x/mod/sumdb/tlog"
)

// hashes reads the Merkle tree's stored hashes in a transaction.
func hashes(tx *store.Tx) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			var p []byte
			if err := tx.QueryRow(`SELECT hash FROM ledger_hashes WHERE idx = ?`, index).Scan(&p); err != nil {
				return nil, fmt.Errorf("ledger hash %d: %w", index, err)
			}
			copy(out[i][:], p)
		}
		return out, nil
	})
}

// grow adds record n to the tree.
func grow(tx *store.Tx, n int64, data []byte) error {
	added, err := tlog.StoredHashes(n, data, hashes(tx))
	if err != nil {
		return err
	}
	first := tlog.StoredHashIndex(0, n)
	for i, h := range added {
		if _, err := tx.Exec(`INSERT INTO ledger_hashes (idx, hash) VALUES (?, ?)`, first+int64(i), h[:]); err != nil {
			return err
		}
	}
	return nil
}

// size returns the number of records.
func size(tx *store.Tx) (n int64, err error) {
	err = tx.QueryRow(`SELECT COALESCE(MAX(seq) + 1, 0) FROM ledger_records`).Scan(&n)
	return n, err
}

// An edge is the right edge of a growing Merkle tree (RFC 6962 §2.1): the roots
// of its perfect subtrees, the largest first. It verifies a log of any length
// in memory for its logarithm.
type edge struct {
	size  int64
	roots []tlog.Hash
}

// add adds a leaf and returns the hashes that the tree stores for it, as
// tlog.StoredHashes does.
func (e *edge) add(data []byte) []tlog.Hash {
	h := tlog.RecordHash(data)
	stored := []tlog.Hash{h}
	for n := e.size; n&1 == 1; n >>= 1 {
		h = tlog.NodeHash(e.roots[len(e.roots)-1], h)
		e.roots = e.roots[:len(e.roots)-1]
		stored = append(stored, h)
	}
	e.roots = append(e.roots, h)
	e.size++
	return stored
}

// root returns the tree's hash; there must be a leaf.
func (e *edge) root() tlog.Hash {
	h := e.roots[len(e.roots)-1]
	for i := len(e.roots) - 2; i >= 0; i-- {
		h = tlog.NodeHash(e.roots[i], h)
	}
	return h
}
