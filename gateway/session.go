package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"

	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/policy"
)

// session is one association with a modality, and the association with the
// archive that mirrors it. It belongs to one goroutine.
type session struct {
	g         *Gateway
	id        string
	log       *slog.Logger
	peer      netip.Addr
	in        *ul.Indication
	rq        *ul.Request
	admission policy.Admission
	archive   *archive
	proposed  []ul.ProposedContext // what the archive is asked for
	down      *dimse.Conn          // to the modality
	up        *dimse.Conn          // to the archive; nil while it is away
	tally     tally
}

// tally counts the objects of one association.
type tally struct {
	received, delivered, held, spooled, refused int
}

func newSession(g *Gateway, peer netip.Addr, in *ul.Indication) *session {
	id := rand.Text()
	return &session{
		g:    g,
		id:   id,
		log:  g.parts.Log.With("association", id, "peer", peer, "calling", in.Request.Calling),
		peer: peer,
		in:   in,
		rq:   &in.Request,
	}
}

// run takes the association from its request to its end. When ctx ends it
// stops after the object under way; when work ends it is cut.
func (s *session) run(ctx, work context.Context) error {
	if rejection := s.admit(); rejection != nil {
		return s.reject(work, *rejection, s.admission.Refusal.String())
	}
	err := s.begin(work)
	s.g.counts.turningAway.Store(err != nil)
	if err != nil {
		s.log.Error("the ledger cannot be written: associations are turned away", "error", err)
		return s.in.Reject(rejectCongested)
	}
	outcome := "aborted"
	defer func() { s.end(work, outcome) }()

	response, rejection := s.mirror(work)
	defer s.closeUpstream(work)
	if rejection != nil {
		outcome = "rejected by the archive"
		return s.reject(work, *rejection, outcome)
	}
	as, err := s.in.Accept(response)
	if err != nil {
		return err
	}
	s.down = dimse.NewConn(as)
	defer s.down.Close()
	s.agree()
	s.g.counts.associations.Add(1)

	switch err := s.messages(ctx, work); {
	case errors.Is(err, io.EOF):
		outcome = "released"
	case err != nil:
		return err
	default:
		outcome = "stopped"
	}
	return nil
}

// messages answers each message in turn. It returns io.EOF when the modality
// released the association, nil when ctx ended.
func (s *session) messages(ctx, work context.Context) error {
	work, cut := context.WithCancel(work)
	defer cut()
	for {
		stop := context.AfterFunc(ctx, cut) // while waiting only: an object under way is finished
		m, err := s.down.Receive(work)
		if !stop() {
			return s.down.Abort()
		}
		if err != nil {
			return err
		}
		if err := s.answer(work, m); err != nil {
			return err
		}
	}
}

// answer handles one message and sends its response.
func (s *session) answer(ctx context.Context, m *dimse.Message) error {
	c := &m.Command
	switch c.Field {
	case dimse.CEchoRQ:
		return s.down.Respond(ctx, m, dimse.Command{Status: dimse.Success}, nil)
	case dimse.CStoreRQ:
		return s.store(ctx, m)
	case dimse.CCancelRQ:
		return nil // of an operation that has ended; it has no response (PS3.7 §9.3.2.3)
	}
	if c.Field&0x8000 != 0 {
		s.down.Abort()
		return fmt.Errorf("response %04X without a request", uint16(c.Field))
	}
	return s.down.Respond(ctx, m, dimse.Command{Status: dimse.UnrecognizedOperation}, nil)
}

// closeUpstream releases the archive's side.
func (s *session) closeUpstream(ctx context.Context) {
	if s.up != nil {
		s.up.Release(ctx)
		s.dropUpstream()
	}
}

// dropUpstream hangs up on an archive that can no longer be used.
func (s *session) dropUpstream() {
	if s.up != nil {
		s.up.Close()
		s.up = nil
	}
}
