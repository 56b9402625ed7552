package gateway

import (
	"context"
	"net/netip"
	"time"

	"cordon/policy"
	"cordon/store"
)

// who adds to a record's body what names this association.
func (s *session) who(body map[string]any) map[string]any {
	body["association"] = s.id
	body["address"] = s.peer.String()
	body["calling_ae"] = string(s.rq.Calling)
	body["called_ae"] = string(s.rq.Called)
	if s.admission.Device != "" {
		body["device"] = s.admission.Device
	}
	return body
}

// maxRefusals is how many refusals of one peer are recorded one by one; then
// one each refusalInterval says how many there were in between.
const (
	maxRefusals     = 30
	refusalInterval = 10 * time.Second
)

// recordRefusal makes a refusal durable on the ledger, within the peer's quota.
func (g *Gateway) recordRefusal(ctx context.Context, peer netip.Addr, kind string, body map[string]any) error {
	return g.recordRefusalWith(ctx, peer, kind, body, func(*store.Tx, map[string]any) error { return nil })
}

// recordRefusalWith does so after more has been added to the body.
func (g *Gateway) recordRefusalWith(ctx context.Context, peer netip.Addr, kind string, body map[string]any, more func(*store.Tx, map[string]any) error) error {
	omitted, ok := g.refusals.Take(peer, time.Now())
	if !ok {
		return nil
	}
	if omitted > 0 {
		body["omitted"] = omitted
	}
	return g.parts.DB.Update(ctx, func(tx *store.Tx) error {
		if err := more(tx, body); err != nil {
			return err
		}
		return g.parts.Ledger.Append(tx, kind, body)
	})
}

// omissionInterval is how often the refusals without a record of their own are
// put on the ledger.
const omissionInterval = time.Minute

// recordOmissions puts them there.
func (g *Gateway) recordOmissions(ctx context.Context) {
	g.recordOmission(ctx)
	g.recordHangUps(ctx)
	if o := g.queries.Drain(); o.Total > 0 { // each was recorded as a refusal; a peer with nothing to tell can be forgotten
		g.parts.Log.Warn("requests came too fast", "refused", o.Total, "addresses", o.Named)
	}
}

// repeat does something again and again until ctx ends.
func repeat(ctx context.Context, interval time.Duration, do func(context.Context)) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			do(ctx)
		}
	}
}

// recordOmission makes the count of refusals without a record of their own
// durable, in one record for all peers.
func (g *Gateway) recordOmission(ctx context.Context) {
	o := g.refusals.Drain()
	if o.Total == 0 {
		return
	}
	err := g.parts.Ledger.Record(ctx, "refusals.omitted", map[string]any{
		"omitted": o.Total, "peers": o.Peers, "addresses": o.Named,
	})
	if err != nil {
		g.parts.Log.Error("refusals not recorded", "count", o.Total, "error", err)
	}
}

// recordFailure is recordRefusal for a connection that never was an
// association, or was ended by us.
func (g *Gateway) recordFailure(ctx context.Context, peer netip.Addr, why error) {
	err := g.recordRefusal(ctx, peer, "association.failed", map[string]any{
		"address": peer.String(), "error": clip(why.Error(), maxWhy),
	})
	if err != nil {
		g.parts.Log.Error("failed association not recorded", "error", err)
	}
}

// maxWhy bounds an error on the ledger, in bytes.
const maxWhy = 300

// begin makes the association's intent durable. Every delivery is covered by
// one.
func (s *session) begin(ctx context.Context) error {
	now := time.Now()
	return s.g.parts.DB.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(`INSERT INTO gateway_association VALUES (?, ?, ?, ?, ?)`,
			s.id, now.UnixMicro(), string(s.rq.Calling), s.peer.String(), s.admission.Archive); err != nil {
			return err
		}
		if err := s.met(tx, now); err != nil {
			return err
		}
		body := map[string]any{
			"archive":        s.admission.Archive,
			"learned":        s.admission.Learned,
			"implementation": clip(string(s.rq.ImplementationClassUID), maxUID),
			"contexts":       len(s.rq.Contexts),
		}
		if s.admission.Direction == policy.FromArchive {
			body["direction"], body["destination"] = "out", s.admission.Destination
		}
		s.shows(body)
		if refused := s.refusedContexts(); len(refused) > 0 {
			body["refused"] = reasons(refused)
		}
		return s.g.parts.Ledger.Append(tx, "association.begin", s.who(body))
	})
}

// shows adds whether the association is over TLS, and what its peer has proved of
// itself.
func (s *session) shows(body map[string]any) {
	shown, isTLS := showsItself(s.in)
	body["tls"] = isTLS
	if shown != nil {
		body["certificate"], body["subject"] = shown.Fingerprint.String(), clip(shown.Subject, maxWhy)
	}
}

// end records how the association ended, and why if it did before its time,
// joining the next group.
func (s *session) end(_ context.Context, outcome string, why error) {
	s.moved.End()
	now := time.Now().UnixMicro()
	t := &s.tally
	s.g.parts.DB.Later(func(tx *store.Tx) error {
		if _, err := tx.Exec(`DELETE FROM gateway_association WHERE id = ?`, s.id); err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE gateway_peer SET last_seen = ?, objects = objects + ?, held = held + ?
			WHERE calling_ae = ? AND address = ?`,
			now, t.received.Load(), t.held.Load(), string(s.rq.Calling), s.peer.String()); err != nil {
			return err
		}
		body := s.who(map[string]any{
			"outcome": outcome, "received": t.received.Load(), "delivered": t.delivered.Load(),
			"held": t.held.Load(), "spooled": t.spooled.Load(), "refused": t.refused.Load(), "sent": t.sent.Load(),
		})
		if why != nil {
			body["error"] = clip(why.Error(), maxWhy)
		}
		return s.g.parts.Ledger.Append(tx, "association.end", body)
	}, func(err error) {
		s.g.parts.Ledger.Missed(err)
		s.log.Error("end of association not recorded", "error", err)
	})
}

// recordUnfinished puts on the ledger the associations that have a beginning
// and no end: a crash cut them short. What they delivered in their last second
// may be missing from the ledger; the record of the gap says so.
func (g *Gateway) recordUnfinished(ctx context.Context) error {
	return g.parts.DB.Update(ctx, func(tx *store.Tx) error {
		unfinished, err := unfinishedAssociations(tx)
		if err != nil {
			return err
		}
		for _, body := range unfinished {
			if err := g.parts.Ledger.Append(tx, "association.unfinished", body); err != nil {
				return err
			}
		}
		_, err = tx.Exec(`DELETE FROM gateway_association`)
		return err
	})
}

func unfinishedAssociations(tx *store.Tx) ([]map[string]any, error) {
	rows, err := tx.Query(`SELECT id, began_at, calling_ae, address, archive FROM gateway_association ORDER BY began_at`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []map[string]any
	for rows.Next() {
		var id, calling, address, archive string
		var began int64
		if err := rows.Scan(&id, &began, &calling, &address, &archive); err != nil {
			return nil, err
		}
		out = append(out, map[string]any{
			"association": id, "calling_ae": calling, "address": address, "archive": archive,
			"began": time.UnixMicro(began).UTC().Format(time.RFC3339Nano),
		})
	}
	return out, rows.Err()
}
