package inspect

import "time"

// Turns bound how many containers are open at a time in all inspections that share
// them, since each needs memory of its own. An inspection waits for its turn; whoever has one
// waits for nothing. Nil bounds nothing.
type Turns chan struct{}

// NewTurns lets n containers be open at a time.
func NewTurns(n int) Turns { return make(Turns, n) }

// take waits for a turn. The caller must give it back.
func (t Turns) take() {
	if t != nil {
		t <- struct{}{}
	}
}

func (t Turns) give() {
	if t != nil {
		<-t
	}
}

// takeWithin waits so long for a turn at the most, and reports whether it has one.
func (t Turns) takeWithin(d time.Duration) bool {
	if t == nil {
		return true
	}
	select {
	case t <- struct{}{}:
		return true
	default:
	}
	patience := time.NewTimer(d)
	defer patience.Stop()
	select {
	case t <- struct{}{}:
		return true
	case <-patience.C:
		return false
	}
}
