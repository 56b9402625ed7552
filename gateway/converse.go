package gateway

import (
	"bytes"
	"context"
	"io"
	"sync"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
)

// call opens an association of the gateway's own, which tells nothing about the
// health of whom it is with: an archive may well take images of modalities and
// know no CORDON.
func (g *Gateway) call(ctx context.Context, to Upstream, rq ul.Request) (*dimse.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, g.config.ConnectTimeout)
	defer cancel()
	as, err := g.pool.open(ctx, to, rq, g.config.Limits)
	if err != nil {
		return nil, err
	}
	return dimse.NewConn(as), nil
}

// converse runs talk on an association of the gateway's own, then releases and
// closes it. serve answers what the other side asks meanwhile; if it is nil,
// nothing is done for it.
func (g *Gateway) converse(ctx context.Context, conn *dimse.Conn, serve func(context.Context, *dimse.Exchange, *dimse.Message) error, talk func(context.Context, *dimse.Exchange) error) error {
	defer conn.Close()
	var x *dimse.Exchange
	var answer func(context.Context, *dimse.Message) error
	if serve != nil {
		answer = func(ctx context.Context, m *dimse.Message) error { return serve(ctx, x, m) }
	}
	x = dimse.NewExchange(conn, answer)
	ctx, cancel := context.WithCancel(ctx)
	var reading sync.WaitGroup
	defer reading.Wait()
	defer cancel()
	reading.Go(func() { // ends with the association, at the latest with ctx
		defer g.survive("association of the gateway's own")
		_ = x.Run(ctx) // operations under way learn why it ended
	})
	if err := talk(ctx, x); err != nil {
		return err
	}
	if err := conn.Release(ctx); err != nil { // all that was asked is answered
		g.parts.Log.Debug("association of the gateway's own not released", "error", err)
	}
	return nil
}

// request sends a request with the data set that write writes, and returns the
// status of its response.
func (g *Gateway) request(ctx context.Context, x *dimse.Exchange, pc ul.Context, rq dimse.Command, write func(io.Writer, dicom.UID) error) (dimse.Status, error) {
	var data bytes.Buffer
	if err := write(&data, pc.TransferSyntax); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, g.config.ResponseTimeout, errNoAnswer)
	defer cancel()
	op, err := x.Begin(ctx, pc.ID, rq, &data)
	if err != nil {
		return 0, err
	}
	defer op.Abandon()
	reply, err := op.Next(ctx)
	return reply.Command.Status, err
}
