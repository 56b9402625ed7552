package plan

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"cordon/custody"
	"cordon/firewall"
	"cordon/store"
)

var (
	// ErrState means that it cannot be now.
	ErrState = errors.New("not possible now")
	// ErrChanged means that the plan is another than the one that was read.
	ErrChanged = errors.New("the plan has changed")
)

// Mode is what is done with a plan.
type Mode string

const (
	Off     Mode = "off"
	Shadow  Mode = "shadow"
	Enforce Mode = "enforce"
)

// ConfirmWithin is how long an enforced plan stands that nobody has confirmed.
const ConfirmWithin = 2 * time.Minute

// Firewall is where a plan is rules.
type Firewall interface {
	Change(ctx context.Context, change func(*firewall.Ruleset)) error
	State(ctx context.Context) (firewall.State, error)
	Hits(ctx context.Context) ([]firewall.Hit, error)
}

// Journal records in the transaction that it is given. A ledger is one.
type Journal interface {
	Append(tx *store.Tx, kind string, body any) error
}

// Parts are what a Book works with. All but Closed are required.
type Parts struct {
	DB       *store.DB
	Journal  Journal
	Firewall Firewall
	Log      *slog.Logger
	Sources  func(context.Context) (Sources, error)
	Closed   []netip.Prefix // of zones that nobody leaves without a ticket, whether or not there is a plan
}

