package history

import (
	"context"
	"time"

	"cordon/store"
)

// Point is what was measured in one minute or hour.
type Point struct {
	At   time.Time
	Sum  float64 // of a total: what it grew by
	Most float64
	Mean float64 // of a level
}

// Points are those of a series that begin at from or later and before to, in order.
// Where nothing was measured there is none.
func (h *History) Points(ctx context.Context, name string, from, to time.Time, step Step) (out []Point, err error) {
	err = h.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT at, sum, most, n FROM history_point WHERE series = (SELECT id FROM history_series WHERE name = ?) AND step = ? AND at >= ? AND at < ? ORDER BY at`,
			name, int64(step), from.Unix(), to.Unix())
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var at int64
			var n float64
			var p Point
			if err := rows.Scan(&at, &p.Sum, &p.Most, &n); err != nil {
				return err
			}
			p.At, p.Mean = time.Unix(at, 0).UTC(), p.Sum/max(n, 1)
			out = append(out, p)
		}
		return rows.Err()
	})
	return out, err
}

// Sum is what a total grew by, in whole hours.
func (h *History) Sum(ctx context.Context, name string, from, to time.Time) (sum float64, err error) {
	err = h.db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT coalesce(sum(sum), 0) FROM history_point WHERE series = (SELECT id FROM history_series WHERE name = ?) AND step = ? AND at >= ? AND at < ?`,
			name, int64(Hour), from.Unix(), to.Unix()).Scan(&sum)
	})
	return sum, err
}

// Names are the series whose names begin so, in order.
func (h *History) Names(ctx context.Context, prefix string) (out []string, err error) {
	err = h.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT name FROM history_series WHERE substr(name, 1, length(?1)) = ?1 ORDER BY name`, prefix)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				return err
			}
			out = append(out, name)
		}
		return rows.Err()
	})
	return out, err
}

// Strip is one series as a row of cells of equal length: what a total grew by in
// each.
type Strip struct {
	Name  string
	Cells []float64
}

// Strips are the series whose names begin so, from a time on, n cells of a length
// each; the prefix is left out of their names.
func (h *History) Strips(ctx context.Context, prefix string, from time.Time, cell time.Duration, n int) ([]Strip, error) {
	names, err := h.Names(ctx, prefix)
	if err != nil {
		return nil, err
	}
	step := Minute
	if cell >= time.Hour {
		step = Hour
	}
	var out []Strip
	for _, name := range names {
		s := Strip{name[len(prefix):], make([]float64, n)}
		points, err := h.Points(ctx, name, from, from.Add(cell*time.Duration(n)), step)
		if err != nil {
			return nil, err
		}
		for _, p := range points {
			s.Cells[min(int(p.At.Sub(from)/cell), n-1)] += p.Sum
		}
		out = append(out, s)
	}
	return out, nil
}
