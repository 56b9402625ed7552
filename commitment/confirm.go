package commitment

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"cordon/dicom"
	"cordon/dicom/commit"
	"cordon/dicom/dimse"
)

// A confirmation is a question of our own, which no device asked: it is in
// memory alone, and whoever wants to know asks again after a start.
type confirmation struct {
	archive string
	open    map[commit.Reference]bool
	failed  []commit.Failure
	settled chan struct{} // closed once nothing is open
}

// confirmations are those under way, by transaction UID.
type confirmations struct {
	mu sync.Mutex
	of map[dicom.UID]*confirmation
}

// errUnreported means that the archive took the question and did not report in
// time.
var errUnreported = errors.New("archive has not reported in time")

// Confirm asks an archive whether it commits to some instances, at most 1,000,
// and returns those to which it does not. It waits for the report as long as the
// configuration says. The error is ErrUnsupported if the archive does not do it.
func (c *Commitment) Confirm(ctx context.Context, n Network, archive string, refs []commit.Reference) ([]commit.Failure, error) {
	q := &confirmation{archive: archive, open: map[commit.Reference]bool{}, settled: make(chan struct{})}
	for _, r := range refs {
		q.open[r] = true
	}
	transaction := commit.NewTransactionUID()
	c.own.add(transaction, q)
	defer c.own.remove(transaction)
	var status dimse.Status
	err := n.Ask(ctx, archive, []commit.Action{{TransactionUID: transaction, References: refs}}, q.settled, func(_ int, s dimse.Status) { status = s })
	switch {
	case err != nil:
		return nil, err
	case status.Class() == dimse.ClassFailure:
		return nil, fmt.Errorf("%w: it answers status %04XH", ErrUnsupported, uint16(status))
	}
	select {
	case <-q.settled:
		return q.failed, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(c.config.Confirm):
		return nil, fmt.Errorf("archive %s: %w", archive, errUnreported)
	}
}

func (s *confirmations) add(transaction dicom.UID, q *confirmation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of[transaction] = q
}

func (s *confirmations) remove(transaction dicom.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.of, transaction)
}

// take hears a report, and returns whether it answers a question of our own. Of
// what it calls both failed and committed, the failure counts.
func (s *confirmations) take(archive string, r commit.Report) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.of[r.TransactionUID]
	if q == nil || q.archive != archive {
		return false
	}
	if len(q.open) == 0 {
		return true // told twice
	}
	for _, f := range r.Failed {
		if q.open[f.Reference] {
			delete(q.open, f.Reference)
			q.failed = append(q.failed, f)
		}
	}
	for _, ref := range r.Committed {
		delete(q.open, ref)
	}
	if len(q.open) == 0 {
		close(q.settled)
	}
	return true
}
