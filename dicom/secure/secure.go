// Package secure is our end of TLS connections: the BCP 195 RFC 8996 TLS Secure
// Transport Connection Profile (PS3.15 §B.12), with certificates, authorities and
// revocation lists in files that are read again when they change.
//
// Ordinary use:
//
//	e, err := secure.Open(secure.Config{Name: "gateway.tls", Certificate: "gw.pem", Key: "gw.key", Authorities: "ca.pem", CRL: "crl.pem"})
//	nc := tls.Server(accepted, e.Server())            // reads the files anew for each handshake, if they have changed
//	a, err := ul.Dial(ctx, address, e.Client(), rq, l) // as they are now: ask for each connection
//	go e.Run(ctx)                                      // notices changes and ends without a handshake
//	why := secure.Why(err)                             // one short reason for a handshake that failed
//
// TLS 1.3 is used with whoever can, 1.2 with the others, nothing older; with TLS
// 1.2 the four ECDHE suites with AES in GCM alone; keys of RSA of 2048 bits or of
// elliptic curves of 256 bits at the least, signed with SHA-256 or better. A
// server with authorities asks every peer for a certificate of theirs.
//
// # Life of the files
//
// Certificate and key are one set, authorities and revocation lists another. At
// each handshake, and every few seconds between them, the files of a set are
// looked at. If they have changed, they are read and tried together: only a set
// that holds together (the key is the certificate's, each list is signed by one of
// the authorities) takes the place of the one in use; otherwise that stays, and
// the reason is a problem in Status until the files are right. Connections that
// are open are not touched. An end whose files were never right, since New does not
// wait for them, refuses every handshake until they are: it fails closed.
//
// No session is ever resumed, so that each connection meets the authorities and
// lists of its own time.
//
// It will not fetch lists or ask OCSP responders, change files, or admit anybody:
// which peer may do what is for policy to say.
package secure

import (
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"cordon/fresh"
)

// Config says where an Endpoint's files are. All are PEM; a revocation list may
// be DER.
type Config struct {
	Name        string       // how errors, records and people call this end, such as "gateway.tls"
	Certificate string       // our own, and what leads to its authority; a client may have none
	Key         string       // of Certificate
	Authorities string       // that peers' certificates must come from. A server without asks for none; a client without trusts the system's
	Optional    bool         // of a server with Authorities: a peer without a certificate is let in; one that shows a bad one is not
	CRL         string       // lists of those authorities; "": revocation is not checked
	RefuseStale bool         // refuse peers of an authority whose list is overdue or missing; otherwise only Status says so
	ServerName  string       // of a client: what the server's certificate must be for; "": the host that is dialled
	Notify      func(Change) // told when files have been replaced or cannot be used, also while New runs; must not block; may be nil
}

// Change is new content of files.
type Change struct {
	Endpoint    string
	What        string    // "certificate and key" or "authorities and revocation lists"
	Err         error     // why it is not used; nil: it is, from now on
	Closed      bool      // with Err: there is nothing before it that could stay in use, so every handshake is refused
	Fingerprint string    // of the new certificate
	NotAfter    time.Time // of the new certificate
}

// Endpoint is one end. It is safe for concurrent use.
type Endpoint struct {
	config Config
	mu     sync.Mutex // guards what the files hold
	own    *fresh.Files[tls.Certificate]
	trust  *fresh.Files[trust]
}

const (
	ownName   = "certificate and key"
	trustName = "authorities and revocation lists"
)

// Check says what is wrong with the choice of files, without a look at them.
func (c Config) Check() error {
	switch {
	case (c.Certificate == "") != (c.Key == ""):
		return errors.New("certificate and key belong together; name both files")
	case c.CRL != "" && c.Authorities == "":
		return errors.New("a revocation list needs the authorities that it is of; name their file")
	}
	return nil
}

// Open is New for files that have to be right at once. An error says what to do.
func Open(c Config) (*Endpoint, error) {
	e, err := New(c)
	if err != nil {
		return nil, err
	}
	if _, _, err := e.current(); err != nil {
		return nil, err.Err
	}
	return e, nil
}

// New reads the files for the first time. Files that cannot be used are a problem in
// Status, and close the end until they can. An error is that of Check.
func New(c Config) (*Endpoint, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	e := &Endpoint{config: c}
	if c.Certificate != "" {
		e.own = fresh.New(parsePair, fresh.File{What: "certificate", Path: c.Certificate}, fresh.File{What: "key", Path: c.Key})
	}
	if c.Authorities != "" {
		files := []fresh.File{{What: "authorities", Path: c.Authorities}}
		if c.CRL != "" {
			files = append(files, fresh.File{What: "revocation lists", Path: c.CRL})
		}
		e.trust = fresh.New(parseTrust, files...)
	}
	e.current()
	return e, nil
}

