package webgate

import (
	"context"
	"crypto/rand"
	"maps"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"cordon/dicom"
	"cordon/policy"
	"cordon/store"
	"cordon/transfer"
)

// caller tells visits apart: who asks, and which archive.
type caller struct {
	address         netip.Addr
	tls             bool
	certificate     policy.Fingerprint // zero: none was shown
	issuer, subject string             // of a token; "": none was shown
	device          string
	calling         dicom.AETitle
	archive         string
}

// visit is requests of one caller that follow each other closely: to HTTP what an
// association is to DIMSE. Its intent covers each delivery of its requests.
//
// Life of a visit: the first request begins it, and waits until that is durable.
// Others join it. It is over when no request has come for a while, or after a
// quarter of an hour, as soon as the last of its requests has ended; then its sums
// are recorded.
type visit struct {
	caller
	id    string
	began time.Time
	moved *transfer.Transfers
	tally tally

	told  sync.Once     // the register of devices
	ready chan struct{} // closed when the intent is durable, or could not be made so
	err   error         // why not

	mu      sync.Mutex
	studies map[dicom.UID]bool // of which something was given out

	open  int         // requests under way; guarded by visits.mu
	old   bool        // nobody joins it any more; guarded by visits.mu
	timer *time.Timer // ends it while it is quiet; guarded by visits.mu
}

// tally counts what the requests of a visit did.
type tally struct {
	requests, refusals, queries                                 atomic.Int64
	received, delivered, held, spooled, refused, sent, withheld atomic.Int64
}

const (
	longestVisit = 15 * time.Minute
	maxVisits    = 10_000 // at a time; who would begin another is told to come back
)

// visits are those that have not ended.
type visits struct {
	s    *Server
	mu   sync.Mutex
	open map[caller]*visit
	all  int // old ones included
}

// enter joins the caller's visit, or begins one and makes its intent durable.
// Whoever enters leaves.
func (vs *visits) enter(ctx context.Context, c caller) (*visit, error) {
	v, first, err := vs.find(c)
	if err != nil {
		return nil, err
	}
	if first {
		v.err = vs.s.recordBegin(context.WithoutCancel(ctx), v) // others wait for it too
		close(v.ready)
	}
	select {
	case <-v.ready:
	case <-ctx.Done():
		vs.leave(v)
		return nil, context.Cause(ctx)
	}
	if v.err != nil {
		vs.leave(v)
		return nil, v.err
	}
	v.tally.requests.Add(1)
	return v, nil
}

// find returns the caller's visit, and whether it is new.
func (vs *visits) find(c caller) (v *visit, first bool, err error) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	v = vs.open[c]
	if v != nil && (time.Since(v.began) > longestVisit) {
		vs.retire(v)
		v = nil
	}
	if v == nil {
		if vs.all >= maxVisits {
			return nil, false, errBusy
		}
		v = &visit{caller: c, id: rand.Text(), began: time.Now(), ready: make(chan struct{})}
		v.moved = transfer.New(transfer.Parts{DB: vs.s.parts.DB, Ledger: vs.s.parts.Ledger, Log: vs.s.parts.Log}, map[string]string{"visit": v.id})
		vs.open[c] = v
		vs.all++
		first = true
	}
	if v.timer != nil {
		v.timer.Stop()
		v.timer = nil
	}
	v.open++
	return v, first, nil
}

// leave ends one request. A visit that could not begin is forgotten with its last.
func (vs *visits) leave(v *visit) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	v.open--
	failed := false
	select {
	case <-v.ready:
		failed = v.err != nil
	default:
	}
	if failed {
		vs.retire(v)
	}
	switch {
	case v.open > 0:
	case v.old:
		vs.end(v)
	default:
		v.timer = time.AfterFunc(vs.s.config.Quiet, func() { vs.expire(v) }) // stopped by who joins, and by close
	}
}

// expire ends a visit in which nothing has happened for a while.
func (vs *visits) expire(v *visit) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if v.open == 0 && !v.old {
		vs.retire(v)
		vs.end(v)
	}
}

// retire has nobody join the visit any more. It needs mu.
func (vs *visits) retire(v *visit) {
	v.old = true
	if vs.open[v.caller] == v {
		delete(vs.open, v.caller)
	}
}

// end records a visit that is over. It needs mu.
func (vs *visits) end(v *visit) {
	vs.all--
	if v.timer != nil {
		v.timer.Stop()
	}
	if v.err == nil {
		v.moved.End()
		vs.s.recordEnd(v)
	}
}

