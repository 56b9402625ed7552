package asset

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"cordon/dicom"
	"cordon/policy"
)

// Observation is one thing that a peer was seen to do: an association, if
// Service is "", or a message of one, which was let through unless Refused says
// otherwise.
type Observation struct {
	At   time.Time // in the zone that hours are meant in
	Peer Peer

	Service        policy.Service
	SOPClass       dicom.UID     // of the object, or of the context
	TransferSyntax dicom.UID     // of the context
	Archive        string        // that was asked
	Destination    dicom.AETitle // of a C-MOVE

	WouldRefuse []policy.Objection // what shadow let pass
	Refusal     policy.Refusal     // of the whole association
	Refused     []policy.Objection // contexts and moves that were refused
	Asked       []dicom.UID        // abstract syntaxes of an association that was refused
}

// Peer is who did it, as the gateway saw it.
type Peer struct {
	Device                string // declared; or ""
	Calling, Called       dicom.AETitle
	Address               netip.Addr
	TLS                   bool
	Certificate           *policy.Peer // nil: none was shown
	Implementation        dicom.UID    // implementation class UID
	ImplementationVersion string
}

// key tells peers apart.
type key struct {
	calling     dicom.AETitle
	address     netip.Addr
	certificate string
}

func (p Peer) key() key {
	k := key{calling: p.Calling, address: p.Address.Unmap().WithZone("")}
	if p.Certificate != nil {
		k.certificate = p.Certificate.Fingerprint.String()
	}
	return k
}

// delta is what was seen of a peer since it was last written.
type delta struct {
	peer        Peer
	first, last time.Time

	associations, secured, requests, refused, wouldRefuse, untold int

	uses map[use]*span
	of   map[Kind]int // how many uses of each kind
}

// span is how often a thing was seen, and when.
type span struct {
	seen        int
	first, last time.Time
}

// Bounds of what waits to be written.
const (
	maxPending      = 1024 // peers
	maxFreshPending = 512  // of these, peers that are not declared
	enough          = 256  // peers after which it is written at once
)

// Observe counts what a peer did. It asks no disk.
func (r *Register) Observe(o Observation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.delta(o)
	if d == nil {
		r.dropped.Add(1)
		return
	}
	d.peer, d.last = o.Peer, o.At
	switch {
	case o.Refusal != policy.NotRefused:
		d.refused++
	case o.turnedDown():
	case o.Service == "":
		d.associations++
		if o.Peer.TLS {
			d.secured++
		}
	default:
		d.requests++
	}
	d.wouldRefuse += len(counted(o.WouldRefuse))
	for _, u := range o.uses() {
		d.see(u, o.At)
	}
}

// delta finds where to count what a peer does, or nil if there is no room for
// it: peers that are not declared have no more than a part, and of that each
// address a part.
func (r *Register) delta(o Observation) *delta {
	k := o.Peer.key()
	d := r.pending[k]
	if d != nil {
		return d
	}
	if len(r.pending) >= maxPending {
		return nil
	}
	if o.Peer.Device == "" {
		at := network(k.address)
		if r.fresh[at] >= maxOfAddress || len(r.fresh) >= maxFreshPending {
			return nil
		}
		r.fresh[at]++
	}
	d = &delta{first: o.At, uses: map[use]*span{}, of: map[Kind]int{}}
	r.pending[k] = d
	if len(r.pending) == enough {
		r.flushSoon()
	}
	return d
}

func (r *Register) flushSoon() {
	select {
	case r.full <- struct{}{}:
	default: // asked for already
	}
}

// see counts a use. There is no more room than where it will be written, so that
// what a peer makes up keeps no writer waiting.
func (d *delta) see(u use, at time.Time) {
	s := d.uses[u]
	if s == nil {
		if d.of[u.kind] >= u.kind.most() {
			d.untold++
			return
		}
		d.of[u.kind]++
		s = &span{first: at}
		d.uses[u] = s
	}
	s.seen++
	s.last = at
}

// uses lists what an observation shows.
func (o Observation) uses() []use {
	var out []use
	add := func(k Kind, value string) {
		if value != "" {
			out = append(out, use{k, value})
		}
	}
	for _, w := range counted(o.WouldRefuse) {
		add(WouldRefuse, w.String())
	}
	for _, w := range o.Refused {
		add(Refused, w.String())
		add(Asked, uid(w.SOPClass))
		add(AskedDestination, string(w.Destination))
	}
	if o.Refusal != policy.NotRefused {
		add(Refused, o.Refusal.String())
		for _, class := range o.Asked {
			add(Asked, uid(class))
		}
	}
	switch {
	case o.Refusal != policy.NotRefused, o.turnedDown():
	case o.Service == "":
		add(Called, string(o.Peer.Called))
		add(Implementation, uid(o.Peer.Implementation))
		add(Version, printable(o.Peer.ImplementationVersion))
		add(Hour, hourOfWeek(o.At))
	default:
		add(Service, string(o.Service))
		add(SOPClass, uid(o.SOPClass))
		add(TransferSyntax, uid(o.TransferSyntax))
		add(Archive, o.Archive)
		add(Destination, string(o.Destination))
	}
	return out
}

// turnedDown reports whether it is a message that was refused.
func (o Observation) turnedDown() bool { return o.Service != "" && len(o.Refused) > 0 }

// counted are the objections that would each have been a refusal of its own: of
// an association that would have been refused, the first reason alone.
func counted(os []policy.Objection) []policy.Objection {
	if len(os) > 0 && os[0].Refusal != policy.NotRefused {
		return os[:1]
	}
	return os
}

// hourOfWeek numbers the hours from Sunday midnight, as the clock on the wall
// shows them: 000 to 167.
func hourOfWeek(t time.Time) string {
	n := strconv.Itoa(int(t.Weekday())*24 + t.Hour())
	return strings.Repeat("0", 3-len(n)) + n
}

// uid is a UID of the standard's form, or "": what peers write there is theirs.
func uid(u dicom.UID) string {
	if u.Validate() != nil {
		return ""
	}
	return string(u)
}

// maxVersion is the longest implementation version name (PS3.7 §D.3.3.2.4).
const maxVersion = 16

func printable(s string) string {
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return -1
		}
		return c
	}, s)
	return s[:min(len(s), maxVersion)]
}

// network is what addresses are bounded by: an IPv4 address, or the /64 that an
// IPv6 address is in, which one host can have all of.
func network(a netip.Addr) string {
	if a.Is6() {
		p, _ := a.Prefix(64) // 64 bits are there
		return p.Addr().String()
	}
	return a.String()
}
