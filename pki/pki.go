// Package pki is a private certificate authority for hospitals that have none: it
// certifies the gateway and the devices, renews, revokes, and keeps the revocation
// list up to date.
//
// Ordinary use:
//
//	p, err := pki.Open(ctx, db, ledger, filepath.Join(dir, "pki"))
//	_, err = p.Init(ctx, pki.InitRequest{Site: "Example Hospital", By: "Ada Ashe"})
//	_, err = p.Gateway(ctx, pki.Request{Hosts: []string{"10.20.0.10"}, By: "Ada Ashe"})           // gateway.pem, gateway.key
//	issued, err := p.Enrol(ctx, pki.Request{Name: "ct-1", CSR: csr, By: "Ada Ashe"})              // the device keeps its key
//	_, err = p.Revoke(ctx, pki.RevokeRequest{Name: "ct-1", By: "Ada Ashe", Reason: "stolen"})
//	go p.Run(ctx, log)                                                                            // signs the list anew each day
//
// In the directory are ca.pem and crl.pem, which TLS listeners are given;
// gateway.pem and gateway.key; and the authority's key, in PKCS #8, readable by its
// owner alone and not encrypted, since the list must be signed without a person.
// Whoever reads that key can make certificates: a hospital that wants more runs
// these commands on a machine without a network, with a data directory of its own,
// and carries ca.pem and crl.pem over.
//
// # Life of a certificate
//
// Issued: signed in memory; its row and its record on the ledger are one
// transaction, and only then is it given away. It is valid for two years at the
// most and never longer than its authority. Renewed: another one of the same name,
// while the old one stays valid until its end, so that the device can change when it
// is switched off anyway. Revoked: row and record first, then the list. If the power
// fails between them, Open signs the list that the rows ask for, and writes whatever
// else the directory lacks; but for the keys, which it cannot make up.
//
// It will not keep devices' keys, decide who may connect (policy does, by the
// fingerprints that List gives), or publish lists over the network.
package pki

import (
	"context"
	"crypto/x509"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode"

	"cordon/dicom/secure"
	"cordon/store"
)

var (
	// ErrRequest means that a request lacks something, or asks for too much.
	ErrRequest = errors.New("request is not complete")
	// ErrState means that it cannot be done as things are.
	ErrState = errors.New("not possible now")
)

// Journal records in the transaction that it is given. A ledger is one.
type Journal interface {
	Append(tx *store.Tx, kind string, body any) error
}

// Kind is what a certificate is for.
type Kind string

const (
	Authority Kind = "authority"
	Gateway   Kind = "gateway" // Cordon itself, to devices and to archives
	Device    Kind = "device"
)

// GatewayName is the name of the gateway's own certificate.
const GatewayName = "gateway"

// State is what has become of a certificate.
type State string

const (
	Valid   State = "valid"
	Revoked State = "revoked"
	Ended   State = "ended" // its time is over
)

// Certificate is one that was issued.
type Certificate struct {
	Name        string    `json:"name"`
	Kind        Kind      `json:"kind"`
	State       State     `json:"state"`
	Fingerprint string    `json:"fingerprint"` // SHA-256, as devices[].certificate takes it
	Serial      string    `json:"serial"`      // hexadecimal
	NotBefore   time.Time `json:"not_before"`
	NotAfter    time.Time `json:"not_after"`
	Hosts       []string  `json:"hosts,omitempty"`
	RevokedAt   time.Time `json:"revoked_at,omitzero"`
	Reason      string    `json:"reason,omitempty"`

	id, issuer int64
	cert       *x509.Certificate
}

// PKI is the authority of one data directory. It is safe for concurrent use.
type PKI struct {
	db      *store.DB
	journal Journal
	dir     string

	mu      sync.Mutex // one change at a time
	problem error      // of the files; nil: they are what the rows say
}

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations makes this package's table.
func Migrations() store.Migrations { return store.Embedded("pki", migrations) }

