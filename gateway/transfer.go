package gateway

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/judge"
	"cordon/ledger"
	"cordon/store"
)

// transfers gathers what one association moved, study by study and way by way,
// for the ledger: transfer.begin when we begin to send a study somewhere,
// transfer.end when it is over. Nothing waits for either; what an object costs is
// a few words in memory.
//
// Life of a transfer: the first object of a study that is received, or sent to
// somebody, opens it; each counts as stored or failed under its SOP class; it is
// recorded when nothing has come for a minute, when there are too many, and at the
// association's end.
type transfers struct {
	g           *Gateway
	association string // "" of a delivery from the spool

	mu    sync.Mutex
	open  []*transfer // the one begun first is the first
	timer *time.Timer // looks for those that are over; nil without any
	ended bool
}

const (
	maxTransfers  = 64          // of one association at a time; then the oldest is recorded
	maxClasses    = 64          // of one transfer by name; more are counted together
	transferQuiet = time.Minute // after which a transfer is over
)

// way says between whom an object moved. We are the other one.
type way struct {
	study     string
	direction string // "received" or "sent"
	peer      string // name of the device or archive, "" if it has none
	title     string // its AE title
	address   string // of its socket
	own       string // AE title that we were called or called by
}

const (
	received = "received"
	sent     = "sent"
)

// transfer is one study on one way.
type transfer struct {
	way
	patient        judge.Patient
	stored, failed map[string]int // instances, by SOP class
	reason         string         // why the first one failed
	last           time.Time
}

func newTransfers(g *Gateway, association string) *transfers {
	return &transfers{g: g, association: association}
}

// begin notes that an object is about to be sent.
func (t *transfers) begin(w way, p judge.Patient) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.of(w, p)
}

// add counts an object that was stored, or was not for a reason.
func (t *transfers) add(w way, p judge.Patient, class dicom.UID, status dimse.Status, reason string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tr := t.of(w, p)
	counts := tr.stored
	if status.Class() == dimse.ClassFailure {
		counts = tr.failed
		if tr.reason == "" {
			tr.reason = strings.TrimSpace(fmt.Sprintf("status %04X %s", uint16(status), reason))
		}
	}
	uid := shown(class)
	if _, ok := counts[uid]; !ok && len(counts) >= maxClasses {
		uid = "other"
	}
	counts[uid]++
}

// of returns the transfer on a way, and opens it if need be.
func (t *transfers) of(w way, p judge.Patient) *transfer {
	now := time.Now()
	for _, tr := range t.open {
		if tr.way == w {
			tr.last = now
			return tr
		}
	}
	if len(t.open) >= maxTransfers {
		t.record(t.open[0])
		t.open = t.open[1:]
	}
	tr := &transfer{way: w, patient: p, stored: map[string]int{}, failed: map[string]int{}, last: now}
	t.open = append(t.open, tr)
	if w.direction == sent {
		t.note("transfer.begin", tr, nil)
	}
	if t.timer == nil && !t.ended {
		t.timer = time.AfterFunc(transferQuiet, t.quiet) // ends at end, or when nothing is open
	}
	return tr
}

// quiet records the transfers in which nothing has moved for a while.
func (t *transfers) quiet() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open = slices.DeleteFunc(t.open, func(tr *transfer) bool {
		over := time.Since(tr.last) >= transferQuiet
		if over {
			t.record(tr)
		}
		return over
	})
	t.timer = nil
	if len(t.open) > 0 && !t.ended {
		t.timer = time.AfterFunc(transferQuiet/2, t.quiet)
	}
}

// end records the rest. It is called once the last object is answered.
func (t *transfers) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
	if t.timer != nil {
		t.timer.Stop()
	}
	for _, tr := range t.open {
		t.record(tr)
	}
	t.open = nil
}

// record puts a transfer that is over on the ledger, unless nothing moved.
func (t *transfers) record(tr *transfer) {
	more := map[string]any{}
	for key, counts := range map[string]map[string]int{"stored": tr.stored, "failed": tr.failed} {
		if len(counts) > 0 {
			more[key] = counts
		}
	}
	if len(more) == 0 {
		return
	}
	if tr.reason != "" {
		more["reason"] = clip(tr.reason, maxWhy)
	}
	t.note("transfer.end", tr, more)
}

