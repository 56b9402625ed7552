// Package transparent is the way of devices whose configuration nobody may touch:
// they go on calling their archive, and on the router that this machine is their
// connections are led to Cordon (TPROXY), which knows by the address that was
// called which archive was meant.
//
// Ordinary use:
//
//	m, err := transparent.Open(ctx, c, transparent.Parts{DB: db, Journal: ledger, Past: past, Firewall: f, Log: log})
//	ls, err := transparent.Listen(ctx, c.Port)             // for gateway.ServeTransparent
//	err = m.Restore(ctx)                                   // before ready: as it was switched
//	go m.Run(ctx)
//	err = m.On(ctx, custody.Request{By: "A. Able", Reason: "…"})
//
// # Life of the mode
//
// On puts the decision on the ledger, then the routes and the redirects in
// place; if they cannot be, it is off again, and that is on the ledger too. Run
// looks after it: each redirect lasts some seconds by itself unless it is made to
// (firewall does), so that a Cordon that hangs is passed by. One that is dead is
// passed at once, since nobody listens where the redirect leads. One that is asked
// to stop has what comes in the next seconds wait (Pause), so that nothing went past
// one that is back by then. What somebody else took away is put back, and said.
// After a restart the mode is as it was switched; the time between is on the ledger
// as one in which images went past Cordon, and an alarm until a person has reviewed
// it. Where the site has chosen that nothing passes without Cordon, the rules stand
// without an end, and what finds nobody is dropped. Off undoes all of it, and
// touches nothing else.
//
// It needs packets of both directions to pass this machine, and cannot see inside
// TLS. It reads no DICOM (the gateway does), and writes no rules of nftables
// (firewall does): only one rule and one route of the routing tables, for each
// version of IP, that are told by their numbers.
package transparent

import (
	"cmp"
	"context"
	"embed"
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
	// ErrState means that the mode is switched so already, or cannot be.
	ErrState = errors.New("not possible now")
	// ErrOff means that the configuration has no transparent mode.
	ErrOff = fmt.Errorf("%w: this Cordon has no transparent mode; write gateway.transparent in its configuration (docs/transparent.md)", ErrState)
)

// Config is what a Mode needs to know.
type Config struct {
	Port     uint16         // of the listener, on the loopback addresses
	From     []netip.Prefix // the devices
	Archives []Archive      // whose connections are led here
	Stop     bool           // what finds no Cordon is dropped; else it goes to the archive
	Lapses   time.Duration  // of a redirect without Cordon; 0: 6 s
}

// Archive is one whose connections are led here, as devices call it.
type Archive struct {
	Name string
	To   netip.AddrPort
}

// Firewall is where the redirects are rules, and are made to last.
type Firewall interface {
	Change(ctx context.Context, change func(*firewall.Ruleset)) error
	State(ctx context.Context) (firewall.State, error)
}

// Journal records in the transaction that it is given. A ledger is one.
type Journal interface {
	Append(tx *store.Tx, kind string, body any) error
}

// Past is told of the times in which images went past Cordon.
type Past interface {
	Passed(archive string, to netip.AddrPort, since, until time.Time) error
}

// Parts are what a Mode works with. All are required.
type Parts struct {
	DB       *store.DB
	Journal  Journal
	Past     Past
	Firewall Firewall
	Log      *slog.Logger
}

// Mode is transparent mode. It is safe for concurrent use.
type Mode struct {
	c Config
	p Parts

	mu     sync.Mutex // of what follows, and of every change
	state  State
	paused bool // this Cordon takes nothing any more
}

