package exception

import (
	"context"
	"fmt"
	"time"

	"cordon/custody"
	"cordon/dicom"
	"cordon/finding"
	"cordon/policy"
	"cordon/store"
)

// Propose records that a person thinks that a finding is a device's habit.
// place is where it is found, "" for anywhere. It has no effect until it is
// approved.
func (x *Exceptions) Propose(ctx context.Context, o policy.Origin, id, place string, r custody.Request) (Exception, error) {
	h := habit{o.Subject(), id, policy.Place(place)}
	r, err := r.Check()
	switch {
	case err != nil:
		return Exception{}, err
	case h.subject == policy.Origin{}:
		return Exception{}, fmt.Errorf("%w: whose habit? a declared device (--device NAME), or a learned one's AE title and address (--calling AE --address IP)", custody.ErrRequest)
	case !validPlace(h.place):
		return Exception{}, fmt.Errorf("%w: place %.80q: expected a tag path, as vault show prints it, such as (0009,1001)", custody.ErrRequest, place)
	}
	if err := exceptable(id); err != nil {
		return Exception{}, err
	}
	return x.update(ctx, func(tx *store.Tx) (Exception, error) {
		e, known, err := find(tx, h)
		switch {
		case err != nil:
			return e, err
		case !known:
			return x.insert(tx, h, r.By, r.Reason)
		case e.State == Approved:
			return e, fmt.Errorf("%w: exception %s is approved already", ErrState, e.ID)
		}
		e.State, e.ProposedBy, e.Reason, e.DecidedBy, e.Expires = Proposed, r.By, r.Reason, nil, time.Time{}
		return x.set(tx, e, "exception.proposed", map[string]any{"by": r.By, "reason": r.Reason})
	})
}

// exceptable returns why no exception can be made for a kind of finding, or nil.
func exceptable(id string) error {
	k, ok := finding.Lookup(id)
	switch {
	case !ok:
		return fmt.Errorf("%w: there is no finding %.40q", custody.ErrRequest, id)
	case k.Severity == finding.Info:
		return fmt.Errorf("%w: %s holds nothing", custody.ErrRequest, id)
	case !finding.Exceptable(finding.Finding{ID: id, Severity: k.Severity}):
		return fmt.Errorf("%s %w", id, ErrNotExceptable)
	}
	return nil
}

// Approve makes the exception apply to the objects that begin to arrive from
// now on, for the given term; 0 means MaxTerm. One that is approved already is
// approved anew.
func (x *Exceptions) Approve(ctx context.Context, id string, r custody.Request, term time.Duration) (Exception, error) {
	r, err := r.Check()
	if err != nil {
		return Exception{}, err
	}
	if term == 0 {
		term = MaxTerm
	}
	if term < 0 || term > MaxTerm {
		return Exception{}, fmt.Errorf("%w: an exception lasts for %d days at the most", custody.ErrRequest, MaxTerm/(24*time.Hour))
	}
	return x.update(ctx, func(tx *store.Tx) (Exception, error) {
		e, err := get(tx, id)
		if err != nil {
			return e, err
		}
		return x.approve(tx, e, []string{r.By}, r.Reason, term, map[string]any{})
	})
}

func (x *Exceptions) approve(tx *store.Tx, e Exception, by []string, reason string, term time.Duration, more map[string]any) (Exception, error) {
	if err := exceptable(e.Finding); err != nil { // the catalogue may have changed its mind
		return e, err
	}
	e.State, e.DecidedBy, e.Reason, e.Expires = Approved, by, reason, time.Now().Add(term)
	more["by"], more["reason"] = by, reason
	return x.set(tx, e, "exception.approved", more)
}

// Revoke ends an exception for the objects that begin to arrive from now on, or
// declines a proposal.
func (x *Exceptions) Revoke(ctx context.Context, id string, r custody.Request) (Exception, error) {
	r, err := r.Check()
	if err != nil {
		return Exception{}, err
	}
	return x.update(ctx, func(tx *store.Tx) (Exception, error) {
		e, err := get(tx, id)
		if err != nil {
			return e, err
		}
		if e.State == Revoked {
			return e, fmt.Errorf("%w: exception %s is revoked already", ErrState, id)
		}
		e.State, e.DecidedBy, e.Reason, e.Expires = Revoked, []string{r.By}, r.Reason, time.Time{}
		return x.set(tx, e, "exception.revoked", map[string]any{"by": []string{r.By}, "reason": r.Reason})
	})
}

// update changes a row and makes the change take effect. A caller that goes
// away in between changes nothing about that.
func (x *Exceptions) update(ctx context.Context, fn func(*store.Tx) (Exception, error)) (e Exception, err error) {
	ctx = context.WithoutCancel(ctx)
	err = x.db.Update(ctx, func(tx *store.Tx) error {
		e, err = fn(tx)
		return err
	})
	if err != nil {
		return Exception{}, err
	}
	if err := x.Refresh(ctx); err != nil {
		return e, fmt.Errorf("recorded, but exceptions cannot be read, and none applies: %w", err)
	}
	return e, nil
}

// CanRelease reports why an object cannot be released together with an
// exception, or nil: everything that holds it must be exceptable.
func CanRelease(o custody.Object) error {
	some := false
	for _, f := range o.Findings {
		switch {
		case finding.Exceptable(f):
			some = true
		case f.Severity > finding.Info:
			return fmt.Errorf("%s %w", f.ID, ErrNotExceptable)
		}
	}
	if !some {
		return fmt.Errorf("%w: nothing was found in the object that an exception could cover", custody.ErrRequest)
	}
	return nil
}

// Released is for custody.Request.Then: in the transaction that releases an
// object, it approves exceptions for what was found in it and for the device
// that sent it, in the name of those who released it.
func (x *Exceptions) Released(tx *store.Tx, o custody.Object, by []string, reason string) error {
	if err := CanRelease(o); err != nil {
		return err
	}
	for _, f := range o.Findings {
		if !finding.Exceptable(f) {
			continue
		}
		h, err := habitOf(tx, o, f)
		if err != nil {
			return err
		}
		e, known, err := find(tx, h)
		if err == nil && !known {
			e, err = x.insert(tx, h, by[0], reason)
		}
		if err == nil {
			_, err = x.approve(tx, e, by, reason, MaxTerm, map[string]any{"object": o.ID})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// habitOf says whose habit a finding in an object in the vault is. The vault
// does not know a learned device's address: the proposal does that the gateway
// made when it held the object.
func habitOf(tx *store.Tx, o custody.Object, f finding.Finding) (habit, error) {
	h := habit{policy.Origin{Device: o.Device}, f.ID, policy.Place(f.Where)}
	if o.Device != "" {
		return h, nil
	}
	all, err := query(tx, `WHERE device = '' AND calling_ae = ? AND finding = ? AND place = ?`, o.CallingAE, h.finding, h.place)
	if err != nil {
		return h, err
	}
	if len(all) != 1 {
		return h, fmt.Errorf("%w: %d addresses are known to send this as %.16q: declare the device, or approve the right one (cordon exception list)",
			ErrState, len(all), dicom.AETitle(o.CallingAE))
	}
	h.subject, err = all[0].subject()
	return h, err
}