// note records a transfer within a second, the patient sealed.
func (t *transfers) note(kind string, tr *transfer, more map[string]any) {
	body := map[string]any{"direction": tr.direction, "peer_ae": tr.title, "peer_address": tr.address, "own_ae": tr.own}
	for key, value := range map[string]string{"association": t.association, "study": tr.study, "peer": tr.peer} {
		if value != "" {
			body[key] = value
		}
	}
	maps.Copy(body, more)
	p := tr.patient.Reveal()
	l := t.g.parts.Ledger
	t.g.parts.DB.Later(func(tx *store.Tx) error {
		if p != (judge.PatientData{}) {
			sealed, err := l.Seal(tx, ledger.Subject(p.ID, p.Issuer, tr.study), map[string]string{
				"id": p.ID, "issuer": p.Issuer, "name": p.Name, "accession": p.Accession,
			})
			if err != nil {
				return err
			}
			body["patient"] = sealed
		}
		return l.Append(tx, kind, body)
	}, func(err error) {
		l.Missed(err)
		t.g.parts.Log.Error("transfer not recorded", "error", err)
	})
}

// The ways that objects take.

// host is the address of the other end of a socket, without the port.
func host(c *dimse.Conn) string {
	at := c.Association().RemoteAddr().String()
	if ap, err := netip.ParseAddrPort(at); err == nil {
		return ap.Addr().Unmap().WithZone("").String()
	}
	return at
}

// wayIn is how the object came here.
func (o *object) wayIn() way {
	s := o.session
	w := way{study: clip(o.report.Identity.StudyInstanceUID, maxUID), direction: received}
	switch {
	case o.from != s.down: // of a C-GET
		w.peer, w.title = o.link.to.upstream.Name, string(o.link.to.upstream.AETitle)
		w.address, w.own = host(o.from.Conn()), string(s.rq.Calling)
		return w
	case o.out != nil:
		w.peer = o.out.archive
	default:
		w.peer = s.admission.Device
	}
	w.title, w.address, w.own = string(s.rq.Calling), s.peer.String(), string(s.rq.Called)
	return w
}

// wayOut is how it goes on, on an association.
func (o *object) wayOut(x *dimse.Exchange) way {
	s := o.session
	w := way{study: clip(o.report.Identity.StudyInstanceUID, maxUID), direction: sent, address: host(x.Conn())}
	if x == s.down {
		w.peer, w.title, w.own = o.out.device, string(s.rq.Calling), string(s.rq.Called)
		return w
	}
	w.peer, w.title, w.own = o.link.to.upstream.Name, string(o.link.to.upstream.AETitle), string(s.rq.Calling)
	if device, ok := isOutlet(w.peer); ok {
		w.peer = device
	}
	return w
}

// wayOf is how an object of the spool goes to its archive.
func wayOf(o custody.Object, a *archive, up *dimse.Conn) way {
	name := a.upstream.Name
	if device, ok := isOutlet(name); ok {
		name = device
	}
	return way{
		study: clip(o.StudyInstanceUID, maxUID), direction: sent,
		peer: name, title: string(a.upstream.AETitle), address: host(up), own: o.CallingAE,
	}
}

// count counts the object as it is answered to whoever sent it.
func (o *object) count(status dimse.Status, why string) {
	o.session.moved.add(o.wayIn(), o.patient, o.message.Command.AffectedSOPClassUID, status, why)
}

// countUnread counts an object that was refused before it was read: nobody knows
// of which study it was.
func (s *session) countUnread(from *dimse.Exchange, m *dimse.Message, status dimse.Status, why string) {
	w := way{direction: received, peer: s.admission.Device, title: string(s.rq.Calling), address: host(from.Conn()), own: string(s.rq.Called)}
	s.moved.add(w, judge.Patient{}, m.Command.AffectedSOPClassUID, status, why)
}

// refuse refuses an object that was read.
func (o *object) refuse(ctx context.Context, status dimse.Status, comment string) error {
	o.count(status, comment)
	return o.session.refuse(ctx, o.from, o.message, status, comment)
}
