package ledger

import (
	"slices"

	"cordon/store"
)

// A cosignature, as it is stored.
type storedCosignature struct {
	witness string // verifier key
	size    int64
	line    []byte
}

// maxWitnesses bounds those that an export names.
const maxWitnesses = 8

// lastCosignatures returns the last of each witness on checkpoints of at most
// size records, by size; of more than maxWitnesses the most recent.
func lastCosignatures(tx *store.Tx, size int64) ([]storedCosignature, error) {
	rows, err := tx.Query(`SELECT c.witness, c.size, c.line FROM ledger_cosignatures c
		JOIN (SELECT witness, MAX(size) AS size FROM ledger_cosignatures WHERE size <= ? GROUP BY witness) m
		ON c.witness = m.witness AND c.size = m.size ORDER BY c.size DESC, c.witness LIMIT ?`, size, maxWitnesses)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []storedCosignature
	for rows.Next() {
		var c storedCosignature
		if err := rows.Scan(&c.witness, &c.size, &c.line); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	slices.Reverse(out)
	return out, rows.Err()
}

// sizes are those of the checkpoints cosigned, each once, ascending.
func sizes(cosigned []storedCosignature) (out []int64) {
	for _, c := range cosigned {
		out = append(out, c.size)
	}
	return slices.Compact(out)
}

// cosignedNote is the checkpoint of that size with those signatures among
// cosigned that are on it, in their order.
func cosignedNote(tx *store.Tx, size int64, cosigned []storedCosignature) ([]byte, error) {
	var note []byte
	if err := tx.QueryRow(`SELECT note FROM ledger_checkpoints WHERE size = ?`, size).Scan(&note); err != nil {
		return nil, err
	}
	for _, c := range cosigned {
		if c.size == size {
			note = append(note, c.line...)
		}
	}
	return note, nil
}

// firstKey is the verifier key that the ledger began with.
func firstKey(tx *store.Tx) (vkey string, err error) {
	err = tx.QueryRow(`SELECT key FROM ledger_keys ORDER BY since LIMIT 1`).Scan(&vkey)
	return vkey, err
}
