package gateway

import (
	"context"
	"time"

	"cordon/dicom"
	"cordon/dicom/ul"
)

// probe calls an archive of which nothing was heard for a while, so that one
// that is dead is not shown as answering and one that is back is noticed, until
// ctx ends.
func (g *Gateway) probe(ctx context.Context, a *archive) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(a.silence(), a.upstream.Probe/10)):
		}
		if a.silence() <= 0 && a.moving.Load() == 0 { // it may have no place beside a long object
			g.callUp(ctx, a)
		}
	}
}

// silence is how much longer nothing may be heard of an archive before it is
// called; it is asked again as long after an attempt to reach it.
func (a *archive) silence() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.upstream.Probe - time.Since(a.heard)
}

// callUp sends an archive a C-ECHO under the gateway's own title. Whatever it
// answers, it is there: it need not know that title.
func (g *Gateway) callUp(ctx context.Context, a *archive) {
	defer g.survive("probe")
	err := g.echoTo(ctx, a.upstream)
	switch {
	case ctx.Err() != nil:
	case err == nil || isPermanent(err):
		if a.answered() {
			g.parts.Log.Info("archive is back", "archive", a.upstream.Name)
			a.wakeUp()
		}
	default:
		g.parts.Log.Warn("archive does not answer", "archive", a.upstream.Name, "error", err)
		a.failed(err, g.config.RetryMin, g.config.RetryMax)
	}
}

// echoTo is an error unless a C-ECHO was answered, or nothing but its
// presentation context refused.
func (g *Gateway) echoTo(ctx context.Context, to Upstream) error {
	ctx, cancel := context.WithTimeout(ctx, g.config.ConnectTimeout)
	defer cancel()
	conn, err := g.call(ctx, to, ul.Request{
		Calling: g.config.Site.AETitle, Called: to.AETitle,
		Contexts: []ul.ProposedContext{{ID: 1, AbstractSyntax: dicom.Verification, TransferSyntaxes: []dicom.UID{dicom.ImplicitVRLittleEndian}}},
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, ok := conn.Association().Context(1); ok {
		if _, err := conn.Echo(ctx); err != nil {
			return err
		}
	}
	return conn.Release(ctx)
}
