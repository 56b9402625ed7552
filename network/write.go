package network

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"cordon/metric"
	"cordon/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations makes this package's tables.
func Migrations() store.Migrations { return store.Embedded("network", migrations) }

const (
	maxWrite    = 2000    // rows in one transaction; the others wait for the next
	keptRows    = 400     // days, so that what is used once a year is known
	keptAlerts  = 100_000 // alerts
	recordBurst = 20      // records of one address at once
	recordEvery = 20 * time.Second
)

// raise tells of what is due, then writes it.
func (w *Watch) raise(ctx context.Context) {
	due, alerts := w.drain()
	for _, a := range alerts {
		w.parts.Metrics.Count(metric.NetworkAlerts, 1, a.Rule)
		if w.config.Raise != nil {
			w.config.Raise(a)
		}
	}
	if w.parts.DB == nil || len(due) == 0 {
		return
	}
	if err := w.writeAlerts(ctx, due, alerts); err != nil {
		w.parts.Log.Error("alerts of the network were raised, and not written", "alerts", len(alerts), "error", err)
	}
}

// writeAlerts writes alerts and their records. Of one address so many records are made;
// further alerts of its are rows alone, and the next record says how many.
func (w *Watch) writeAlerts(ctx context.Context, due []*matter, alerts []Alert) error {
	return w.parts.DB.Update(ctx, func(tx *store.Tx) error {
		for i, a := range alerts {
			id, err := w.writeAlert(tx, due[i].row, a)
			if err != nil {
				return err
			}
			due[i].row = id // only Run reads it
			omitted, ok := w.quota.Take(a.Address, time.Now())
			if !ok || w.parts.Journal == nil {
				continue
			}
			if err := w.parts.Journal.Append(tx, "network.alert", record(a, omitted)); err != nil {
				return err
			}
		}
		_, err := tx.Exec(`DELETE FROM network_alert WHERE id <= (SELECT max(id) FROM network_alert) - ?`, keptAlerts)
		return err
	})
}

func (w *Watch) writeAlert(tx *store.Tx, id int64, a Alert) (int64, error) {
	text, err := json.Marshal(a)
	if err != nil {
		return 0, err
	}
	if id != 0 {
		_, err := tx.Exec(`UPDATE network_alert SET last = ?, alert = ? WHERE id = ?`, a.At.UnixMicro(), string(text), id)
		return id, err
	}
	err = tx.QueryRow(`INSERT INTO network_alert (last, device, rule, alert) VALUES (?, ?, ?, ?) RETURNING id`,
		a.At.UnixMicro(), a.Device, a.Rule, string(text)).Scan(&id)
	return id, err
}

// record is an alert as the ledger has it.
func record(a Alert, omitted int) map[string]any {
	body := map[string]any{
		"rule": a.Rule, "severity": a.Severity, "address": a.Address.String(), "acted": a.Acted, "proof": a.Proof,
		"first": a.First.UTC().Format(time.RFC3339Nano), "count": a.Count, "peers": a.Peers, "more": a.More,
		"service": a.Service, "detail": a.Detail, "sensor": a.Sensor,
	}
	if a.Device != "" {
		body["device"] = a.Device
	}
	if omitted > 0 {
		body["omitted"] = omitted
	}
	return body
}

// Alerts lists the last n alerts, the latest first.
func (w *Watch) Alerts(ctx context.Context, n int) (out []Alert, err error) {
	if w.parts.DB == nil {
		return nil, nil
	}
	err = w.parts.DB.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT id, alert FROM network_alert ORDER BY last DESC, id DESC LIMIT ?`, n)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var a Alert
			var id int64
			var text string
			if err := rows.Scan(&id, &text); err != nil {
				return err
			}
			if err := json.Unmarshal([]byte(text), &a); err != nil {
				return fmt.Errorf("alert %d: %w", id, err)
			}
			a.ID = id
			out = append(out, a)
		}
		return rows.Err()
	})
	return out, err
}

// change is what there is to write.
type change struct {
	rows  map[pairing]row
	gone  []pairing
	since map[string]time.Time
	cards map[netip.Addr]card
}

// changes takes what is to be written.
func (w *Watch) changes() change {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := change{rows: map[pairing]row{}, since: map[string]time.Time{}, cards: map[netip.Addr]card{}}
	n := min(len(w.changedRows), maxWrite)
	for _, k := range w.changedRows[:n] {
		if r := w.rows[k.src][k]; r != nil && r.changed {
			r.changed, r.written = false, true
			c.rows[k] = *r
		}
	}
	w.changedRows = append(w.changedRows[:0], w.changedRows[n:]...)
	n = min(len(w.gone), maxWrite)
	c.gone = append(c.gone, w.gone[:n]...)
	w.gone = append(w.gone[:0], w.gone[n:]...)
	for _, name := range w.sinceChanged {
		c.since[name] = w.since[name]
	}
	w.sinceChanged = nil
	for a := range w.cardsChanged {
		c.cards[a] = w.cards[a]
	}
	clear(w.cardsChanged)
	return c
}

// write writes what was seen. What cannot be written is written with its next change.
func (w *Watch) write(ctx context.Context) error {
	c := w.changes()
	if w.parts.DB == nil || len(c.rows)+len(c.gone)+len(c.since)+len(c.cards) == 0 {
		return nil
	}
	err := w.parts.DB.Update(ctx, func(tx *store.Tx) error { return c.write(tx) })
	if err != nil {
		w.putBack(c)
	}
	return err
}

// putBack has everything written again.
func (w *Watch) putBack(c change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for k := range c.rows {
		if r := w.rows[k.src][k]; r != nil {
			w.touch(k, r)
		}
	}
	w.gone = append(w.gone, c.gone...)
	for name := range c.since {
		w.sinceChanged = append(w.sinceChanged, name)
	}
	for a := range c.cards {
		w.cardsChanged[a] = true
	}
}

func (c change) write(tx *store.Tx) error {
	for _, k := range c.gone {
		if _, err := tx.Exec(`DELETE FROM network_seen WHERE src = ? AND dst = ? AND protocol = ? AND port = ?`, k.src.String(), k.dst.String(), int(k.protocol), int(k.port)); err != nil {
			return err
		}
	}
	for k, r := range c.rows {
		_, err := tx.Exec(`INSERT INTO network_seen (src, dst, protocol, port, first, last, packets, bytes, attempts, established, accused) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (src, dst, protocol, port) DO UPDATE SET last = excluded.last, packets = excluded.packets, bytes = excluded.bytes, attempts = excluded.attempts, established = excluded.established, accused = excluded.accused`,
			k.src.String(), k.dst.String(), int(k.protocol), int(k.port), r.first.UnixMicro(), r.last.UnixMicro(), int64(r.packets), int64(r.bytes), int64(r.attempts), int64(r.established), r.accused)
		if err != nil {
			return err
		}
	}
	for name, at := range c.since {
		if _, err := tx.Exec(`INSERT INTO network_device (name, first) VALUES (?, ?) ON CONFLICT (name) DO NOTHING`, name, at.UnixMicro()); err != nil {
			return err
		}
	}
	for a, at := range c.cards {
		if _, err := tx.Exec(`INSERT INTO network_card (address, mac, heard) VALUES (?, ?, ?) ON CONFLICT (address) DO UPDATE SET mac = excluded.mac, heard = excluded.heard`,
			a.String(), at.mac.String(), at.heard.UnixMicro()); err != nil {
			return err
		}
	}
	return nil
}
