package asset

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"cordon/dicom"
	"cordon/store"
)

const (
	writeInterval = 5 * time.Second
	batch         = 16 // peers in one transaction, which all writers wait for

	tendInterval = time.Hour
	forgotten    = 90 * 24 * time.Hour // after which a peer that nobody declared is learned anew
)

// Run writes what was seen until ctx ends, and then the rest; and proposes and
// forgets in between.
func (r *Register) Run(ctx context.Context, log *slog.Logger) error {
	write := func() {
		if err := r.write(context.WithoutCancel(ctx)); err != nil {
			log.Error("what devices did was not learned", "error", err)
		}
		if n := r.dropped.Swap(0); n > 0 {
			log.Warn("no room to learn of more devices; cordon device list shows who takes it", "times", n)
		}
	}
	tend := func() {
		now := time.Now()
		if err := errors.Join(r.forget(ctx, now), r.propose(ctx, now)); err != nil && ctx.Err() == nil {
			log.Error("old devices not forgotten, or new ones not proposed", "error", err)
		}
	}
	writing, tending := time.NewTicker(writeInterval), time.NewTicker(tendInterval)
	defer writing.Stop()
	defer tending.Stop()
	for tend(); ; {
		select {
		case <-ctx.Done():
			write()
			return nil
		case <-tending.C:
			tend()
		case <-writing.C:
			write()
		case <-r.full:
			write()
		}
	}
}

// forget drops the peers that nobody declared and that have not come for long.
func (r *Register) forget(ctx context.Context, now time.Time) error {
	return r.db.Update(ctx, func(tx *store.Tx) error {
		const old = `SELECT id FROM asset_peer WHERE device = '' AND last_seen < ?`
		before := now.Add(-forgotten).UnixMicro()
		if _, err := tx.Exec(`DELETE FROM asset_use WHERE peer IN (`+old+`)`, before); err != nil {
			return err
		}
		_, err := tx.Exec(`DELETE FROM asset_peer WHERE device = '' AND last_seen < ?`, before)
		return err
	})
}

// write makes what was seen so far durable.
func (r *Register) write(ctx context.Context) error {
	r.mu.Lock()
	pending := r.pending
	r.pending, r.fresh = map[key]*delta{}, map[string]int{}
	r.mu.Unlock()

	var errs []error
	group := map[key]*delta{}
	flush := func() {
		errs = append(errs, r.db.Update(ctx, func(tx *store.Tx) error { return r.writeAll(tx, group) }))
		group = map[key]*delta{}
	}
	for k, d := range pending {
		if group[k] = d; len(group) == batch {
			flush()
		}
	}
	if len(group) > 0 {
		flush()
	}
	return errors.Join(errs...)
}

func (r *Register) writeAll(tx *store.Tx, deltas map[key]*delta) error {
	n, err := countPeers(tx)
	if err != nil {
		return err
	}
	for k, d := range deltas {
		id, err := r.writePeer(tx, k, d, &n)
		if err != nil {
			return err
		}
		if id == 0 {
			r.dropped.Add(1)
			continue // there is no room for it
		}
		for u, s := range d.uses {
			room, err := writeUse(tx, id, u, s)
			if err != nil {
				return err
			}
			if !room {
				d.untold++
			}
		}
		if err := count(tx, id, d); err != nil {
			return err
		}
	}
	return nil
}

// writePeer finds the peer's row, or makes one; 0 means that there is no room.
// A peer that is admitted for the first time and that nobody declared is put on
// the ledger.
func (r *Register) writePeer(tx *store.Tx, k key, d *delta, n *peerCounts) (id int64, err error) {
	var before int
	err = tx.QueryRow(`SELECT id, associations FROM asset_peer WHERE calling_ae = ? AND address = ? AND certificate = ?`,
		string(k.calling), k.address.String(), k.certificate).Scan(&id, &before)
	if errors.Is(err, sql.ErrNoRows) {
		id, err = r.insertPeer(tx, k, d, n)
	}
	if err != nil || id == 0 || d.peer.Device != "" || before > 0 || d.associations == 0 {
		return id, err
	}
	body := map[string]any{"calling_ae": string(k.calling), "address": k.address.String()}
	if k.certificate != "" {
		body["certificate"] = k.certificate
	}
	return id, r.journal.Append(tx, "admission.learned", body)
}

