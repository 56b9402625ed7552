package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"cordon/dicom/secure"
	"cordon/dicom/ul"
	"cordon/metric"
	"cordon/policy"
	"cordon/quota"
)

// door is where connections come in: what is done for one before anything is
// known of its peer but the address. It bounds what each address can have done.
type door struct {
	known            *quota.Quota             // connections of peers that are known
	strangers        *quota.Quota             // and of all others, who may fill this one's memory
	daily            *quota.Quota             // of these others in the long run, since each association is on the ledger
	standing         *quota.Crowd[netip.Addr] // peers that are told to come back
	shaking          *quota.Crowd[netip.Addr] // peers that are known, in the TLS handshake
	strangersShaking *quota.Crowd[netip.Addr] // and all others
	refused          atomic.Int64             // connections of peers that have come in again since; the quotas count the others
}

const (
	strangersADay     = 20_000          // connections that an address of no known peer may open, at once or over a day
	burstSeconds      = 4               // an address may open as many connections at once as it may in so many seconds
	maxStanding       = 32              // peers that are being turned away at a time; more are hung up on
	maxStandingEach   = 4               // of these, from one address
	maxHandshakesEach = 16              // TLS handshakes under way at a time, from one address
	maxHandshakes     = 256             // of peers that are not known; those that are have their seats
	turnAwayPatience  = 2 * time.Second // for the request of a peer that is turned away
)

// newDoor lets so many connections in from one address, each second.
func newDoor(perSecond int) *door {
	rate := func() *quota.Quota { return quota.New(burstSeconds*perSecond, time.Second/time.Duration(perSecond)) }
	known := rate()
	known.Exact = true
	return &door{
		known:            known,
		strangers:        rate(),
		daily:            quota.New(strangersADay, 24*time.Hour/strangersADay),
		standing:         quota.NewCrowd[netip.Addr](maxStandingEach, maxStanding),
		shaking:          quota.NewCrowd[netip.Addr](maxHandshakesEach, math.MaxInt),
		strangersShaking: quota.NewCrowd[netip.Addr](maxHandshakesEach, maxHandshakes),
	}
}

// lets reports whether a connection of this caller's may come in now.
func (d *door) lets(c caller, now time.Time) bool {
	if c.known() {
		return d.within(d.known, c, now)
	}
	return d.within(d.strangers, c, now) && d.within(d.daily, c, now)
}

func (d *door) within(q *quota.Quota, c caller, now time.Time) bool {
	omitted, ok := q.Take(c.holder, now)
	d.refused.Add(int64(omitted))
	return ok
}

// recognise does not count a connection in the long run that turns out to be a
// declared device's, which its address did not tell.
func (d *door) recognise(c caller) {
	if !c.known() {
		d.daily.GiveBack(c.holder)
	}
}

// handshakes are those under way that count against this caller's.
func (d *door) handshakes(c caller) *quota.Crowd[netip.Addr] {
	if c.known() {
		return d.shaking
	}
	return d.strangersShaking
}

// drain counts the connections that were not let in.
func (d *door) drain() quota.Omissions {
	o := d.known.Drain()
	for _, q := range []*quota.Quota{d.strangers, d.daily} {
		more := q.Drain()
		o.Total += more.Total
		o.Peers += more.Peers
		o.Named = append(o.Named, more.Named...)
	}
	o.Total += int(d.refused.Swap(0))
	return o
}

// recordHangUps makes the count of connections that were not let in durable.
func (g *Gateway) recordHangUps(ctx context.Context) {
	o := g.door.drain()
	if o.Total == 0 {
		return
	}
	err := g.parts.Ledger.Record(ctx, "connections.refused", map[string]any{"refused": o.Total, "peers": o.Peers, "addresses": o.Named})
	if err != nil {
		g.parts.Log.Error("refused connections not recorded", "count", o.Total, "error", err)
	}
	g.parts.Log.Warn("connections came too fast, or too many of a peer that is not known", "refused", o.Total, "addresses", o.Named)
}

// receive takes a connection that has a seat to its request: the TLS handshake,
// if there is one, and the A-ASSOCIATE-RQ, each within ARTIM.
func (g *Gateway) receive(ctx context.Context, nc net.Conn, c caller, limits ul.Limits) (*ul.Indication, error) {
	if t, ok := nc.(*tls.Conn); ok {
		if err := g.shake(ctx, t, c, limits); err != nil {
			return nil, err
		}
	}
	return ul.Receive(ctx, nc, limits)
}

// handshakeError is a TLS handshake that failed.
type handshakeError struct{ err error }

func (e *handshakeError) Error() string { return fmt.Sprintf("TLS handshake: %v", e.err) }
func (e *handshakeError) Unwrap() error { return e.err }

