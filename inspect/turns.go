package inspect

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
