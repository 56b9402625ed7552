package custody

import (
	"context"

	"cordon/store"
)

// HeldCount is how many held objects of one origin have one kind of finding.
type HeldCount struct {
	Origin  string // see Object.Origin
	Finding string
	Objects int
}

// maxHeldCounts bounds what HeldCounts returns: AE titles are cheap to make up.
const maxHeldCounts = 5000

// HeldCounts counts what is held by origin and finding, the most first.
func (c *Custody) HeldCounts(ctx context.Context) (all []HeldCount, err error) {
	err = c.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT origin, finding, COUNT(*) FROM custody_held_findings GROUP BY finding, origin ORDER BY 3 DESC LIMIT ?`, maxHeldCounts)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var h HeldCount
			if err := rows.Scan(&h.Origin, &h.Finding, &h.Objects); err != nil {
				return err
			}
			all = append(all, h)
		}
		return rows.Err()
	})
	return all, err
}
