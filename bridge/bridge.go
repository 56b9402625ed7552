// Package bridge makes an archive that speaks DICOMweb alone (PS3.18) one that
// speaks DIMSE: an SCP of Verification, storage, query, retrieve and storage
// commitment (PS3.4 annexes A, B, C and J), as any other archive behind a gateway.
//
//	b := bridge.New(bridge.Config{Name: "cloud", AETitle: "CLOUD", Client: client}, log)
//	upstream := gateway.Upstream{Name: "cloud", AETitle: "CLOUD", Dial: b.Dial}
//	go b.Serve(ctx)                                // what the gateway asks
//	go g.ServeArchive(ctx, "cloud", b.Calls())     // what the archive moves to devices
//
// Both ways lead over connected pairs of sockets that have no address: nobody but
// this process can open them, so that nobody goes around the gateway.
//
// # Life of an operation
//
// A C-STORE becomes a Store transaction of one instance, whose bytes are passed on
// as they come; the answer is what the archive says of this very instance. A
// C-FIND becomes searches, page by page; each match is answered with what was
// asked for, in UTF-8. A C-GET or C-MOVE asks first which instances there are, then
// retrieves them as they are stored and sends each as it comes; what did not come,
// came under another name, or in a transfer syntax that the other side does not
// take, is asked for once more by itself. Of storage commitment the archive is asked
// which instances it has.
//
// Success is never more than the archive has answered. While it cannot be reached,
// associations are rejected as transient, so that the gateway keeps what it is sent.
//
// It will not judge, keep, transcode or record anything: the gateway before it
// does what is to be done of that.
package bridge

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/dicom/web"
)

// Config says which archive it is. Zero limits mean the defaults that are given
// beside them.
type Config struct {
	Name         string        // of the archive, as the gateway knows it
	AETitle      dicom.AETitle // that it is called by, and calls devices with
	Client       *web.Client   // how it is reached
	Host         string        // of its web services, as records name the other end of a connection; may be empty
	Limits       ul.Limits     // of each association
	MaxInstances int           // of one retrieve; 100,000
	MaxMatches   int           // of one query; 100,000
}

// Bridge is one archive. Make one with New.
type Bridge struct {
	config Config
	log    *slog.Logger
	in     *line // associations with the archive
	out    *line // associations that the archive opens
	health health
}

// maxAssociations bounds what is served at a time; more are rejected as transient
// (PS3.8 table 9-21, local limit exceeded).
const maxAssociations = 512

// New makes a Bridge. Nothing is asked of the archive before the first
// association.
func New(c Config, log *slog.Logger) *Bridge {
	c.MaxInstances = cmp.Or(c.MaxInstances, 100_000)
	c.MaxMatches = cmp.Or(c.MaxMatches, 100_000)
	return &Bridge{config: c, log: log.With("archive", c.Name), in: newLine(c.Host), out: newLine("")}
}

// Dial opens a connection to the archive's side.
func (b *Bridge) Dial(ctx context.Context) (net.Conn, error) { return b.in.dial(ctx) }

// Calls are the connections that the archive opens, to send objects to devices and
// reports of storage commitment.
func (b *Bridge) Calls() net.Listener { return b.out }

// Serve serves associations until ctx ends, then waits for those under way, whose
// next message it no longer awaits, and returns nil.
func (b *Bridge) Serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { b.in.Close() })
	defer stop()
	var under sync.WaitGroup
	defer under.Wait()
	seats := make(chan struct{}, maxAssociations)
	for {
		nc, err := b.in.Accept()
		if err != nil {
			return nil // closed: ctx has ended
		}
		under.Go(func() { // ends with the association, or soon after ctx
			defer nc.Close()
			b.associate(ctx, nc, seats, func(f func()) { under.Go(f) })
		})
	}
}

// The rejections of PS3.8 table 9-21 that are used.
var (
	rejectCalled = ul.Rejection{Result: ul.RejectedPermanent, Source: ul.RejectSourceUser, Reason: ul.RejectCalledAETitle}
	rejectFull   = ul.Rejection{Result: ul.RejectedTransient, Source: ul.RejectSourcePresentation, Reason: ul.RejectLocalLimitExceeded}
	rejectAway   = ul.Rejection{Result: ul.RejectedTransient, Source: ul.RejectSourcePresentation, Reason: ul.RejectTemporaryCongestion}
)

// associate negotiates one association and serves it; start starts what may
// outlive it, but not ctx.
func (b *Bridge) associate(ctx context.Context, nc net.Conn, seats chan struct{}, start func(func())) {
	defer func() {
		if p := recover(); p != nil {
			b.log.Error("bridge: association ended by a defect", "panic", p)
		}
	}()
	in, err := ul.Receive(ctx, nc, b.config.Limits)
	if err != nil {
		return // not an association; the peer has been told
	}
	select {
	case seats <- struct{}{}:
		defer func() { <-seats }()
	default:
		_ = in.Reject(rejectFull)
		return
	}
	switch {
	case in.Request.Called != b.config.AETitle:
		_ = in.Reject(rejectCalled)
		return
	case b.away(ctx):
		_ = in.Reject(rejectAway)
		return
	}
	association, err := in.Accept(answer(&in.Request))
	if err != nil {
		return
	}
	conn := dimse.NewConn(association)
	defer conn.Close()
	if err := b.serve(ctx, conn, start); !errors.Is(err, io.EOF) && ctx.Err() == nil {
		b.log.Warn("bridge: association ended early", "calling", in.Request.Calling, "error", err)
	}
}
