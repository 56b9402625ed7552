package pki

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cordon/store"
)

// Algorithm is the kind of a key.
type Algorithm string

const (
	P256    Algorithm = "p256"    // ECDSA over P-256
	RSA2048 Algorithm = "rsa2048" // for devices that know no elliptic curves in certificates
	RSA3072 Algorithm = "rsa3072"
)

// NewKey makes a key. "" means P256.
func NewKey(a Algorithm) (crypto.Signer, error) {
	switch a {
	case "", P256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case RSA2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	case RSA3072:
		return rsa.GenerateKey(rand.Reader, 3072)
	}
	return nil, fmt.Errorf("%w: no keys of the kind %q; write p256, rsa2048 or rsa3072", ErrRequest, a)
}

// InitRequest asks for an authority.
type InitRequest struct {
	Site      string    // becomes part of its name
	Algorithm Algorithm // of its key; "" means P256. An old device may need RSA here too
	Years     int       // of its validity, 1 to 20; 0 means 10
	Replace   bool      // end the one that there is: no certificate of its is accepted any more
	By        string
}

// Init makes the authority.
func (p *PKI) Init(ctx context.Context, r InitRequest) (Certificate, error) {
	by, err := checkBy(r.By)
	if err != nil {
		return Certificate{}, err
	}
	if r.Years == 0 {
		r.Years = 10
	}
	if r.Years < 1 || r.Years > 20 {
		return Certificate{}, fmt.Errorf("%w: an authority lasts 1 to 20 years", ErrRequest)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	old, err := p.authority(ctx)
	switch {
	case err == nil && !r.Replace:
		return Certificate{}, fmt.Errorf("%w: there is an authority already, until %s; with --replace it ends now, and every device must be enrolled anew", ErrState, old.NotAfter.Format(time.DateOnly))
	case err != nil && !errors.Is(err, ErrState):
		return Certificate{}, err
	}
	c, err := p.newAuthority(ctx, r, by)
	if err != nil {
		return Certificate{}, err
	}
	p.settle(ctx)
	return c, p.problem
}

// newAuthority writes the key, and then the row that makes it the authority.
func (p *PKI) newAuthority(ctx context.Context, r InitRequest, by string) (Certificate, error) {
	key, err := NewKey(r.Algorithm)
	if err != nil {
		return Certificate{}, err
	}
	now := time.Now()
	template := &x509.Certificate{
		Subject:   pkix.Name{Organization: organization(r.Site), CommonName: "Cordon authority " + now.UTC().Format("2006-01-02 150405")},
		NotBefore: now.Add(-clockSkew), NotAfter: now.AddDate(r.Years, 0, 0),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return Certificate{}, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return Certificate{}, err
	}
	c := certificate(Authority, "authority", cert)
	if err := store.MakeDir(p.dir); err != nil {
		return c, err
	}
	if err := writeKey(p.keyPath(c), key); err != nil {
		return c, err
	}
	return c, p.insert(ctx, c, "pki.authority", by, func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE pki_certificate SET revoked_at = ?, reason = 'replaced' WHERE kind = ? AND revoked_at = 0`, now.Unix(), string(Authority))
		return err
	})
}

// organization is a site's name as a certificate has it.
func organization(site string) []string {
	if site = strings.TrimSpace(site); site == "" {
		return nil
	}
	if r := []rune(site); len(r) > 64 { // X.520, ub-organization-name
		site = string(r[:64])
	}
	return []string{site}
}

// clockSkew is how long ago a certificate begins: devices' clocks are off.
const clockSkew = 24 * time.Hour

func (p *PKI) path(name string) string { return filepath.Join(p.dir, name) }

// keyPath has a name of its own for each authority, so that a new one's key never
// takes the place of one in use.
func (p *PKI) keyPath(authority Certificate) string {
	return p.path("ca-" + authority.Serial[:min(8, len(authority.Serial))] + ".key")
}

// key reads the authority's key.
func (p *PKI) key(authority Certificate) (crypto.Signer, error) {
	text, err := store.ReadPrivate(p.keyPath(authority))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w (restore the authority's key from a backup, or begin anew with cordon pki init --replace)", err)
	}
	if err != nil {
		return nil, err
	}
	key, err := parseKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.keyPath(authority), err)
	}
	if public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(authority.cert.PublicKey) {
		return nil, fmt.Errorf("%s is not the authority's key: restore that from a backup", p.keyPath(authority))
	}
	return key, nil
}

// settle writes what the directory lacks of the authority's certificate and of the
// list, and keeps what went wrong as the problem. It needs mu, or that nobody else
// has p yet.
func (p *PKI) settle(ctx context.Context) {
	p.problem = func() error {
		authority, err := p.authority(ctx)
		if err != nil {
			return err
		}
		text := certificatePEM(authority.cert)
		if there, err := os.ReadFile(p.path("ca.pem")); err != nil || !bytes.Equal(there, text) {
			if err := store.MakeDir(p.dir); err != nil {
				return err
			}
			if err := store.WriteFile(p.path("ca.pem"), text, 0o644); err != nil {
				return err
			}
		}
		return p.refresh(ctx, authority)
	}()
}

// writeKey writes a key in PKCS #8, for its owner alone.
func writeKey(path string, key crypto.Signer) error {
	text, err := KeyPEM(key)
	if err != nil {
		return err
	}
	return store.WriteFile(path, text, 0o600)
}

// KeyPEM is a key in PKCS #8.
func KeyPEM(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// parseKey reads what KeyPEM writes.
func parseKey(text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, errors.New("no private key in PEM (PKCS #8)")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("a key that cannot sign")
	}
	return signer, nil
}

func certificatePEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}
