package gateway

import (
	"context"
	"errors"
	"sync"

	"cordon/dicom"
	"cordon/dicom/dimse"
)

// live are the associations that are established now, so that what waits for a
// peer can be sent on one that it opened itself.
type live struct {
	mu       *sync.Mutex
	sessions map[*session]bool
}

func newLive() live { return live{&sync.Mutex{}, map[*session]bool{}} }

func (l live) add(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sessions[s] = true
}

func (l live) remove(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.sessions, s)
}

// find returns an association on which calling called called, and accepted a
// presentation context for the abstract syntax; or nil.
func (l live) find(calling, called dicom.AETitle, abstract dicom.UID) *session {
	l.mu.Lock()
	defer l.mu.Unlock()
	for s := range l.sessions {
		if s.rq.Calling == calling && s.rq.Called == called && s.contextOf(abstract) != 0 {
			return s
		}
	}
	return nil
}

// contextOf is the id of the first accepted presentation context for an
// abstract syntax, or 0.
func (s *session) contextOf(abstract dicom.UID) uint8 {
	for _, pc := range s.down.Conn().Association().Contexts() {
		if pc.AbstractSyntax == abstract {
			return pc.ID
		}
	}
	return 0
}

// ask sends a request of our own on the association and returns its response.
func (s *session) ask(ctx context.Context, abstract dicom.UID, rq dimse.Command, data []byte) (dimse.Reply, error) {
	if !s.under.begin() {
		return dimse.Reply{}, errStopping
	}
	defer s.under.end()
	id := s.contextOf(abstract)
	if id == 0 {
		return dimse.Reply{}, errors.New("no presentation context for it")
	}
	op, err := s.down.Begin(ctx, id, rq, reader(data))
	if err != nil {
		return dimse.Reply{}, err
	}
	defer op.Abandon()
	return op.Next(ctx)
}
