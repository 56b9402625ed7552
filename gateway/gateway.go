// Package gateway is where every image passes, and every other message of
// DIMSE. It accepts associations from modalities, proposes the same contexts to
// the archives that serve them, judges each object whole before its first byte
// goes on, and delivers it, holds it, or keeps it until the archive is back.
// What archives answer and send is judged on its way out in the same way.
//
//	g, err := gateway.New(config, gateway.Parts{DB: db, Custody: c, Ledger: l, Judge: j, Exceptions: x, Log: log})
//	go g.Deliver(ctx)            // what was kept while an archive was away
//	err = g.Serve(ctx, listener) // until ctx ends
//
// # Life of an association
//
// Accepted within the limits, read within ARTIM, admitted by policy. Its
// intent is durable on the ledger before it is answered. The admitted contexts
// are proposed to the archives that serve them, one link to each, under the
// modality's own AE title, and the modality is answered with what they
// accepted, so nothing is ever transcoded. If an archive is away, only contexts
// that it accepted before are accepted, or uncompressed ones. One goroutine
// reads each side; where operations overlap, each has one of its own. The end
// is recorded; an association that has none was cut by a crash, which the next
// start records.
//
// An association that an archive opens, to send objects to a device, is the
// same with the sides changed: its one link leads to the device.
//
// # Life of an object
//
// Received into a custody buffer and through a judgement, both at once. Then:
//
//   - admit: the same bytes go to the archive, and its status to the modality.
//     If the archive fails, the object is made durable here, answered with
//     success, and delivered later.
//   - hold: durable in custody, then answered with success, so that the rest
//     of the study goes on.
//   - refuse: answered with a failure status; nothing is kept.
//
// On its way out, to a C-GET or a device, an object is admitted, and the
// device's status is the archive's answer; or it is held, and whoever retrieves
// it is told that it failed, so that nobody takes the study for complete.
//
// # Life of another operation
//
// Its data set, a few MiB at most, is read into memory, judged and relayed
// under a message id of the other side's. Each response is judged before it
// goes on. One that is held is left out, and the final status says so.
//
// Nothing is answered with success before it is durable somewhere. An object
// whose sender goes away before its last byte was never acknowledged and is
// dropped.
//
// It will not decide what is harmful (package judge does), and it knows no
// configuration file.
package gateway

import (
	"context"
	"crypto/tls"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"cordon/asset"
	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/ul"
	"cordon/exception"
	"cordon/judge"
	"cordon/ledger"
	"cordon/metric"
	"cordon/policy"
	"cordon/quota"
	"cordon/store"
)

// Upstream is an archive that objects are delivered to.
type Upstream struct {
	Name    string
	AETitle dicom.AETitle
	Address string                                  // host:port
	TLS     func() *tls.Config                      // asked for each connection; nil: plain TCP
	Dial    func(context.Context) (net.Conn, error) // opens a connection that leads nowhere else, in Address's and TLS's stead; nil: TCP

	Delivery     Delivery      // when senders are answered; PassThrough
	Associations int           // that deliver from the spool at a time; 2
	Probe        time.Duration // an archive that nothing was heard of for so long is sent a C-ECHO; 1 min
	KeepIdle     time.Duration // for another session of the same device, before an association is released; 2 s, negative: not at all
}

func (u Upstream) withDefaults() Upstream {
	if u.Associations == 0 {
		u.Associations = 2
	}
	if u.Probe == 0 {
		u.Probe = time.Minute
	}
	if u.KeepIdle == 0 {
		u.KeepIdle = 2 * time.Second
	}
	return u
}

// Config is what a Gateway needs to know. Zero limits mean the defaults that
// are given beside them.
type Config struct {
	Site            policy.Site
	Upstreams       []Upstream                      // those of Site.Archives, by name
	MaxAssociations int                             // at a time, over all addresses; 256
	MaxPerAddress   int                             // at a time, from one address; 64
	MaxPerDevice    int                             // at a time, of one declared device; 64
	ConnectionRate  int                             // connections a second from one address; 50. Four times as many may come at once
	MaxObject       int64                           // bytes of one data set; 16 GiB. A longer one aborts the association
	OutletTLS       func(policy.Device) *tls.Config // towards a device's port, asked for each connection; nil, or if it returns nil: plain TCP
	Limits          ul.Limits                       // of each association, on both sides
	ConnectTimeout  time.Duration                   // to reach an archive and associate; 5 s
	ResponseTimeout time.Duration                   // for an archive to answer a C-STORE; 30 s. Then the object is kept and delivered later
	QueryTimeout    time.Duration                   // for an archive to answer another request, or to send the next match; 5 min
	RetrieveTimeout time.Duration                   // for an archive to say or send something while it performs a retrieve; 1 h
	Query           QueryConfig                     // what may be asked of the archives
	Unrecorded      bool                            // imaging goes on while the ledger cannot be written; each association is counted, and the ledger says later how many there were
	Grace           time.Duration                   // for objects under way when the gateway stops; 10 s
	RetryMin        time.Duration                   // first wait before an archive that failed is tried again; 2 s
	RetryMax        time.Duration                   // longest wait for one object; 5 min. An archive rests half a minute at the most
}