// close ends the visits in which nothing is under way; others end with their last
// request.
func (vs *visits) close() {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	for _, v := range vs.open {
		vs.retire(v)
		if v.open == 0 {
			vs.end(v)
		}
	}
}

// who adds to a record's body what names this visit.
func (v *visit) who(body map[string]any) map[string]any {
	maps.Copy(body, v.named())
	body["visit"] = v.id
	return body
}

// named is who the caller is, for a record.
func (c caller) named() map[string]any {
	body, title := map[string]any{"address": c.address.String()}, ""
	if c.device != "" { // whoever is no device is not called by our own title
		title = string(c.calling)
	}
	for key, value := range map[string]string{
		"device": c.device, "subject": clip(c.subject, maxWhy), "issuer": clip(c.issuer, maxWhy), "calling_ae": title,
	} {
		if value != "" {
			body[key] = value
		}
	}
	if c.certificate != (policy.Fingerprint{}) {
		body["certificate"] = c.certificate.String()
	}
	return body
}

// recordBegin makes a visit's intent durable.
func (s *Server) recordBegin(ctx context.Context, v *visit) error {
	return s.parts.DB.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(`INSERT INTO webgate_visit VALUES (?, ?, ?, ?, ?)`,
			v.id, v.began.UnixMicro(), v.device, v.address.String(), v.archive); err != nil {
			return err
		}
		return s.parts.Ledger.Append(tx, "visit.begin", v.who(map[string]any{"archive": v.archive, "tls": v.tls}))
	})
}

// recordEnd records a visit's sums, joining the next group.
func (s *Server) recordEnd(v *visit) {
	t := &v.tally
	body := v.who(map[string]any{"archive": v.archive})
	for key, n := range map[string]*atomic.Int64{
		"requests": &t.requests, "refusals": &t.refusals, "queries": &t.queries, "received": &t.received, "delivered": &t.delivered,
		"held": &t.held, "spooled": &t.spooled, "refused": &t.refused, "sent": &t.sent, "withheld": &t.withheld,
	} {
		body[key] = n.Load()
	}
	s.parts.DB.Later(func(tx *store.Tx) error {
		if _, err := tx.Exec(`DELETE FROM webgate_visit WHERE id = ?`, v.id); err != nil {
			return err
		}
		return s.parts.Ledger.Append(tx, "visit.end", body)
	}, func(err error) {
		s.parts.Ledger.Missed(err)
		s.parts.Log.Error("end of visit not recorded", "error", err)
	})
}

// recordUnfinished puts on the ledger the visits that have a beginning and no end:
// a crash cut them short. What they delivered in their last second may be missing
// from the ledger; the record of the gap says so.
func (s *Server) recordUnfinished(ctx context.Context) error {
	return s.parts.DB.Update(ctx, func(tx *store.Tx) error {
		unfinished, err := unfinishedVisits(tx)
		if err != nil {
			return err
		}
		for _, body := range unfinished {
			if err := s.parts.Ledger.Append(tx, "visit.unfinished", body); err != nil {
				return err
			}
		}
		_, err = tx.Exec(`DELETE FROM webgate_visit`)
		return err
	})
}

func unfinishedVisits(tx *store.Tx) ([]map[string]any, error) {
	rows, err := tx.Query(`SELECT id, began_at, device, address, archive FROM webgate_visit ORDER BY began_at`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []map[string]any
	for rows.Next() {
		var id, device, address, archive string
		var began int64
		if err := rows.Scan(&id, &began, &device, &address, &archive); err != nil {
			return nil, err
		}
		out = append(out, map[string]any{
			"visit": id, "device": device, "address": address, "archive": archive,
			"began": time.UnixMicro(began).UTC().Format(time.RFC3339Nano),
		})
	}
	return out, rows.Err()
}

const (
	maxWhy = 300 // bytes of a reason or a name on the ledger
	maxUID = 128 // bytes of a UID there: irregular ones name their objects well enough
)

// clip cuts text to at most n bytes of valid UTF-8.
func clip(text string, n int) string { return strings.ToValidUTF8(text[:min(len(text), n)], "") }

// maxStudies is how many studies one visit remembers to have seen; of more, accesses
// are recorded one by one.
const maxStudies = 1000

// sees reports whether the visit sees a study for the first time.
func (v *visit) sees(study dicom.UID) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.studies[study] {
		return false
	}
	if v.studies == nil {
		v.studies = map[dicom.UID]bool{}
	}
	if len(v.studies) < maxStudies {
		v.studies[study] = true
	}
	return true
}
