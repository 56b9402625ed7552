package incident

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"cordon/ledger"
	"cordon/store"
)

const (
	signsKept  = 24 * time.Hour // before there is an incident
	maxSigns   = 200            // of one device
	maxEvents  = 20_000         // of one incident
	maxImages  = 500_000        // of one incident
	maxSays    = 500            // bytes of one line
	pruneSigns = 1000           // records between two times that old signs are forgotten
)

// opening and closing are the kinds that begin an incident, and that end what is
// shown as contained.
func opening(kind string) bool { return kind == "containment.applied" || kind == "incident.opened" }
func closing(kind string) bool { return kind == "containment.restored" }

// learn writes down what a batch of records says of devices.
func (i *Incidents) learn(ctx context.Context, batch []ledger.Record) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	var lines []line
	next := i.read
	for _, r := range batch {
		if r.Seq < i.read {
			continue // it came before, and was written
		}
		next = r.Seq + 1
		if l, ok := i.hear(r); ok {
			lines = append(lines, l)
		}
	}
	if len(lines) == 0 {
		i.read = next
		return nil
	}
	err := i.db.Update(ctx, func(tx *store.Tx) error {
		for _, l := range lines {
			if err := i.write(tx, l); err != nil {
				return fmt.Errorf("record %d: %w", l.seq, err)
			}
		}
		_, err := tx.Exec(`UPDATE incident_read SET next = ?`, next)
		return err
	})
	if err != nil {
		return err
	}
	i.read = next
	return nil
}

// line is one record, about one device.
type line struct {
	said
	seq    int64
	at     time.Time
	kind   string
	device string
	image  string // the state of an image; "": it is none
	tell   sentence
}

// hear reads a record that may belong to a story. It needs mu.
func (i *Incidents) hear(r ledger.Record) (l line, ok bool) {
	if !told(r) {
		return l, false
	}
	l = line{seq: r.Seq, at: r.Time, kind: r.Kind, image: imaged[r.Kind]}
	if json.Unmarshal(r.Body, &l.said) != nil {
		return l, false
	}
	l.device = l.Device
	if l.device == "" {
		return l, false
	}
	if l.image != "" {
		_, open := i.open[l.device]
		return l, open && l.Instance != ""
	}
	l.tell, _ = sentenceOf(r.Kind)
	_, open := i.open[l.device]
	if opening(r.Kind) && !open {
		i.open[l.device] = 0 // from the next record on it has one
		open = true
	}
	return l, open || l.tell.sign || l.Incident != 0
}

// write puts one line into its story.
func (i *Incidents) write(tx *store.Tx, l line) error {
	id, err := l.Incident, error(nil)
	if id == 0 {
		id, err = openOf(tx, l.device)
	}
	if err != nil {
		return err
	}
	if id == 0 && opening(l.kind) {
		if id, err = begin(tx, l); err != nil {
			return err
		}
		i.open[l.device] = id
	}
	if l.image != "" {
		return followImage(tx, id, l)
	}
	if err := tell(tx, id, l); err != nil {
		return err
	}
	switch {
	case l.kind == "containment.applied":
		_, err = tx.Exec(`UPDATE incident SET contained = CASE contained WHEN 0 THEN ? ELSE contained END, restored = 0 WHERE id = ?`, l.at.UnixMicro(), id)
	case closing(l.kind):
		_, err = tx.Exec(`UPDATE incident SET restored = ? WHERE id = ?`, l.at.UnixMicro(), id)
	case l.seq%pruneSigns == 0:
		_, err = tx.Exec(`DELETE FROM incident_event WHERE incident IS NULL AND at < ?`, l.at.Add(-signsKept).UnixMicro())
	}
	return err
}

// openOf is a device's open incident; 0: it has none.
func openOf(tx *store.Tx, device string) (id int64, err error) {
	err = tx.QueryRow(`SELECT coalesce(max(id), 0) FROM incident WHERE device = ? AND closed = 0`, device).Scan(&id)
	return id, err
}

// begin opens an incident, and takes in what was seen of the device before.
func begin(tx *store.Tx, l line) (id int64, err error) {
	var first int64
	since := l.at.Add(-signsKept).UnixMicro()
	err = tx.QueryRow(`SELECT coalesce(min(at), ?) FROM incident_event WHERE device = ? AND incident IS NULL AND at >= ?`, l.at.UnixMicro(), l.device, since).Scan(&first)
	if err != nil {
		return 0, err
	}
	if !l.First.IsZero() && l.First.UnixMicro() < first && l.First.UnixMicro() >= since {
		first = l.First.UnixMicro()
	}
	result, err := tx.Exec(`INSERT INTO incident (device, opened, first, why) VALUES (?, ?, ?, ?)`, l.device, l.at.UnixMicro(), first, short(l.tell.says(l.said)))
	if err != nil {
		return 0, err
	}
	if id, err = result.LastInsertId(); err != nil {
		return 0, err
	}
	_, err = tx.Exec(`UPDATE incident_event SET incident = ? WHERE device = ? AND incident IS NULL AND at >= ?`, id, l.device, since)
	return id, err
}

// tell adds a line, of an incident or of a device that has none yet.
func tell(tx *store.Tx, id int64, l line) error {
	at := l.at
	if l.kind == "network.alert" && !l.First.IsZero() && l.First.Before(at) && at.Sub(l.First) < signsKept {
		at = l.First
	}
	of, key, count, most := any(id), any(id), `SELECT count(*) FROM incident_event WHERE incident = ?`, maxEvents
	if id == 0 {
		of, key, count, most = nil, l.device, `SELECT count(*) FROM incident_event WHERE device = ? AND incident IS NULL`, maxSigns
	}
	var n int
	if err := tx.QueryRow(count, key).Scan(&n); err != nil || n >= most {
		return err
	}
	_, err := tx.Exec(`INSERT INTO incident_event (seq, incident, device, at, kind, says) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		l.seq, of, l.device, at.UnixMicro(), l.kind, short(l.tell.says(l.said)))
	return err
}

// followImage notes where an image is now.
func followImage(tx *store.Tx, id int64, l line) error {
	if id == 0 {
		return nil
	}
	_, err := tx.Exec(`INSERT INTO incident_image (incident, instance, study, state, first, last)
		SELECT ?1, ?2, ?3, ?4, ?5, ?5 WHERE (SELECT count(*) FROM incident_image WHERE incident = ?1) < ?6
		ON CONFLICT (incident, instance) DO UPDATE SET state = excluded.state, last = excluded.last`,
		id, l.Instance, l.Study, l.image, l.at.UnixMicro(), maxImages)
	return err
}

func short(s string) string {
	if len(s) <= maxSays {
		return s
	}
	cut := maxSays
	for cut > 0 && s[cut]&0xC0 == 0x80 { // not within a character
		cut--
	}
	return s[:cut] + "…"
}
