package gateway

import (
	"context"
	"errors"
	"io"

	"cordon/dicom"
	"cordon/finding"
	"cordon/judge"
	"cordon/policy"
)

// maxLarge bounds a data set that is relayed from a buffer, in bytes: an image
// box holds an image to be printed (PS3.4 §H.4.3).
const maxLarge = 512 << 20

// receiveLarge reads a data set that may be as long as an image into a buffer
// and through a judgement, as an object is.
func (r *relay) receiveLarge(ctx context.Context) (operation, error) {
	s := r.s
	r.buffer = s.g.parts.Custody.NewBuffer()
	jm := s.judgement(r.inward, judge.Source{TransferSyntax: r.m.Context.TransferSyntax})
	in := &intake{buffer: r.buffer, jm: jm, room: maxLarge}
	_, err := io.Copy(in, r.m.Data)
	r.held = !s.lets(jm.Finish(ctx))
	switch {
	case errors.Is(err, errTooLong):
		return nil, r.refuseRest(ctx, statusTooLong, "data set longer than is relayed")
	case err != nil:
		return nil, err
	case in.unkept != nil:
		s.log.Error("message cannot be kept: the sender is asked to try again", "error", in.unkept)
		return nil, r.refuse(ctx, statusCannotBeKept, "out of resources")
	}
	return r.perform, nil
}

// judgement begins to judge what comes from origin on this association.
func (s *session) judgement(origin policy.Origin, from judge.Source) *judge.Judgement {
	from.Monitor, from.Bypass = s.admission.Monitor, s.bypassed()
	return s.g.parts.Judge.Begin(s.excepting(origin, from))
}

// lets reports whether the verdict on a message lets it through.
func (s *session) lets(report finding.Report, decision policy.Decision) bool {
	if report.Verdict != finding.Admit {
		s.log.Warn("data set of a message not let through", "findings", finding.IDs(report.Findings), "reason", decision.Reason)
	}
	return report.Verdict == finding.Admit
}

// passes judges a data set that is not an object: it names no instance that it
// could be held against.
func (s *session) passes(ctx context.Context, data []byte, ts dicom.UID, origin policy.Origin) bool {
	if len(data) == 0 {
		return true
	}
	jm := s.judgement(origin, judge.Source{TransferSyntax: ts, Size: int64(len(data))})
	jm.Write(data)
	return s.lets(jm.Finish(ctx))
}

// body is the request's data set, to be closed; nil for none.
func (r *relay) body() (io.ReadCloser, error) {
	switch {
	case r.buffer != nil:
		return r.buffer.Open()
	case r.data == nil:
		return nil, nil
	}
	return io.NopCloser(reader(r.data)), nil
}

// discard frees the request's data set, and gives its place back. It may be
// called more than once.
func (r *relay) discard() {
	if r.buffer != nil {
		r.buffer.Discard()
	}
	if r.place != nil {
		r.place()
	}
}
