package ledger

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"

	"cordon/store"
)

// page is how many records are read in one transaction.
const page = 500

// Export signs what there is, gives the witnesses a moment to cosign it, and
// writes all of it to w.
func (l *Ledger) Export(ctx context.Context, w io.Writer) error {
	if _, err := l.Checkpoint(ctx); err != nil {
		return err
	}
	l.cosignNow(ctx)
	l.pruning.RLock() // so that no body goes between two pages
	defer l.pruning.RUnlock()
	return Export(ctx, l.db, w)
}

// Export writes the records up to the last checkpoint, and that, to w, without
// a key: the database may be open read-only.
func Export(ctx context.Context, db *store.DB, w io.Writer) error {
	var h header
	var last []byte
	err := db.View(ctx, func(tx *store.Tx) (err error) {
		h, last, err = newHeader(tx)
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return errors.New("exporting ledger: nothing has been signed yet")
	}
	if err != nil {
		return fmt.Errorf("exporting ledger: %w", err)
	}
	out := bufio.NewWriter(w)
	line, err := h.encode()
	if err != nil {
		return fmt.Errorf("exporting ledger: %w", err)
	}
	fmt.Fprintf(out, "%s\n", line)
	err = scan(ctx, db, 0, h.Records, func(_ int64, data []byte) error {
		_, err := fmt.Fprintf(out, "%s\n", data)
		return err
	})
	if err != nil {
		return fmt.Errorf("exporting ledger: %w", err)
	}
	out.Write(last) // Flush returns its error
	return out.Flush()
}

// newHeader describes an export up to the last checkpoint, which it returns with
// its cosignatures.
func newHeader(tx *store.Tx) (h header, signed []byte, err error) {
	last, err := lastCheckpoint(tx)
	if err != nil {
		return h, nil, err
	}
	h = header{Format: exportFormat, Records: last.size, Cosigned: []string{}, Witnesses: []string{}}
	if h.Key, err = firstKey(tx); err != nil {
		return h, nil, err
	}
	latest, err := lastCosignatures(tx, last.size)
	if err != nil {
		return h, nil, err
	}
	signed = last.note
	for _, c := range latest { // by size
		h.Witnesses = append(h.Witnesses, c.witness)
	}
	for _, size := range sizes(latest) {
		note, err := cosignedNote(tx, size, latest)
		if err != nil {
			return h, nil, err
		}
		if size == last.size {
			signed = note
		} else {
			h.Cosigned = append(h.Cosigned, string(note))
		}
	}
	return h, signed, nil
}

// Tail calls fn with the last n records, the oldest first.
func (l *Ledger) Tail(ctx context.Context, n int, fn func(Record) error) error {
	return Tail(ctx, l.db, n, fn)
}

// Tail is Ledger.Tail for a database that may be open read-only.
func Tail(ctx context.Context, db *store.DB, n int, fn func(Record) error) error {
	var end int64
	if err := db.View(ctx, func(tx *store.Tx) (err error) { end, err = size(tx); return err }); err != nil {
		return fmt.Errorf("reading ledger: %w", err)
	}
	return scan(ctx, db, max(0, end-int64(n)), end, func(seq int64, data []byte) error {
		r, err := decode(data)
		if err != nil {
			return fmt.Errorf("ledger record %d: %w", seq, err)
		}
		return fn(r)
	})
}

// scan calls fn with the records from (included) to (excluded), outside of any
// transaction. Records are never changed, so pages of different transactions
// fit together.
func scan(ctx context.Context, db *store.DB, from, to int64, fn func(seq int64, data []byte) error) error {
	for from < to {
		var lines [][]byte
		err := db.View(ctx, func(tx *store.Tx) (err error) {
			lines, err = records(tx, from, min(to, from+page))
			return err
		})
		if err != nil {
			return err
		}
		for i, line := range lines {
			if err := fn(from+int64(i), line); err != nil {
				return err
			}
		}
		from += int64(len(lines))
	}
	return nil
}

// records returns the records from (included) to (excluded); one that is not
// there is an error.
func records(tx *store.Tx, from, to int64) ([][]byte, error) {
	rows, err := tx.Query(`SELECT seq, data FROM ledger_records WHERE seq >= ? AND seq < ? ORDER BY seq`, from, to)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var lines [][]byte
	for rows.Next() {
		var seq int64
		var data []byte
		if err := rows.Scan(&seq, &data); err != nil {
			return nil, err
		}
		if seq != from+int64(len(lines)) {
			break
		}
		lines = append(lines, data)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if int64(len(lines)) != to-from {
		return nil, fmt.Errorf("record %d is missing", from+int64(len(lines)))
	}
	return lines, nil
}
