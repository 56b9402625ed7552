package custody

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"cordon/store"
)

// ageHeader begins every file that age has encrypted.
const ageHeader = "age-encryption.org/v1\n"

// Encrypted looks at the files of the latest n objects that are kept here, and
// returns at how many it looked and how many of them are encrypted.
func (c *Custody) Encrypted(ctx context.Context, n int) (looked, encrypted int, err error) {
	var ids []string
	err = c.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT id FROM custody_objects WHERE state IN ('spooled', 'held') ORDER BY seq DESC LIMIT ?`, n)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return rows.Err()
	})
	for _, id := range ids {
		is, err := isEncrypted(c.blobPath(id))
		if errors.Is(err, fs.ErrNotExist) {
			continue // on its way there, or gone; a missing one is an alarm elsewhere
		}
		if err != nil {
			return looked, encrypted, err
		}
		looked++
		if is {
			encrypted++
		}
	}
	return looked, encrypted, err
}

func isEncrypted(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	head := make([]byte, len(ageHeader))
	if _, err := io.ReadFull(f, head); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return false, err
	}
	return bytes.Equal(head, []byte(ageHeader)), nil
}
