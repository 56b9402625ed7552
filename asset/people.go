package asset

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"time"

	"cordon/custody"
	"cordon/store"
)

// Approval is what a person says who approves a device.
type Approval struct {
	custody.Request
	Scope
	Name string // what the device is called from now on; "": as it is
	Port uint16 // where it listens, which is never learned; 0: as it is

	PortTLS bool // it listens at Port with TLS
}

// nameForm is what a configuration allows as a device's name.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// Approve makes a peer a declared device with the least set of permissions
// under which it goes on as before; or gives an approved or denied one that set
// anew. It is durable, and on the ledger, before it takes effect, which it does
// with the next association.
func (r *Register) Approve(ctx context.Context, name string, a Approval) (Detail, error) {
	rq, err := a.Request.Check()
	if err != nil {
		return Detail{}, err
	}
	if a.Name != "" && !nameForm.MatchString(a.Name) {
		return Detail{}, fmt.Errorf("%w: name %.80q: expected 1 to 63 letters, digits, '.', '_' or '-', the first a letter or digit", custody.ErrRequest, a.Name)
	}
	return r.decide(ctx, name, Approved, rq, a.Name, func(tx *store.Tx, s subject, now time.Time) (Permissions, error) {
		p, err := r.approval(tx, s, a.Scope, now)
		if a.Port != 0 {
			p.Port, p.PortTLS = a.Port, a.PortTLS
		}
		return p, err
	})
}

// approval is what an approval gives. A device that was seen to do nothing lately
// gets again what it had, but for the limits that are asked for each time.
func (r *Register) approval(tx *store.Tx, s subject, scope Scope, now time.Time) (Permissions, error) {
	us, err := uses(tx, s.peers)
	if err != nil {
		return Permissions{}, err
	}
	had := permissions(s.device)
	lately := slices.ContainsFunc(us, func(u Use) bool {
		return now.Sub(u.LastSeen) <= stale && (u.Kind == Service || u.Kind == Asked && scope.Refused)
	})
	if s.state != Learned && !lately {
		if !scope.Hours {
			had.Hours = nil
		}
		if !scope.Implementation {
			had.Implementation = ""
		}
		return had, nil
	}
	p := least(s.peers, us, r.site.Archives, scope, now)
	if s.state != Learned {
		p.keep(had)
	}
	return p, nil
}

// Deny has the device's associations rejected, from the next one on. Its
// permissions are kept: Approve undoes it.
func (r *Register) Deny(ctx context.Context, name string, rq custody.Request) (Detail, error) {
	rq, err := rq.Check()
	if err != nil {
		return Detail{}, err
	}
	return r.decide(ctx, name, Denied, rq, "", func(tx *store.Tx, s subject, now time.Time) (Permissions, error) {
		if s.state != Learned {
			return permissions(s.device), nil
		}
		p, err := r.approval(tx, s, Scope{}, now)
		p.Certificates, p.TLSRequired = nil, false // it is denied however it comes
		return p, err
	})
}

// decide writes what a person decided and makes it take effect. A caller that
// goes away in between changes nothing about that.
func (r *Register) decide(ctx context.Context, name string, to State, rq custody.Request, called string, of func(*store.Tx, subject, time.Time) (Permissions, error)) (d Detail, err error) {
	ctx = context.WithoutCancel(ctx)
	if err := r.write(ctx); err != nil {
		return d, err
	}
	err = r.db.Update(ctx, func(tx *store.Tx) error {
		now := time.Now()
		s, err := r.find(tx, name)
		if err != nil {
			return err
		}
		if s.state == Declared {
			return fmt.Errorf("%.80q is %w", name, ErrDeclared)
		}
		p, err := of(tx, s, now)
		if err != nil {
			return err
		}
		as, err := r.rename(tx, s, called)
		if err != nil {
			return err
		}
		if err := r.undeclared(as, p); err != nil {
			return err
		}
		if err := r.put(tx, as, s, to, rq, p, now); err != nil {
			return err
		}
		d, err = r.detail(tx, as, Scope{}, now)
		return err
	})
	if err != nil {
		return Detail{}, err
	}
	if err := r.refresh(ctx); err != nil {
		return d, fmt.Errorf("recorded, but what people decided cannot be read, and takes effect at the next start: %w", err)
	}
	return d, nil
}

// undeclared is an error if the configuration speaks for the device already.
func (r *Register) undeclared(name string, p Permissions) error {
	d, err := p.device(name)
	if err != nil {
		return err
	}
	if by, ok := r.declared(d); ok {
		return fmt.Errorf("%.80q has the AE title and an address of %s, %w", name, by, ErrDeclared)
	}
	return nil
}

// rename is what a device is called from now on. The names that others have
// are taken.
func (r *Register) rename(tx *store.Tx, s subject, called string) (string, error) {
	if called == "" || called == s.name {
		return s.name, nil
	}
	all, err := r.subjects(tx)
	if err != nil {
		return "", err
	}
	if slices.ContainsFunc(all, func(o subject) bool { return o.name == called }) {
		return "", fmt.Errorf("%w: name %q is taken; choose another", custody.ErrRequest, called)
	}
	for _, change := range []string{
		`DELETE FROM asset_decision WHERE name = ?1`,
		`UPDATE asset_inventory SET device = ?2 WHERE device = ?1`,
		`UPDATE asset_flows SET device = ?2 WHERE device = ?1`,
	} {
		if _, err := tx.Exec(change, s.name, called); err != nil {
			return "", err
		}
	}
	return called, nil
}

// put writes a decision and journals it.
func (r *Register) put(tx *store.Tx, name string, s subject, to State, rq custody.Request, p Permissions, now time.Time) error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO asset_decision (name, state, device, decided_by, decided_at, reason) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET state = excluded.state, device = excluded.device, decided_by = excluded.decided_by,
		decided_at = excluded.decided_at, reason = excluded.reason`, name, string(to), string(text), rq.By, now.UnixMicro(), rq.Reason)
	if err != nil {
		return err
	}
	for _, v := range s.peers {
		if _, err := tx.Exec(`UPDATE asset_peer SET device = ? WHERE id = ?`, name, v.id); err != nil {
			return err
		}
	}
	kind := "device.approved"
	if to == Denied {
		kind = "device.denied"
	}
	body := map[string]any{"device": name, "by": []string{rq.By}, "reason": rq.Reason, "calling_ae": string(p.AETitle), "permissions": p}
	if s.name != name {
		body["was"] = s.name
	}
	return r.journal.Append(tx, kind, body)
}