// State is how the plan stands.
type State struct {
	Mode    Mode      `json:"mode"`
	Since   time.Time `json:"since,omitzero"`
	By      string    `json:"by,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	Digest  string    `json:"digest,omitempty"`  // of what is applied
	Confirm time.Time `json:"confirm,omitzero"`  // undone then, unless a person confirms it
	Applied bool      `json:"applied"`           // the kernel has it
	Why     string    `json:"why,omitempty"`     // not
	Current string    `json:"current,omitempty"` // the digest of the plan as it would be now

	Counters map[string]firewall.Count `json:"counters,omitempty"` // of zones: what no rule allows; "allowed": what one does; "closed"
}

// Order is a person's decision.
type Order struct {
	custody.Request
	Mode   Mode
	Digest string     // of the plan that was read; not of Off
	From   netip.Addr // whence it is given; never shut out. Not valid: from this machine
}

// Book keeps the plan of one hospital. It is safe for concurrent use.
type Book struct {
	p Parts

	mu      sync.Mutex // over what follows, and every change
	state   State
	applied Plan
}

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations makes this package's table.
func Migrations() store.Migrations { return store.Embedded("plan", migrations) }

// Open reads the plan that is applied. It changes nothing.
func Open(ctx context.Context, p Parts) (*Book, error) {
	b := &Book{p: p, state: State{Mode: Off}}
	err := p.DB.View(ctx, func(tx *store.Tx) error {
		var confirm, since int64
		var text string
		err := tx.QueryRow(`SELECT mode, confirm, since, name, reason, plan FROM plan_applied`).Scan(&b.state.Mode, &confirm, &since, &b.state.By, &b.state.Reason, &text)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err == nil && text != "" {
			err = json.Unmarshal([]byte(text), &b.applied)
		}
		b.state.Since, b.state.Digest = time.UnixMicro(since).UTC(), b.applied.Digest
		if confirm != 0 {
			b.state.Confirm = time.UnixMicro(confirm).UTC()
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("firewall plan: %w", err)
	}
	return b, nil
}

// Compute is the plan as it would be now.
func (b *Book) Compute(ctx context.Context) (Plan, error) {
	s, err := b.p.Sources(ctx)
	if err != nil {
		return Plan{}, err
	}
	return Compute(s), nil
}

// State says how the plan stands.
func (b *Book) State(ctx context.Context) (State, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.state
	now, err := b.Compute(ctx)
	if err != nil {
		return s, err
	}
	s.Current = now.Digest
	f, err := b.p.Firewall.State(ctx)
	if err != nil {
		s.Why = err.Error()
		return s, nil
	}
	s.Applied, s.Why, s.Counters = f.Applied, f.Why, map[string]firewall.Count{}
	for _, name := range append([]string{"allowed", "closed"}, names(b.applied.Zones)...) {
		if n, ok := f.Counters["plan "+name]; ok {
			s.Counters[name] = n
		}
	}
	return s, nil
}

func names(zones []Zone) (out []string) {
	for _, z := range zones {
		out = append(out, z.Name)
	}
	return out
}

// Apply puts the plan in shadow, enforces it until it is confirmed, or takes it out.
func (b *Book) Apply(ctx context.Context, o Order) (State, error) {
	rq, err := o.Request.Check()
	if err != nil {
		return State{}, err
	}
	o.Request = rq
	ctx = context.WithoutCancel(ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	var p Plan
	if o.Mode != Off {
		if p, err = b.ordered(ctx, o); err != nil {
			return b.state, err
		}
	}
	now := time.Now()
	next := State{Mode: o.Mode, Since: now.UTC(), By: rq.By, Reason: rq.Reason, Digest: p.Digest}
	if o.Mode == Enforce {
		next.Confirm = now.Add(ConfirmWithin).UTC()
	}
	return b.turn(ctx, next, p, rq)
}

// ordered is the plan that a person has read, with their own way here in it. It
// needs mu.
func (b *Book) ordered(ctx context.Context, o Order) (Plan, error) {
	s, err := b.p.Sources(ctx)
	if err != nil {
		return Plan{}, err
	}
	read := Compute(s)
	switch {
	case o.Mode != Shadow && o.Mode != Enforce:
		return Plan{}, fmt.Errorf("%w: mode %.20q: expected off, shadow or enforce", custody.ErrRequest, o.Mode)
	case o.Digest == "":
		return Plan{}, fmt.Errorf("%w: which plan? read it, and name its digest (cordon plan show; --digest)", custody.ErrRequest)
	case o.Digest != read.Digest:
		return Plan{}, fmt.Errorf("%w since it was read as %.32s: it is %s now; read it again (cordon plan show)", ErrChanged, o.Digest, read.Digest)
	case len(s.Zones) == 0:
		return Plan{}, fmt.Errorf("%w: there are no zones, so that a plan would stop nothing; write plan.zones in the configuration", ErrState)
	case o.Mode == Enforce && len(s.Gateway) == 0:
		return Plan{}, fmt.Errorf("%w: this machine has no address that modalities could reach", ErrState)
	}
	if o.From.IsValid() && !o.From.IsLoopback() {
		s.Management = append(s.Management, host(o.From))
		own := Compute(s)
		own.Digest = read.Digest // it is what was read, and who read it
		return own, nil
	}
	return read, nil
}

// turn makes a state durable and then true; if it cannot be, it is as before. It
// needs mu.
func (b *Book) turn(ctx context.Context, next State, p Plan, rq custody.Request) (State, error) {
	before, was := b.state, b.applied
	if err := b.write(ctx, next, p, kinds[next.Mode], rq); err != nil {
		return before, fmt.Errorf("the plan is not changed, since that could not be recorded: %w", err)
	}
	b.state, b.applied = next, p
	if err := b.set(ctx); err != nil {
		b.state, b.applied = before, was
		undo := custody.Request{By: rq.By, Reason: "it could not be applied: " + err.Error()}
		return before, errors.Join(fmt.Errorf("the plan cannot be applied: %w", err), b.write(ctx, before, was, "plan.undone", undo), b.set(ctx))
	}
	return b.state, nil
}

var kinds = map[Mode]string{Off: "plan.off", Shadow: "plan.shadow", Enforce: "plan.enforced"}

// Confirm says that whoever enforced the plan still reaches what they have to.
func (b *Book) Confirm(ctx context.Context, rq custody.Request) (State, error) {
	rq, err := rq.Check()
	if err != nil {
		return State{}, err
	}
	ctx = context.WithoutCancel(ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state.Mode != Enforce || b.state.Confirm.IsZero() {
		return b.state, fmt.Errorf("%w: no plan waits to be confirmed", ErrState)
	}
	if !time.Now().Before(b.state.Confirm) {
		return b.state, fmt.Errorf("%w: it was undone at %s, since nobody confirmed it; enforce it again", ErrState, b.state.Confirm.Format(time.RFC3339))
	}
	next := b.state
	next.Confirm = time.Time{}
	before := b.state
	if err := b.write(ctx, next, b.applied, "plan.confirmed", rq); err != nil {
		return b.state, err
	}
	b.state = next
	if err := b.set(ctx); err != nil {
		b.state = before
		return before, errors.Join(err, b.write(ctx, before, b.applied, "plan.undone", custody.Request{By: rq.By, Reason: err.Error()}))
	}
	return b.state, nil
}

// set has the firewall be as the state says. It needs mu.
func (b *Book) set(ctx context.Context) error {
	var p *firewall.Plan
	switch {
	case b.state.Mode == Shadow:
		p = b.applied.firewall(firewall.Shadow, time.Time{})
	case b.state.Mode == Enforce:
		p = b.applied.firewall(firewall.Enforce, b.state.Confirm)
	case len(b.p.Closed) > 0:
		p = &firewall.Plan{Mode: firewall.Shadow, Closed: b.p.Closed}
	}
	return b.p.Firewall.Change(ctx, func(r *firewall.Ruleset) { r.Plan = p })
}

// Restore has the firewall be as it was before this run. That it cannot be done is
// no reason not to start.
func (b *Book) Restore(ctx context.Context) error {
	b.lapse(ctx, time.Now())
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state.Mode == Off && len(b.p.Closed) == 0 {
		return nil
	}
	if err := b.set(ctx); err != nil {
		b.p.Log.Error("the firewall plan is not applied", "mode", b.state.Mode, "error", err)
	}
	return nil
}

// Run undoes what nobody has confirmed, until ctx ends. If nobody runs it, the
// kernel does.
func (b *Book) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			b.lapse(ctx, now)
		}
	}
}

// lapse puts an enforced plan that nobody has confirmed in time back into shadow.
func (b *Book) lapse(ctx context.Context, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state.Mode != Enforce || b.state.Confirm.IsZero() || now.Before(b.state.Confirm) {
		return
	}
	next := b.state
	next.Mode, next.Confirm = Shadow, time.Time{}
	if err := b.write(ctx, next, b.applied, "plan.undone", custody.Request{Reason: "nobody confirmed it within two minutes"}); err != nil {
		b.p.Log.Error("the end of an enforced plan could not be recorded; it is tried again", "error", err)
		return
	}
	b.state = next
	b.p.Log.Warn("nobody confirmed the firewall plan: it is in shadow again")
	if err := b.set(ctx); err != nil && ctx.Err() == nil {
		b.p.Log.Error("the firewall plan is not in shadow; what it stopped passes, since the kernel has ended it", "error", err)
	}
}

// write makes a state durable, with its record.
func (b *Book) write(ctx context.Context, s State, p Plan, kind string, rq custody.Request) error {
	text := []byte{}
	if s.Mode != Off {
		p.Breaks, p.Unused = nil, nil // what was seen is another every day
		var err error
		if text, err = json.Marshal(p); err != nil {
			return err
		}
	}
	confirm := int64(0)
	if !s.Confirm.IsZero() {
		confirm = s.Confirm.UnixMicro()
	}
	return b.p.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO plan_applied (id, mode, confirm, since, name, reason, plan) VALUES (1, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET mode = excluded.mode, confirm = excluded.confirm, since = excluded.since, name = excluded.name, reason = excluded.reason, plan = excluded.plan`,
			string(s.Mode), confirm, s.Since.UnixMicro(), s.By, s.Reason, string(text))
		if err != nil {
			return err
		}
		body := map[string]any{"mode": string(s.Mode), "reason": rq.Reason, "rules": len(p.Rules)}
		if rq.By != "" {
			body["by"] = []string{rq.By}
		}
		if p.Digest != "" {
			body["digest"] = p.Digest
		}
		if s.Mode == Enforce && !s.Confirm.IsZero() {
			body["until"] = s.Confirm.Format(time.RFC3339)
		}
		return b.p.Journal.Append(tx, kind, body)
	})
}
