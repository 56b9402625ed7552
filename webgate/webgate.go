// Package webgate is the DICOMweb server in front of the archives (PS3.18):
// STOW-RS, WADO-RS, WADO-URI, QIDO-RS, and UPS-RS by allow-list. What comes in
// and what goes out is judged whole by the same judge as over DIMSE, and kept by
// the same custody.
//
//	s, err := webgate.New(ctx, config, webgate.Parts{DB: db, Custody: c, Ledger: l, Judge: j, Exceptions: x, Log: log, Who: identify})
//	err = s.Serve(ctx, listener, nil) // until ctx ends
//
// An archive that speaks DICOMweb is asked over HTTP, one that speaks DIMSE
// alone through Archives. Nothing is proxied as it is: a request is parsed, and
// made anew from what was understood; of an answer only what was parsed, judged
// and is known to be what it claims goes on. Paths and methods that are not
// listed do not exist, so nothing of a vendor's own is ever reached.
//
// # Life of a request
//
// Its path and method are read, then who sends it (Identify) and what policy
// says of that. Its visit is durable on the ledger before anything is done:
// requests of one peer that follow each other within a minute are one visit,
// which is to HTTP what an association is to DIMSE. A request that is refused is
// answered with a body that says why, and recorded.
//
// # Life of an object that is stored
//
// Each part of a STOW-RS request is received into a custody buffer and through a
// judgement, both at once. Then:
//
//   - admit: it goes to the archive, with a few others of its request, and the
//     archive's answer to the sender. If the archive fails, it is made durable
//     here, reported as stored, and delivered later by the gateway.
//   - hold: durable in custody, and reported as failed with a code of our own:
//     over the web a refusal is open.
//   - refuse: reported as failed; nothing is kept.
//
// # Life of an object that is retrieved
//
// It is received from the archive into a buffer and judged whole, and so is
// every other object of the request, before the response begins. What is held is
// kept in custody, left out, and named; the status is then 206. Metadata, frames
// and bulk data are made from what was judged.
//
// It will not decide what is harmful (package judge does) or who may do what
// (package policy), and it knows no configuration file.
package webgate

import (
	"cmp"
	"context"
	"crypto/tls"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"cordon/asset"
	"cordon/custody"
	"cordon/dicom/web"
	"cordon/exception"
	"cordon/judge"
	"cordon/ledger"
	"cordon/metric"
	"cordon/policy"
	"cordon/query"
	"cordon/quota"
	"cordon/store"
)

// Upstream is an archive that serves web requests.
type Upstream struct {
	Name       string
	Web        *web.Client // nil: it is asked through Parts.Archives
	SpoolFirst bool        // objects are made durable here and delivered later; nobody waits for the archive
	RefuseDown bool        // while it is away nothing is kept for it: senders are asked to try again
}

// Config is what a Server needs to know. Zero limits mean the defaults that are
// given beside them.
type Config struct {
	Site      func() policy.Site
	Upstreams []Upstream // those of the site's archives, by name
	Base      string     // path of the services, without a slash at its end; /dicom-web
	URI       string     // path of WADO-URI; /wado

	TLS *tls.Config // of every connection; nil: plain HTTP

	MaxConnections int           // at a time; 512
	MaxPerAddress  int           // connections at a time from one address (IPv6: /64 network); 64
	MaxRequests    int           // at a time; 128, a quarter of them from one address. The next are told to come back (503)
	MaxStores      int           // STOW-RS requests among them at a time; 32
	MaxObject      int64         // bytes of one object; 16 GiB
	MaxBody        int64         // bytes of one request; 256 GiB
	MaxHeader      int           // bytes of a request's line and header; 32 KiB
	HeaderTimeout  time.Duration // to send them; 10 s
	Stall          time.Duration // for a peer or an archive to move another byte; 30 s
	MaxAhead       int64         // bytes of one response that are judged before it begins; 8 GiB. Beyond, a hold breaks it off

	Query      query.Rules // what may be asked
	MaxMatches int         // results of one QIDO-RS request; 5,000. The rest is for the next page

	RetryMin time.Duration // how long an archive rests that failed; 2 s. Doubled each time
	RetryMax time.Duration // at the most; 30 s
	Quiet    time.Duration // after which a visit is over; 1 min
	Grace    time.Duration // for requests under way when the server stops; 10 s
}

