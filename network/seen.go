package network

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Seen is one row of who talks to whom: every conversation of one caller with one
// port of another, together.
type Seen struct {
	Device      string     `json:"device"` // the caller's name; "": neither a device nor a server
	Src         netip.Addr `json:"src"`
	Peer        string     `json:"peer"` // the device or server that Dst is; "": neither
	Dst         netip.Addr `json:"dst"`
	Protocol    Protocol   `json:"protocol"`
	Port        uint16     `json:"port"` // of Dst; of ICMP the type
	First       time.Time  `json:"first"`
	Last        time.Time  `json:"last"`
	Packets     uint64     `json:"packets"` // both ways
	Bytes       uint64     `json:"bytes"`
	Attempts    uint64     `json:"attempts"` // conversations that began
	Established uint64     `json:"established"`
	Allowed     bool       `json:"allowed"`           // declared, or the site's for everybody
	Purpose     string     `json:"purpose,omitempty"` // of the declaration that allows it
}

// pairing names a row.
type pairing struct {
	src, dst netip.Addr
	protocol Protocol
	port     uint16
}

// row is what was seen of one pairing.
type row struct {
	first, last                           time.Time
	packets, bytes, attempts, established uint64
	accused                               bool // an alert was raised about it, so that it is not learned
	changed                               bool // since it was written
	written                               bool
}

// The rows are bounded: all, those of a device or server, and those of any other
// address.
const (
	maxRows       = 50_000
	maxRowsKnown  = 1024
	maxRowsOthers = 128
)

// see counts a flow among the rows; nil if there is no room for it.
func (w *Watch) see(f *Flow, src host) *row {
	k := pairing{f.Src, f.Dst, f.Protocol, f.DstPort}
	r := w.rows[f.Src][k]
	if r == nil {
		if r = w.newRow(k, src, f.Time); r == nil {
			return nil
		}
	}
	w.touch(k, r)
	if f.Time.After(r.last) || r.last.Sub(f.Time) > forgotten { // the clock was set back
		r.last = f.Time
	}
	r.packets += f.Packets
	r.bytes += f.Bytes
	if f.Begun {
		r.attempts++
	}
	if f.State == Established && (f.Begun || f.Changed) {
		r.established++
	}
	return r
}

// touch has a row written.
func (w *Watch) touch(k pairing, r *row) {
	if !r.changed {
		r.changed = true
		w.changedRows = append(w.changedRows, k)
	}
}

// newRow makes a row, in the place of another when there are too many.
func (w *Watch) newRow(k pairing, src host, now time.Time) *row {
	most := maxRowsOthers
	if src.known() {
		most = maxRowsKnown
	}
	mine := w.rows[k.src]
	switch {
	case len(mine) >= most:
		w.dropRow(mine)
	case w.rowCount < maxRows:
	case src.known():
		w.dropStranger()
	case len(mine) > 0:
		w.dropRow(mine)
	default:
		return nil
	}
	if w.rows[k.src] == nil {
		w.rows[k.src] = map[pairing]*row{}
	}
	r := &row{first: now, last: now}
	w.rows[k.src][k] = r
	w.rowCount++
	return r
}

// dropRow makes room among the rows of one caller: of a few the one that nobody ever
// answered, or else that is the oldest. So calls in his name do not displace what he
// is used to.
func (w *Watch) dropRow(mine map[pairing]*row) {
	var worst pairing
	var found *row
	looked := 0
	for k, r := range mine {
		switch {
		case found == nil, r.established == 0 && found.established > 0:
			worst, found = k, r
		case (r.established == 0) == (found.established == 0) && r.last.Before(found.last):
			worst, found = k, r
		}
		if looked++; looked == evictLookAt {
			break
		}
	}
	if found != nil {
		w.deleteRow(worst, found)
	}
}

// dropStranger makes room for a device or server, among the rows of others.
func (w *Watch) dropStranger() {
	looked := 0
	for a, mine := range w.rows {
		if !w.hosts.of(a).known() {
			w.dropRow(mine)
			return
		}
		if looked++; looked == maxFound {
			return
		}
	}
}

func (w *Watch) deleteRow(k pairing, r *row) {
	if r.written {
		w.gone = append(w.gone, k)
	}
	delete(w.rows[k.src], k)
	if len(w.rows[k.src]) == 0 {
		delete(w.rows, k.src)
	}
	w.rowCount--
}

// learned reports whether a flow is one that a device without declared flows of its own
// was used to when it was learned.
func (w *Watch) learned(r *row, d *device, now time.Time) bool {
	if d == nil || d.Strict || r == nil || r.accused {
		return false
	}
	since, ok := w.since[d.Name]
	if !ok {
		since = now
		w.since[d.Name] = now
		w.sinceChanged = append(w.sinceChanged, d.Name)
	}
	return r.first.Before(since.Add(w.config.Learn))
}

// Seen lists who talks to whom, devices and servers first, by name and address, the
// latest first.
func (w *Watch) Seen(ctx context.Context) ([]Seen, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]Seen, 0, w.rowCount)
	for _, mine := range w.rows {
		for k, r := range mine {
			src, dst := w.hosts.of(k.src), w.hosts.of(k.dst)
			f := Flow{Src: k.src, Dst: k.dst, Protocol: k.protocol, DstPort: k.port}
			purpose, ok := allowed(&f, src, dst)
			out = append(out, Seen{
				Device: src.name, Src: k.src, Peer: dst.name, Dst: k.dst, Protocol: k.protocol, Port: k.port,
				First: r.first, Last: r.last, Packets: r.packets, Bytes: r.bytes, Attempts: r.attempts, Established: r.established,
				Allowed: ok, Purpose: purpose,
			})
		}
	}
	slices.SortFunc(out, func(a, b Seen) int {
		if (a.Device == "") != (b.Device == "") {
			return strings.Compare(b.Device, a.Device)
		}
		return cmp.Or(strings.Compare(a.Device, b.Device), a.Src.Compare(b.Src), b.Last.Compare(a.Last))
	})
	return out, ctx.Err()
}