func (c Config) withDefaults() Config {
	if c.MaxAssociations == 0 {
		c.MaxAssociations = 256
	}
	if c.MaxPerAddress == 0 {
		c.MaxPerAddress = 64
	}
	if c.MaxPerDevice == 0 {
		c.MaxPerDevice = 64
	}
	if c.ConnectionRate == 0 {
		c.ConnectionRate = 50
	}
	if c.MaxObject == 0 {
		c.MaxObject = 16 << 30
	}
	c.Query = c.Query.withDefaults()
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.ConnectTimeout, 5 * time.Second},
		{&c.ResponseTimeout, 30 * time.Second},
		{&c.QueryTimeout, 5 * time.Minute},
		{&c.RetrieveTimeout, time.Hour},
		{&c.Grace, 10 * time.Second},
		{&c.RetryMin, 2 * time.Second},
		{&c.RetryMax, 5 * time.Minute},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return c
}

// Parts are what a Gateway works with. All but the functions are required.
type Parts struct {
	DB      *store.DB
	Custody *custody.Custody
	Ledger  *ledger.Ledger
	Judge   *judge.Judge
	Log     *slog.Logger

	Bypassed func(device, callingAE string) bool                      // inspection's verdict is set aside; nil: never
	Passed   func(b *custody.Buffer, o custody.Object, bypassed bool) // passed unscanned or bypassed; b is valid during the call; may be nil
	Paranoid func(device string, at netip.Addr) bool                  // what it sends is held to the strictest rules and scanned before it is delivered; nil: never

	Exceptions *exception.Exceptions

	Commitment Commitment // nil: storage commitment is not offered
	Steps      Steps      // nil: messages about procedure steps are not kept while their archive is away

	Observe func(asset.Observation) // told of everything that a device uses; must be quick; nil: nobody wants to know
	Devices func() []policy.Device  // declared now, instead of Site.Devices; nil: those
	Metrics *metric.Metrics         // may be nil
}

// Gateway guards the way to the archives. Make one with New.
type Gateway struct {
	config     Config
	parts      Parts
	since      time.Time
	door       *door
	seats      *seats
	callers    *quota.Crowd[string] // declared devices with an association, by name
	refusals   *quota.Quota
	queries    *quota.Quota
	objections *quota.Quota // what shadow let pass
	counts     counts
	turned     turned
	archives   map[string]*archive // by name
	outlets    outlets
	memory     *memory
	moves      moves
	live       live
	long       *longMessages
	selves     selves
	pool       *pool
	scanner    scanner
}

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations are the gateway's tables.
func Migrations() store.Migrations { return store.Embedded("gateway", migrations) }

// New makes a Gateway and records on the ledger the associations that a crash
// cut short.
func New(ctx context.Context, c Config, p Parts) (*Gateway, error) {
	if len(c.Site.Archives) == 0 {
		return nil, errors.New("gateway: no archive to deliver to")
	}
	g := &Gateway{
		config:   c.withDefaults(),
		parts:    p,
		since:    time.Now(),
		archives: map[string]*archive{},
		outlets:  newOutlets(),
		scanner:  scanner{wake: make(chan struct{}, 1)},
		memory:   newMemory(p.DB),
		moves:    newMoves(),
		live:     newLive(),
		long:     newLongMessages(maxLong, maxLongEach),
		pool:     newPool(),
	}
	g.refusals = quota.New(maxRefusals, refusalInterval)
	g.queries = quota.New(g.config.Query.PerMinute, time.Minute/time.Duration(g.config.Query.PerMinute))
	g.objections = quota.New(maxRefusals, refusalInterval)
	g.door = newDoor(g.config.ConnectionRate)
	g.callers = quota.NewCrowd[string](g.config.MaxPerDevice, g.config.MaxAssociations)
	g.seats = newSeats(g.config.MaxAssociations, g.config.MaxPerAddress)
	for _, a := range c.Site.Archives {
		u, ok := upstream(c.Upstreams, a.Name)
		if !ok {
			return nil, fmt.Errorf("gateway: archive %s has no address", a.Name)
		}
		g.archives[a.Name] = newArchive(u.withDefaults())
	}
	if err := g.memory.load(ctx); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	if err := g.forgetPeers(ctx, time.Now()); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	if err := g.recordUnfinished(ctx); err != nil {
		return nil, fmt.Errorf("gateway: recording associations cut short: %w", err)
	}
	return g, nil
}

func upstream(us []Upstream, name string) (Upstream, bool) {
	for _, u := range us {
		if u.Name == name {
			return u, true
		}
	}
	return Upstream{}, false
}

// site is who may do what.
func (g *Gateway) site() policy.Site {
	site := g.config.Site
	if g.parts.Devices != nil {
		site.Devices = g.parts.Devices()
	}
	return site
}

// Wake makes the deliverers look at the spool now, after a release.
func (g *Gateway) Wake() {
	for _, a := range g.archives {
		a.wakeUp()
	}
	g.outlets.wakeUp()
}