// Parts are what a Server works with. All but Archives, the functions beside
// Who, and Metrics are required.
type Parts struct {
	DB         *store.DB
	Custody    *custody.Custody
	Ledger     *ledger.Ledger
	Judge      *judge.Judge
	Exceptions *exception.Exceptions
	Log        *slog.Logger
	Who        Identify

	Archives Archives                                                 // nil: archives speak DICOMweb, all of them
	Wake     func()                                                   // something was spooled; nil: its deliverer looks by itself
	Bypassed func(device, callingAE string) bool                      // inspection's verdict is set aside; nil: never
	Passed   func(b *custody.Buffer, o custody.Object, bypassed bool) // passed unscanned or bypassed; b is valid during the call; may be nil
	Paranoid func(device string, at netip.Addr) bool                  // what it stores is held to the strictest rules and scanned before it is delivered; nil: never
	Observe  func(asset.Observation)                                  // told of everything that a device does; must be quick; nil: nobody wants to know
	Metrics  *metric.Metrics
}

// Server answers web requests. Make one with New.
type Server struct {
	config     Config
	parts      Parts
	routes     []route
	upstreams  map[string]*upstream     // by name
	seats      *quota.Crowd[netip.Addr] // requests under way, by address
	storing    chan struct{}            // one taken by each that stores
	loose      atomic.Int64             // bytes of metadata that those have in memory
	refusals   *quota.Quota             // that have a record of their own
	objections *quota.Quota             // what shadow let pass
	visits     visits
	shelf      *shelf
}

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations are the server's tables.
func Migrations() store.Migrations { return store.Embedded("webgate", migrations) }

// New makes a Server and records on the ledger the visits that a crash cut
// short.
func New(ctx context.Context, c Config, p Parts) (*Server, error) {
	if c.Site == nil || p.Who == nil {
		return nil, errors.New("webgate: a site and a way to tell who asks are needed")
	}
	for _, u := range c.Upstreams {
		if u.Web == nil && p.Archives == nil {
			return nil, fmt.Errorf("webgate: archive %s speaks no DICOMweb, and there is no way to it over DIMSE", u.Name)
		}
	}
	c = c.withDefaults()
	s := &Server{
		config:     c,
		parts:      p,
		routes:     routes(),
		upstreams:  map[string]*upstream{},
		seats:      quota.NewCrowd[netip.Addr]((c.MaxRequests+3)/4, c.MaxRequests),
		storing:    make(chan struct{}, c.MaxStores),
		refusals:   quota.New(maxRefusals, refusalInterval),
		objections: quota.New(maxRefusals, refusalInterval),
		shelf:      newShelf(),
	}
	s.visits = visits{s: s, open: map[caller]*visit{}}
	for _, u := range c.Upstreams {
		s.upstreams[u.Name] = &upstream{Upstream: u, archives: p.Archives, min: c.RetryMin, max: c.RetryMax}
	}
	if err := s.recordUnfinished(ctx); err != nil {
		return nil, fmt.Errorf("webgate: recording visits cut short: %w", err)
	}
	return s, nil
}

func (c Config) withDefaults() Config {
	c.Base = cmp.Or(c.Base, "/dicom-web")
	c.URI = cmp.Or(c.URI, "/wado")
	c.MaxConnections = cmp.Or(c.MaxConnections, 512)
	c.MaxPerAddress = cmp.Or(c.MaxPerAddress, 64)
	c.MaxRequests = cmp.Or(c.MaxRequests, 128)
	c.MaxStores = cmp.Or(c.MaxStores, 32)
	c.MaxObject = cmp.Or(c.MaxObject, 16<<30)
	c.MaxBody = cmp.Or(c.MaxBody, 256<<30)
	c.MaxHeader = cmp.Or(c.MaxHeader, 32<<10)
	c.HeaderTimeout = cmp.Or(c.HeaderTimeout, 10*time.Second)
	c.Stall = cmp.Or(c.Stall, 30*time.Second)
	c.MaxAhead = cmp.Or(c.MaxAhead, 8<<30)
	c.MaxMatches = cmp.Or(c.MaxMatches, 5000)
	c.RetryMin = cmp.Or(c.RetryMin, 2*time.Second)
	c.RetryMax = cmp.Or(c.RetryMax, 30*time.Second)
	c.Quiet = cmp.Or(c.Quiet, time.Minute)
	c.Grace = cmp.Or(c.Grace, 10*time.Second)
	return c
}
