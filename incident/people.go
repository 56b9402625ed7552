package incident

import (
	"context"
	"fmt"
	"strings"
	"time"

	"cordon/custody"
	"cordon/store"
)

const maxText = 500 // bytes of what people say in one field

// Telling is that somebody was told.
type Telling struct {
	Whom string // the vendor's service, the ward, the regulator
	How  string // by telephone, by e-mail
}

// Begin opens an incident by hand. The device need not be in the register.
func (i *Incidents) Begin(ctx context.Context, device string, rq custody.Request) error {
	rq, err := rq.Check()
	if err != nil {
		return err
	}
	if err := fields("device", device); err != nil {
		return err
	}
	return i.db.Update(ctx, func(tx *store.Tx) error {
		id, err := openOf(tx, device)
		if err != nil {
			return err
		}
		if id != 0 {
			return fmt.Errorf("%w: %.80q has the incident %d already", ErrState, device, id)
		}
		return i.ledger.Append(tx, "incident.opened", map[string]any{"device": device, "by": []string{rq.By}, "reason": rq.Reason})
	})
}

// Told writes down that somebody was told.
func (i *Incidents) Told(ctx context.Context, id int64, t Telling, rq custody.Request) error {
	if err := fields("whom", t.Whom, "how", t.How); err != nil {
		return err
	}
	return i.say(ctx, id, rq, "incident.told", map[string]any{"whom": t.Whom, "how": t.How}, nil)
}

// Note writes down what a person has to say.
func (i *Incidents) Note(ctx context.Context, id int64, rq custody.Request) error {
	return i.say(ctx, id, rq, "incident.note", map[string]any{}, nil)
}

// Promise writes down when a vendor says that the device will be in order, in the
// place of what was promised before; the story keeps both.
func (i *Incidents) Promise(ctx context.Context, id int64, p Promised, rq custody.Request) error {
	if err := fields("vendor", p.Vendor, "what", p.What); err != nil {
		return err
	}
	now := time.Now()
	if p.Due.IsZero() || p.Due.Before(now.AddDate(-1, 0, 0)) || p.Due.After(now.AddDate(5, 0, 0)) {
		return fmt.Errorf("%w: due %s: expected a day within five years", custody.ErrRequest, p.Due.Format(time.DateOnly))
	}
	body := map[string]any{"vendor": p.Vendor, "what": p.What, "due": p.Due.UTC().Format(time.DateOnly)}
	return i.say(ctx, id, rq, "incident.promise", body, func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE incident SET vendor_by = ?, vendor_at = ?, due = ?, promised = ? WHERE id = ?`, p.Vendor, now.UnixMicro(), p.Due.UnixMicro(), p.What, id)
		return err
	})
}

// Close ends an incident. That of a device that is still contained stays open.
func (i *Incidents) Close(ctx context.Context, id int64, rq custody.Request) error {
	var device string
	err := i.say(ctx, id, rq, "incident.closed", map[string]any{}, func(tx *store.Tx) error {
		n, err := one(tx, id)
		if err != nil {
			return err
		}
		if !n.Contained.IsZero() && n.Restored.IsZero() {
			return fmt.Errorf("%w: %s is still contained; restore it first", ErrState, n.Device)
		}
		device = n.Device
		_, err = tx.Exec(`UPDATE incident SET closed = ? WHERE id = ?`, time.Now().UnixMicro(), id)
		return err
	})
	if err == nil {
		i.mu.Lock()
		defer i.mu.Unlock()
		delete(i.open, device)
	}
	return err
}

// say writes something into the story of an open incident, with its record, in one
// transaction.
func (i *Incidents) say(ctx context.Context, id int64, rq custody.Request, kind string, body map[string]any, change func(*store.Tx) error) error {
	rq, err := rq.Check()
	if err != nil {
		return err
	}
	return i.db.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		n, err := one(tx, id)
		if err != nil {
			return err
		}
		if !n.Closed.IsZero() {
			return fmt.Errorf("%w: incident %d was closed on %s", ErrState, id, n.Closed.Format(time.DateOnly))
		}
		body["incident"], body["device"], body["by"], body["reason"] = id, n.Device, []string{rq.By}, rq.Reason
		if err := i.ledger.Append(tx, kind, body); err != nil {
			return err
		}
		if change == nil {
			return nil
		}
		return change(tx)
	})
}

// fields checks what people wrote: pairs of a name and a text.
func fields(pairs ...string) error {
	for n := 0; n < len(pairs); n += 2 {
		name, text := pairs[n], pairs[n+1]
		if strings.TrimSpace(text) == "" || len(text) > maxText || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return fmt.Errorf("%w: %s: expected 1 to %d bytes on one line", custody.ErrRequest, name, maxText)
		}
	}
	return nil
}