// State is how the mode stands.
type State struct {
	On       bool      `json:"on"`
	Since    time.Time `json:"since,omitzero"`
	By       string    `json:"by,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Works    bool      `json:"works"`           // the rules and routes are in place
	Error    string    `json:"error,omitempty"` // why not
	From     []string  `json:"from"`
	Archives []string  `json:"archives"` // NAME at ADDRESS:PORT
	WhenDead string    `json:"when_dead"`

	alive time.Time // until when nothing went past, as far as is known
}

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations makes this package's table.
func Migrations() store.Migrations { return store.Embedded("transparent", migrations) }

// Open reads how the mode is switched. It changes nothing.
func Open(ctx context.Context, c Config, p Parts) (*Mode, error) {
	m := &Mode{c: c, p: p, state: State{WhenDead: "remove"}}
	if c.Stop {
		m.state.WhenDead = "stop"
	}
	for _, f := range c.From {
		m.state.From = append(m.state.From, f.String())
	}
	for _, a := range c.Archives {
		m.state.Archives = append(m.state.Archives, fmt.Sprintf("%s at %s", a.Name, a.To))
	}
	if err := m.read(ctx); err != nil {
		return nil, fmt.Errorf("transparent mode: %w", err)
	}
	return m, nil
}

// State says how the mode stands.
func (m *Mode) State() State {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state
}

// Archive is the one whose address a device called.
func (c Config) Archive(called netip.AddrPort) (name string, ok bool) {
	called = netip.AddrPortFrom(called.Addr().Unmap(), called.Port())
	for _, a := range c.Archives {
		if a.To == called {
			return a.Name, true
		}
	}
	return "", false
}

// defaultLapses is how long a Cordon that hangs is waited for.
const defaultLapses = 6 * time.Second

// lapses is how long a redirect lasts without Cordon; 0: for ever.
func (m *Mode) lapses() time.Duration {
	if m.c.Stop {
		return 0
	}
	return cmp.Or(m.c.Lapses, defaultLapses)
}

// redirects are those of the configuration, by archive and version of IP.
func (m *Mode) redirects() []firewall.Redirect {
	var out []firewall.Redirect
	for _, a := range m.c.Archives {
		r := firewall.Redirect{ID: a.Name + " " + a.To.String(), To: a.To, Port: m.c.Port, Lapses: m.lapses()}
		for _, f := range m.c.From {
			if f.Addr().Is4() == a.To.Addr().Is4() {
				r.From = append(r.From, f)
			}
		}
		if len(r.From) > 0 {
			out = append(out, r)
		}
	}
	return out
}

// routes are what the marks of these redirects need.
func (m *Mode) routes() Routes { return Routes{Mark: firewall.DefaultMark, Mask: 0xffffffff} }

// set puts everything in place.
func (m *Mode) set(ctx context.Context) error {
	if err := m.routes().Set(); err != nil {
		return err
	}
	return m.p.Firewall.Change(ctx, func(r *firewall.Ruleset) { r.Redirects = m.redirects() })
}

// unset undoes it: the redirects first, so that nothing is led nowhere.
func (m *Mode) unset(ctx context.Context) error {
	return errors.Join(m.p.Firewall.Change(ctx, func(r *firewall.Ruleset) { r.Redirects = nil }), m.routes().Unset())
}

// On switches the mode on.
func (m *Mode) On(ctx context.Context, rq custody.Request) (State, error) {
	rq, err := rq.Check()
	if err != nil {
		return State{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case len(m.c.Archives) == 0:
		return m.state, ErrOff
	case m.state.On && m.state.Works:
		return m.state, fmt.Errorf("%w: transparent mode is on already, since %s", ErrState, m.state.Since.UTC().Format(time.RFC3339))
	}
	now := time.Now()
	if err := m.write(ctx, true, now, rq, "transparent.on", nil); err != nil {
		return m.state, err
	}
	if err := m.set(ctx); err != nil {
		err = errors.Join(err, m.unset(ctx), m.write(ctx, false, now, rq, "transparent.off", err))
		return m.state, fmt.Errorf("transparent mode cannot be switched on: %w", err)
	}
	m.works(nil)
	return m.state, nil
}

// Off switches the mode off, and undoes what On did.
func (m *Mode) Off(ctx context.Context, rq custody.Request) (State, error) {
	rq, err := rq.Check()
	if err != nil {
		return State{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.state.On {
		return m.state, fmt.Errorf("%w: transparent mode is off", ErrState)
	}
	if err := m.unset(ctx); err != nil {
		return m.state, fmt.Errorf("transparent mode cannot be switched off: %w", err)
	}
	if err := m.write(ctx, false, time.Now(), rq, "transparent.off", nil); err != nil {
		return m.state, err
	}
	m.works(nil)
	m.state.Works = false
	return m.state, nil
}

// works needs mu.
func (m *Mode) works(err error) {
	m.state.Works, m.state.Error = err == nil, ""
	if err != nil {
		m.state.Error = err.Error()
	}
}
