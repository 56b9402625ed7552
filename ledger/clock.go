package ledger

import "time"

// clockSlack is how far a clock may move without being said to jump: less is a
// clock that is being kept right.
const clockSlack = 2 * time.Second

// clock is when the last record was made.
type clock struct{ last time.Time }

func (c *clock) set(now time.Time) { c.last = now }

// jump returns what to record if the machine's clock was set since the last
// record, back or ahead. While the process runs, the monotonic clock tells;
// after a start, only a jump back can be told from time that has passed.
func (c *clock) jump(now time.Time) (map[string]any, bool) {
	if c.last.IsZero() {
		return nil, false
	}
	by := now.Round(0).Sub(c.last.Round(0)) - now.Sub(c.last)
	if by == 0 {
		by = min(0, now.Round(0).Sub(c.last.Round(0)))
	}
	if by.Abs() <= clockSlack {
		return nil, false
	}
	return map[string]any{"was": c.last.UTC().Format(timeFormat), "seconds": int64(by / time.Second)}, true
}