func (r *Register) insertPeer(tx *store.Tx, k key, d *delta, n *peerCounts) (int64, error) {
	if room, err := n.room(tx, k, d); err != nil || !room {
		return 0, err
	}
	name, err := r.newName(tx, k.calling)
	if err != nil {
		return 0, err
	}
	subject := ""
	if c := d.peer.Certificate; c != nil {
		subject = clip(c.Subject, maxSubject)
	}
	result, err := tx.Exec(`INSERT INTO asset_peer (name, calling_ae, address, network, certificate, subject, device, first_seen, last_seen) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		name, string(k.calling), k.address.String(), network(k.address), k.certificate, subject, d.peer.Device, d.first.UnixMicro(), d.last.UnixMicro())
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

// maxSubject bounds the subject of a certificate, in bytes.
const maxSubject = 256

func clip(s string, n int) string { return strings.ToValidUTF8(s[:min(len(s), n)], "") }

// peerCounts are how many peers that nobody declared have a row.
type peerCounts struct {
	learned, turnedAway int
}

func countPeers(tx *store.Tx) (n peerCounts, err error) {
	err = tx.QueryRow(`SELECT COUNT(*) FILTER (WHERE associations > 0), COUNT(*) FILTER (WHERE associations = 0) FROM asset_peer WHERE device = ''`).
		Scan(&n.learned, &n.turnedAway)
	return n, err
}

// room reports whether one more peer may be learned, and counts it. A declared
// device may come from a few dozen addresses, and an address may have a few
// dozen peers that are not declared.
func (n *peerCounts) room(tx *store.Tx, k key, d *delta) (bool, error) {
	all, most := &n.turnedAway, maxTurnedAway
	if d.associations > 0 {
		all, most = &n.learned, maxLearned
	}
	where, of, few := `device = '' AND network = ?`, network(k.address), maxOfAddress
	if d.peer.Device != "" {
		all, where, of, few = new(int), `device = ?`, d.peer.Device, maxOfDevice
	}
	var here int
	err := tx.QueryRow(`SELECT COUNT(*) FROM asset_peer WHERE `+where, of).Scan(&here)
	if err != nil || here >= few || *all >= most {
		return false, err
	}
	*all++
	return true, nil
}

var notName = regexp.MustCompile(`[^a-z0-9._-]+`)

// newName makes a name for a peer that people can type: its AE title in lower
// case, and a number if that is taken.
func (r *Register) newName(tx *store.Tx, calling dicom.AETitle) (string, error) {
	name := strings.Trim(notName.ReplaceAllString(strings.ToLower(string(calling)), "-"), "-._")
	switch {
	case calling == "":
		name = "web" // over HTTP nobody has one
	case name == "":
		name = "peer"
	}
	taken, last, err := r.taken(tx, name)
	for of := name; taken && err == nil; last++ { // ends: so many names are not taken
		name = fmt.Sprintf("%s-%d", of, last+1)
		taken, _, err = r.taken(tx, name)
	}
	return name, err
}

// taken reports whether somebody has the name, and the last row's number.
func (r *Register) taken(tx *store.Tx, name string) (taken bool, last int64, err error) {
	err = tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM asset_peer WHERE name = ?1) OR EXISTS (SELECT 1 FROM asset_decision WHERE name = ?1),
		(SELECT COALESCE(MAX(id), 0) FROM asset_peer)`, name).Scan(&taken, &last)
	return taken || r.isDeclared(name), last, err
}

// writeUse counts one thing that a peer does. It reports false if there is no
// room for one more of its kind.
func writeUse(tx *store.Tx, peer int64, u use, s *span) (bool, error) {
	result, err := tx.Exec(`UPDATE asset_use SET seen = seen + ?, last_seen = MAX(last_seen, ?) WHERE peer = ? AND kind = ? AND value = ?`,
		s.seen, s.last.UnixMicro(), peer, string(u.kind), u.value)
	if err != nil {
		return false, err
	}
	if n, err := result.RowsAffected(); err != nil || n > 0 {
		return true, err
	}
	var n int
	if err := tx.QueryRow(`SELECT COUNT(*) FROM asset_use WHERE peer = ? AND kind = ?`, peer, string(u.kind)).Scan(&n); err != nil || n >= u.kind.most() {
		return false, err
	}
	_, err = tx.Exec(`INSERT INTO asset_use (peer, kind, value, seen, first_seen, last_seen) VALUES (?, ?, ?, ?, ?, ?)`,
		peer, string(u.kind), u.value, s.seen, s.first.UnixMicro(), s.last.UnixMicro())
	return true, err
}

// count adds what was seen to a peer's row. A peer that people have decided on
// stays whom they took it for: its association may have begun before.
func count(tx *store.Tx, id int64, d *delta) error {
	_, err := tx.Exec(`UPDATE asset_peer SET device = CASE WHEN ?1 = '' AND device IN (SELECT name FROM asset_decision) THEN device ELSE ?1 END,
		last_seen = MAX(last_seen, ?2), associations = associations + ?3, secured = secured + ?4,
		requests = requests + ?5, refused = refused + ?6, would_refuse = would_refuse + ?7, untold = untold + ?8 WHERE id = ?9`,
		d.peer.Device, d.last.UnixMicro(), d.associations, d.secured, d.requests, d.refused, d.wouldRefuse, d.untold, id)
	return err
}