// Open puts right what the directory lacks. Files that cannot be put right are no
// error but a Problem: imaging does not wait for them.
func Open(ctx context.Context, db *store.DB, j Journal, dir string) (*PKI, error) {
	p := &PKI{db: db, journal: j, dir: dir}
	if _, err := p.authority(ctx); errors.Is(err, ErrState) {
		return p, nil // none yet
	} else if err != nil {
		return nil, fmt.Errorf("opening pki: %w", err)
	}
	p.settle(ctx)
	return p, nil
}

// Problem says what is wrong with the authority's files, or "".
func (p *PKI) Problem() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.problem == nil {
		return ""
	}
	return p.problem.Error()
}

// List returns the certificates, the oldest first: those that are valid, or with
// all every one.
func (p *PKI) List(ctx context.Context, all bool) ([]Certificate, error) {
	every, err := p.rows(ctx)
	if err != nil {
		return nil, err
	}
	var out []Certificate
	for _, c := range every {
		if all || c.State == Valid {
			out = append(out, c)
		}
	}
	return out, nil
}

// Ending returns the newest valid certificate of each name if it ends within d.
func (p *PKI) Ending(ctx context.Context, d time.Duration) ([]Certificate, error) {
	valid, err := p.List(ctx, false)
	if err != nil {
		return nil, err
	}
	newest := map[string]Certificate{}
	for _, c := range valid {
		if c.NotAfter.After(newest[c.key()].NotAfter) {
			newest[c.key()] = c
		}
	}
	var out []Certificate
	for _, c := range valid {
		if newest[c.key()].Serial == c.Serial && time.Until(c.NotAfter) < d {
			out = append(out, c)
		}
	}
	return out, nil
}

func (c Certificate) key() string { return string(c.Kind) + " " + c.Name }

// runEvery is how often Run looks.
const runEvery = time.Minute

// Run keeps the files as the rows say and signs the list anew each day, until ctx
// ends.
func (p *PKI) Run(ctx context.Context, log *slog.Logger) error {
	tick := time.NewTicker(runEvery)
	defer tick.Stop()
	said := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if _, err := p.authority(ctx); err != nil {
			continue // none yet
		}
		p.mu.Lock()
		p.settle(ctx)
		p.mu.Unlock()
		if why := p.Problem(); why != said && ctx.Err() == nil {
			said = why
			if why != "" {
				log.Error("the certificate authority needs a person", "error", why)
			}
		}
	}
}

// nameText is what a certificate's holder may be called, as devices in the
// configuration.
var nameText = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// The longest texts of a request, in bytes.
const (
	maxBy     = 200
	maxReason = 2000
)

// checkBy returns who asks, checked.
func checkBy(by string) (string, error) {
	by = strings.Join(strings.Fields(by), " ")
	switch {
	case by == "":
		return "", fmt.Errorf("%w: who asks? a name is needed (--as NAME)", ErrRequest)
	case len(by) > maxBy || strings.ContainsFunc(by, unicode.IsControl):
		return "", fmt.Errorf("%w: a name has at most %d bytes and no control characters", ErrRequest, maxBy)
	}
	return by, nil
}

// describe is what the ledger holds of a certificate.
func (c Certificate) describe(by string) map[string]any {
	body := map[string]any{
		"name": c.Name, "kind": string(c.Kind), "fingerprint": c.Fingerprint, "serial": c.Serial,
		"not_after": c.NotAfter.UTC().Format(time.RFC3339), "by": by,
	}
	if len(c.Hosts) > 0 {
		body["hosts"] = c.Hosts
	}
	return body
}

// certificate is c as this package tells of it.
func certificate(kind Kind, name string, c *x509.Certificate) Certificate {
	out := Certificate{
		Name: name, Kind: kind, State: Valid, Fingerprint: secure.Fingerprint(c), Serial: c.SerialNumber.Text(16),
		NotBefore: c.NotBefore, NotAfter: c.NotAfter, cert: c,
	}
	if time.Now().After(c.NotAfter) {
		out.State = Ended
	}
	for _, ip := range c.IPAddresses {
		out.Hosts = append(out.Hosts, ip.String())
	}
	out.Hosts = append(out.Hosts, c.DNSNames...)
	return out
}
