package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
)

// What the gateway asks of an archive for somebody who speaks another protocol.
// Nothing is judged here, and nothing put on the ledger: whoever asks does both.
// Each call has an association of its own, under the calling AE title given. An
// error is a dimse.ErrAway if the archive cannot be had now, a
// dimse.ErrNotAccepted if it does not do what it is asked, a *ul.Rejection if it
// rejects the title for good.

// Away reports whether an archive failed so lately that it is not tried, or is
// not in the configuration.
func (g *Gateway) Away(archive string) bool {
	a := g.archives[archive]
	return a == nil || a.resting()
}

// Store sends one object to an archive (PS3.7 §9.1.1): size bytes of a data set,
// encoded in ts, which data yields. The answer is the archive's, whatever its
// status; with a status of A7xx (out of resources) the error is a dimse.ErrAway
// as well. An error of data's own is none of these.
func (g *Gateway) Store(ctx context.Context, archive string, calling dicom.AETitle, rq dimse.StoreRequest, ts dicom.UID, data io.Reader, size int64) (dimse.Command, error) {
	o, err := g.outward(ctx, archive, ul.Request{
		Calling:  calling,
		Contexts: []ul.ProposedContext{{AbstractSyntax: rq.SOPClassUID, TransferSyntaxes: []dicom.UID{ts}}},
	})
	if err != nil {
		return dimse.Command{}, err
	}
	defer o.conn.Close()
	id, err := contextFor(o.conn, rq.SOPClassUID, ts)
	if err != nil {
		return dimse.Command{}, fmt.Errorf("%w: %w", dimse.ErrNotAccepted, err)
	}
	from := &source{Reader: data}
	rsp, err := g.storeTo(ctx, o.to, o.conn, id, rq, from, size)
	switch {
	case from.err != nil:
		return rsp, fmt.Errorf("%w: %w", errBuffer, from.err)
	case err != nil:
		return rsp, o.away(ctx, err)
	case transient(rsp.Status):
		return rsp, fmt.Errorf("%w: it is out of resources", dimse.ErrAway)
	}
	if err := o.conn.Release(ctx); err != nil {
		g.parts.Log.Debug("association of the gateway's own not released", "archive", archive, "error", err)
	}
	return rsp, nil
}

// source remembers why it could not be read, so that nobody takes that for the
// other side's fault.
type source struct {
	io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// outward is an association with an archive on somebody's behalf.
type outward struct {
	g    *Gateway
	to   *archive
	conn *dimse.Conn
}

// outward opens one, if the archive is not resting after a failure.
func (g *Gateway) outward(ctx context.Context, archive string, rq ul.Request) (*outward, error) {
	a := g.archives[archive]
	switch {
	case a == nil:
		return nil, fmt.Errorf("archive %s is not in the configuration", archive)
	case a.resting():
		return nil, fmt.Errorf("%w: %w", dimse.ErrAway, errResting)
	}
	rq.Called = a.upstream.AETitle
	o := &outward{g: g, to: a}
	var err error
	switch o.conn, err = g.associate(ctx, a, rq); {
	case isPermanent(err):
		return nil, err
	case err != nil:
		return nil, o.away(ctx, err)
	}
	return o, nil
}

// away is an error that may pass, unless whoever asked has given up.
func (o *outward) away(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, dimse.ErrAway) {
		return err
	}
	return fmt.Errorf("%w: archive %s: %w", dimse.ErrAway, o.to.upstream.Name, err)
}
