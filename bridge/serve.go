package bridge

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"

	"cordon/dicom"
	"cordon/dicom/dimse"
)

// session is one association with the archive.
type session struct {
	b       *Bridge
	x       *dimse.Exchange
	log     *slog.Logger
	calling dicom.AETitle
	later   func(func(context.Context)) // starts what may outlive the association

	running sync.WaitGroup // operations with a goroutine of their own

	mu      sync.Mutex
	current uint16                  // message id of the one under way
	cancel  context.CancelCauseFunc // cancels it; nil if there is none
}

// errCancelled is why an operation ended that the other side cancelled.
var errCancelled = errors.New("cancelled")

// serve answers messages until the peer releases the association (io.EOF).
func (b *Bridge) serve(ctx context.Context, c *dimse.Conn, start func(func())) error {
	rq := c.Association().Request()
	s := &session{b: b, log: b.log.With("calling", rq.Calling), calling: rq.Calling}
	s.later = func(f func(context.Context)) { start(func() { f(ctx) }) }
	s.x = dimse.NewExchange(c, s.answer)
	within, cancel := context.WithCancel(ctx)
	defer s.running.Wait()
	defer cancel()
	return s.x.Run(within)
}

// answer serves one request, in the goroutine that reads. What takes long and can
// be cancelled has a goroutine of its own.
func (s *session) answer(ctx context.Context, m *dimse.Message) error {
	switch m.Command.Field {
	case dimse.CCancelRQ:
		s.cancelled(m.Command.MessageIDBeingRespondedTo)
		return nil
	case dimse.CEchoRQ:
		return s.echo(ctx, m)
	case dimse.CStoreRQ:
		status, comment := s.store(ctx, m)
		return s.x.Respond(ctx, m, dimse.Command{Status: status, ErrorComment: comment}, nil)
	case dimse.CFindRQ:
		return s.start(ctx, m, s.find)
	case dimse.CGetRQ:
		return s.start(ctx, m, s.get)
	case dimse.CMoveRQ:
		return s.start(ctx, m, s.move)
	case dimse.NActionRQ:
		return s.action(ctx, m)
	}
	return s.x.Respond(ctx, m, dimse.Command{Status: dimse.UnrecognizedOperation}, nil)
}

// echo says whether the archive can be reached.
func (s *session) echo(ctx context.Context, m *dimse.Message) error {
	if err := s.b.probe(ctx); err != nil {
		return s.x.Respond(ctx, m, dimse.Command{Status: dimse.ProcessingFailure, ErrorComment: commentAway}, nil)
	}
	return s.x.Respond(ctx, m, dimse.Command{Status: dimse.Success}, nil)
}

// maxIdentifier bounds an identifier, in bytes.
const maxIdentifier = 128 << 10

// operation performs a C-FIND, C-GET or C-MOVE and returns its final response.
// within is ctx, and ends as well when the other side cancels.
type operation func(ctx, within context.Context, m *dimse.Message, identifier []byte) (dimse.Command, []byte)

// start reads the identifier of a query or retrieve and performs it in a
// goroutine of its own, one at a time.
func (s *session) start(ctx context.Context, m *dimse.Message, perform operation) error {
	switch {
	case m.Command.AffectedSOPClassUID != m.Context.AbstractSyntax || !fits(m.Command.Field, m.Context.AbstractSyntax):
		return s.x.Respond(ctx, m, dimse.Command{Status: dimse.SOPClassNotSupported, ErrorComment: "not the SOP class of the presentation context"}, nil)
	case m.Data == nil:
		return s.x.Respond(ctx, m, dimse.Command{Status: dimse.DataSetDoesNotMatchSOPClass, ErrorComment: "no identifier"}, nil)
	}
	identifier, err := io.ReadAll(io.LimitReader(m.Data, maxIdentifier+1))
	switch {
	case err != nil:
		return err
	case len(identifier) > maxIdentifier:
		return s.x.Respond(ctx, m, dimse.Command{Status: statusUnreadable, ErrorComment: "identifier longer than 128 KiB"}, nil)
	}
	within, ok := s.begin(ctx, m.Command.MessageID)
	if !ok {
		return s.x.Respond(ctx, m, dimse.Command{Status: dimse.OutOfResources, ErrorComment: "one operation at a time"}, nil)
	}
	rq := *m
	rq.Data = nil         // valid only until now
	s.running.Go(func() { // ends with the operation, or soon after ctx
		defer s.survive()
		final, data := perform(ctx, within, &rq, identifier)
		s.end()
		if err := s.x.Respond(ctx, &rq, final, reader(data)); err != nil && ctx.Err() == nil {
			s.log.Warn("bridge: final response not sent", "error", err)
		}
	})
	return nil
}

// survive ends an association whose operation was broken off by a defect.
func (s *session) survive() {
	if p := recover(); p != nil {
		s.log.Error("bridge: operation ended by a defect", "panic", p)
		s.x.Conn().Abort()
	}
}

// reader is data to send, or nil if there is none.
func reader(data []byte) io.Reader {
	if data == nil {
		return nil
	}
	return bytes.NewReader(data)
}

// fits reports whether a request is one of the SOP class.
func fits(field dimse.CommandField, class dicom.UID) bool {
	switch class {
	case dicom.PatientRootQueryRetrieveInformationModelFind, dicom.StudyRootQueryRetrieveInformationModelFind:
		return field == dimse.CFindRQ
	case dicom.PatientRootQueryRetrieveInformationModelGet, dicom.StudyRootQueryRetrieveInformationModelGet:
		return field == dimse.CGetRQ
	case dicom.PatientRootQueryRetrieveInformationModelMove, dicom.StudyRootQueryRetrieveInformationModelMove:
		return field == dimse.CMoveRQ
	}
	return false
}

// begin notes the operation under way, if there is none.
func (s *session) begin(ctx context.Context, id uint16) (context.Context, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancel != nil {
		return nil, false
	}
	ctx, s.cancel = context.WithCancelCause(ctx)
	s.current = id
	return ctx, true
}

// end notes that it is over.
func (s *session) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancel(nil)
	s.cancel = nil
}

// cancelled cancels the operation under way, if it is the one named (PS3.7 §9.3.2.3).
func (s *session) cancelled(id uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancel != nil && s.current == id {
		s.cancel(errCancelled)
	}
}

// isCancelled reports whether the other side cancelled the operation.
func isCancelled(ctx context.Context) bool { return errors.Is(context.Cause(ctx), errCancelled) }
