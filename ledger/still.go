package ledger

// Still runs fn while the key is not replaced, so that a copy of the database
// and one of the keys fit together.
func (l *Ledger) Still(fn func() error) error {
	l.rotating.Lock()
	defer l.rotating.Unlock()
	return fn()
}
