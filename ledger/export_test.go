package ledger

import "time"

// SetNow gives the ledger another clock.
func (l *Ledger) SetNow(now func() time.Time) { l.now = now }

// Canonical and Value are two ways to say what canonical JSON is.
var (
	Canonical = canonical
	Value     = func(p []byte) (int, error) { return value(p, 1) }
)

// Leaf is what the tree keeps of a line.
func Leaf(line []byte) ([]byte, error) {
	r, err := decode(line)
	if err != nil {
		return nil, err
	}
	return r.leaf(line), nil
}