var errManyHandshakes = errors.New("too many TLS handshakes at a time")

// shake does the TLS handshake. The work that it is costs the peer as much; from
// one address only so many are under way.
func (g *Gateway) shake(ctx context.Context, t *tls.Conn, c caller, limits ul.Limits) error {
	underWay := g.door.handshakes(c)
	if !underWay.Enter(c.holder) {
		return errManyHandshakes
	}
	defer underWay.Leave(c.holder)
	patience := limits.ARTIM
	if patience == 0 {
		patience = handshakePatience
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := t.HandshakeContext(ctx); err != nil {
		return &handshakeError{err}
	}
	return nil
}

// handshakePatience is for a peer to complete a TLS handshake, where the
// configuration says nothing of ARTIM.
const handshakePatience = 30 * time.Second

// noAssociation logs and records a connection that never was an association.
func (g *Gateway) noAssociation(ctx context.Context, peer netip.Addr, why error) {
	g.parts.Log.Info("no association", "peer", peer, "error", why)
	var shake *handshakeError
	if !errors.As(why, &shake) {
		g.recordFailure(ctx, peer, why)
		return
	}
	g.parts.Metrics.Count(metric.HandshakeFailures, 1, "device")
	body := map[string]any{"address": peer.String()}
	secure.Describe(body, shake.err)
	if err := g.recordRefusal(ctx, peer, "tls.failed", body); err != nil {
		g.parts.Log.Error("failed TLS handshake not recorded", "error", err)
	}
}

// tlsFailed records that an archive, or a device that is called, and we could not
// agree on TLS: once for each reason until it changes, since it is tried again and
// again. A nil err says that they agree.
func (g *Gateway) tlsFailed(a *archive, err error) {
	why := tlsReason(a, err)
	a.mu.Lock()
	known := why == a.tlsWhy
	a.tlsWhy = why
	a.mu.Unlock()
	if why == "" {
		return
	}
	g.parts.Metrics.Count(metric.HandshakeFailures, 1, "archive")
	if known {
		return
	}
	body := map[string]any{"archive": a.upstream.Name, "address": a.upstream.Address}
	secure.Describe(body, err)
	g.parts.Ledger.Note("tls.failed", body)
}

// tlsReason is why TLS with an upstream failed, "" if it was something else.
func tlsReason(a *archive, err error) string {
	if err == nil {
		return ""
	}
	var shake *ul.HandshakeError
	why := secure.Why(err)
	if errors.As(err, &shake) || a.upstream.TLS != nil && why == secure.RefusedByPeer {
		return why
	}
	return ""
}

// showsItself is what a peer has proved of itself over TLS; nil without a verified
// certificate.
func showsItself(in *ul.Indication) (shown *policy.Peer, isTLS bool) {
	state, isTLS := in.TLS()
	if !isTLS || len(state.VerifiedChains) == 0 {
		return nil, isTLS
	}
	leaf := state.PeerCertificates[0]
	return &policy.Peer{Fingerprint: sha256.Sum256(leaf.Raw), Subject: leaf.Subject.String()}, isTLS
}

// refuseEntry turns a peer away that has opened too many connections lately: a few
// at a time are told to come back, which costs little; on all others it hangs up.
// It runs for each connection of a flood, so it neither logs nor records: the
// counts are put on the ledger every minute. Start runs a function by itself.
func (g *Gateway) refuseEntry(ctx context.Context, nc net.Conn, c caller, start func(func())) {
	g.counts.rejected.Add(1)
	g.parts.Metrics.Count(metric.Rejections, 1, "rate")
	if _, isTLS := nc.(*tls.Conn); isTLS || !g.door.standing.Enter(c.holder) {
		hangUp(nc)
		return
	}
	start(func() {
		defer nc.Close()
		defer g.door.standing.Leave(c.holder)
		g.turnAway(ctx, nc, c, rejectCongested)
	})
}

// turnAway answers a peer for which there is no room: transient, so that it
// tries again (PS3.8 §9.3.4). It waits for the request only shortly, since
// peers that say nothing would otherwise pile up here. The caller is in standing.
func (g *Gateway) turnAway(ctx context.Context, nc net.Conn, c caller, answer ul.Rejection) {
	limits := g.config.Limits
	limits.ARTIM = turnAwayPatience
	in, err := g.receive(ctx, nc, c, limits)
	if err != nil {
		return
	}
	in.Reject(answer)
}

// hangUp closes a connection that came too soon after too many others, at once and
// without a trace in the kernel.
func hangUp(nc net.Conn) {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	if t, ok := nc.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	nc.Close()
}
