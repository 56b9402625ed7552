package gateway

import "context"

// intend makes the association's intent durable. While the ledger cannot be
// written, a full disk say, nobody is let in; or, if the site would rather have
// images without a record than none, associations go on, loudly: each is counted,
// and what the ledger says later is how much of it is missing.
//
// Objects that have to be kept here, held or spooled, are turned away in either
// case (A700): there is no room for them.
func (s *session) intend(ctx context.Context) error {
	err := s.begin(ctx)
	goOn := err != nil && s.g.config.Unrecorded && ctx.Err() == nil
	s.g.counts.turningAway.Store(err != nil && !goOn)
	if !goOn {
		return err
	}
	s.g.parts.Ledger.Missed(err)
	s.log.Error("the ledger cannot be written: imaging goes on without a record (ledger.full: go_on)", "error", err)
	return nil
}
