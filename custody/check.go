package custody

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"

	"cordon/store"
)

// Checked is what Check has counted.
type Checked struct {
	Spooled int // whose blob is here
	Held    int
	Alarms  int // whose blob is not, or is too short
}

// checkPage is how many rows are read at a time.
const checkPage = 1000

// Check looks for the blob of every object that is kept, while work goes on. One
// that is missing, or shorter than what it holds, is an alarm; its bytes are
// verified when they are read. Time and memory: one look at a file for each
// object, a page of rows.
func (c *Custody) Check(ctx context.Context) (n Checked, err error) {
	for seq := int64(0); ; {
		var page []promised
		if page, err = c.promised(ctx, seq); err != nil || len(page) == 0 {
			return n, err
		}
		for _, p := range page {
			if err := c.checkOne(ctx, p, &n); err != nil {
				return n, err
			}
		}
		seq = page[len(page)-1].seq
	}
}

// promised is a row that says that its blob is here.
type promised struct {
	seq   int64
	id    string
	state State
	bytes int64
	alarm string
}

func (c *Custody) promised(ctx context.Context, after int64) (page []promised, err error) {
	err = c.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT seq, id, state, bytes, alarm FROM custody_objects WHERE state IN ('spooled', 'held') AND seq > ? ORDER BY seq LIMIT ?`, after, checkPage)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var p promised
			if err := rows.Scan(&p.seq, &p.id, &p.state, &p.bytes, &p.alarm); err != nil {
				return err
			}
			page = append(page, p)
		}
		return rows.Err()
	})
	return page, err
}

// checkOne looks at one file. An object that has left meanwhile is nobody's
// alarm: raiseIn looks at its state again.
func (c *Custody) checkOne(ctx context.Context, p promised, n *Checked) error {
	wrong, err := c.wrongWith(p)
	if err != nil {
		return err
	}
	if wrong != "" {
		o, err := c.Get(ctx, p.id)
		if err != nil || !o.State.stored() {
			return err
		}
		if o.Alarm != wrong {
			if err := c.db.Update(ctx, func(tx *store.Tx) error { return c.raiseIn(tx, p.id, wrong) }); err != nil {
				return err
			}
		}
	}
	switch {
	case wrong != "" || p.alarm == alarmDamaged:
		n.Alarms++
	case p.state == Held:
		n.Held++
	default:
		n.Spooled++
	}
	return nil
}

// wrongWith looks for the file. An encrypted one is longer than what it holds.
func (c *Custody) wrongWith(p promised) (alarm string, err error) {
	for _, path := range []string{c.blobPath(p.id), c.spillPath(p.id), c.blobPath(p.id)} { // it may be moving
		var info fs.FileInfo
		info, err = os.Stat(path)
		switch {
		case err == nil && info.Size() <= p.bytes:
			return alarmDamaged, nil
		case !errors.Is(err, fs.ErrNotExist):
			return "", err
		}
	}
	return alarmMissing, nil
}

// Unknown returns those of the ids, some 10,000 at a time, that no row has.
func (c *Custody) Unknown(ctx context.Context, ids []string) (unknown []string, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	err = c.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT value FROM json_each(?) WHERE value NOT IN (SELECT id FROM custody_objects WHERE id IN (SELECT value FROM json_each(?)))`,
			string(list), string(list))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				return err
			}
			unknown = append(unknown, id)
		}
		return rows.Err()
	})
	return unknown, err
}