// parsePair reads a certificate and its key.
func parsePair(texts [][]byte) (tls.Certificate, error) {
	pair, err := tls.X509KeyPair(texts[0], texts[1])
	if err != nil {
		return pair, fmt.Errorf("certificate and key: %w; both are PEM files, and the key is the certificate's", err)
	}
	if why := weakness(pair.Leaf); why != "" {
		return pair, fmt.Errorf("certificate of %s: %s; the profile of PS3.15 §B.12 needs RSA of 2048 bits or an elliptic curve of 256 bits, and SHA-256", pair.Leaf.Subject, why)
	}
	return pair, nil
}

// FilesError is that of every handshake while there are files that were never right.
type FilesError struct {
	Endpoint string
	Err      error // what is wrong with the files
}

func (e *FilesError) Error() string {
	return fmt.Sprintf("%s is closed until its files are right: %v", e.Endpoint, e.Err)
}

// current looks at the files and returns what is in use, or that nothing may be.
func (e *Endpoint) current() (own *tls.Certificate, t *trust, closed *FilesError) {
	var changes []Change
	e.mu.Lock()
	now := time.Now()
	if e.own != nil {
		if e.own.Look(now); e.own.News() {
			changes = append(changes, e.change(ownName, e.own.Problem(), !e.own.Loaded()))
		}
		closed = e.closed(e.own.Loaded(), e.own.Problem())
		pair := e.own.Value() // the files' own may be replaced
		own = &pair
	}
	if e.trust != nil {
		if e.trust.Look(now); e.trust.News() {
			changes = append(changes, e.change(trustName, e.trust.Problem(), !e.trust.Loaded()))
		}
		closed = cmp.Or(closed, e.closed(e.trust.Loaded(), e.trust.Problem()))
		trusted := e.trust.Value()
		t = &trusted
	}
	e.mu.Unlock()
	if e.config.Notify != nil {
		for _, c := range changes {
			e.config.Notify(c)
		}
	}
	return own, t, closed
}

func (e *Endpoint) closed(loaded bool, problem error) *FilesError {
	if loaded {
		return nil
	}
	return &FilesError{e.config.Name, problem}
}

func (e *Endpoint) change(what string, err error, closed bool) Change {
	c := Change{Endpoint: e.config.Name, What: what, Err: err, Closed: closed}
	if what == ownName && err == nil {
		c.Fingerprint, c.NotAfter = Fingerprint(e.own.Value().Leaf), e.own.Value().Leaf.NotAfter
	}
	return c
}

// Server is the configuration of a server. Each handshake sees the files as they
// are when it begins.
func (e *Endpoint) Server() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return e.server() },
	}
}

func (e *Endpoint) server() (*tls.Config, error) {
	own, t, closed := e.current()
	if closed != nil {
		return nil, closed
	}
	if own == nil {
		return nil, errors.New(e.config.Name + " has no certificate")
	}
	config := profile()
	config.Certificates = []tls.Certificate{*own}
	if t != nil {
		config.ClientAuth = tls.RequireAndVerifyClientCert
		if e.config.Optional {
			config.ClientAuth = tls.VerifyClientCertIfGiven
		}
		config.ClientCAs = t.pool
	}
	config.VerifyConnection = func(cs tls.ConnectionState) error { return e.judge(cs, t) }
	return config, nil
}

// Client is the configuration of a client for one connection, from the files as
// they are now. With pins, fingerprints, the server must show one of these
// certificates, whatever name it is for.
func (e *Endpoint) Client(pins ...string) *tls.Config {
	own, t, closed := e.current()
	config := profile()
	config.ServerName = e.config.ServerName
	if closed != nil {
		config.InsecureSkipVerify = true // nobody is believed, and the error says why
		config.VerifyConnection = func(tls.ConnectionState) error { return closed }
		return config
	}
	if own != nil { // also to a server that names other authorities: its refusal says more than our silence
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own, nil }
	}
	if t != nil {
		config.RootCAs = t.pool
	}
	if len(pins) > 0 { // known by its certificate, not by its name
		roots := config.RootCAs
		config.InsecureSkipVerify = true // the chain is verified below
		config.VerifyConnection = func(cs tls.ConnectionState) error {
			chains, err := pinned(cs, roots, pins)
			if err != nil {
				return err
			}
			cs.VerifiedChains = chains
			return e.judge(cs, t)
		}
		return config
	}
	config.VerifyConnection = func(cs tls.ConnectionState) error { return e.judge(cs, t) }
	return config
}

// pinned verifies a server whose certificate is known beforehand.
func pinned(cs tls.ConnectionState, roots *x509.CertPool, pins []string) ([][]*x509.Certificate, error) {
	leaf := cs.PeerCertificates[0]
	between := x509.NewCertPool()
	for _, c := range cs.PeerCertificates[1:] {
		between.AddCert(c)
	}
	chains, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return nil, &tls.CertificateVerificationError{UnverifiedCertificates: cs.PeerCertificates, Err: err}
	}
	if !slices.Contains(pins, Fingerprint(leaf)) {
		return nil, &Refusal{Reason: OtherCertificate, Certificate: leaf}
	}
	return chains, nil
}

// Fingerprint is the SHA-256 digest of a certificate in 64 lower-case hexadecimal
// digits.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}
