package pki

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"regexp"
	"time"

	"cordon/dicom/secure"
	"cordon/store"
)

// Request asks for a certificate.
type Request struct {
	Name  string   // of the device, as in the configuration
	CSR   []byte   // certification request in DER: proves that the holder has the key. What else it asks for is ignored
	Hosts []string // addresses and names under which it listens; none: it only calls
	Days  int      // of validity, up to 732; 0 means 731, for the gateway 366
	By    string
}

// Issued is a new certificate and what its holder needs beside it.
type Issued struct {
	Certificate
	PEM       string `json:"pem"`       // the certificate
	Authority string `json:"authority"` // the authority's, in PEM
}

const (
	maxDays     = 732
	deviceDays  = 731
	gatewayDays = 366
	maxHosts    = 32
)

// Enrol certifies a device for the first time, or after its certificates were
// revoked or have ended.
func (p *PKI) Enrol(ctx context.Context, r Request) (Issued, error) {
	return p.issueDevice(ctx, r, "pki.enrolled", func(valid int) error {
		if valid > 0 {
			return fmt.Errorf("%w: %s is enrolled already; renew or revoke it", ErrState, r.Name)
		}
		return nil
	})
}

// Renew certifies a device again. Its older certificates stay valid.
func (p *PKI) Renew(ctx context.Context, r Request) (Issued, error) {
	return p.issueDevice(ctx, r, "pki.renewed", func(valid int) error {
		if valid == 0 {
			return fmt.Errorf("%w: %s has no valid certificate; enrol it", ErrState, r.Name)
		}
		return nil
	})
}

func (p *PKI) issueDevice(ctx context.Context, r Request, record string, check func(valid int) error) (Issued, error) {
	if !nameText.MatchString(r.Name) || r.Name == GatewayName {
		return Issued{}, fmt.Errorf("%w: %q cannot be a device's name: write 1 to 63 letters, digits, '.', '_' or '-', and not %q", ErrRequest, r.Name, GatewayName)
	}
	csr, err := x509.ParseCertificateRequest(r.CSR)
	if err == nil {
		err = csr.CheckSignature()
	}
	if err != nil {
		return Issued{}, fmt.Errorf("%w: the certification request: %w", ErrRequest, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	authority, err := p.authority(ctx)
	if err != nil {
		return Issued{}, err
	}
	older, err := p.of(ctx, authority, Device, r.Name)
	if err != nil {
		return Issued{}, err
	}
	if err := check(countValid(older)); err != nil {
		return Issued{}, err
	}
	if r.Days == 0 {
		r.Days = deviceDays
	}
	return p.issue(ctx, authority, Device, r, csr.PublicKey, record)
}

func countValid(cs []Certificate) (n int) {
	for _, c := range cs {
		if c.State == Valid {
			n++
		}
	}
	return n
}

// Gateway certifies Cordon itself, again perhaps, with a new key, and writes
// gateway.key and gateway.pem. A running Cordon takes the pair over when both are
// there.
func (p *PKI) Gateway(ctx context.Context, a Algorithm, r Request) (Issued, error) {
	if len(r.Hosts) == 0 {
		return Issued{}, fmt.Errorf("%w: the gateway needs the addresses or names that devices call it by (--host)", ErrRequest)
	}
	r.Name = GatewayName
	if r.Days == 0 {
		r.Days = gatewayDays
	}
	key, err := NewKey(a)
	if err != nil {
		return Issued{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	authority, err := p.authority(ctx)
	if err != nil {
		return Issued{}, err
	}
	older, err := p.of(ctx, authority, Gateway, GatewayName)
	if err != nil {
		return Issued{}, err
	}
	record := "pki.enrolled"
	if countValid(older) > 0 {
		record = "pki.renewed"
	}
	issued, err := p.issue(ctx, authority, Gateway, r, key.Public(), record)
	if err != nil {
		return issued, err
	}
	if err := writeKey(p.path("gateway.key"), key); err != nil {
		return issued, err
	}
	return issued, store.WriteFile(p.path("gateway.pem"), []byte(issued.PEM), 0o644)
}

// issue signs a certificate and makes it durable. It needs mu.
func (p *PKI) issue(ctx context.Context, authority Certificate, kind Kind, r Request, public crypto.PublicKey, record string) (Issued, error) {
	by, err := checkBy(r.By)
	if err != nil {
		return Issued{}, err
	}
	template, err := r.template(kind, authority, public)
	if err != nil {
		return Issued{}, err
	}
	key, err := p.key(authority)
	if err != nil {
		return Issued{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, authority.cert, public, key)
	if err != nil {
		return Issued{}, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return Issued{}, err
	}
	c := certificate(kind, r.Name, cert)
	c.issuer = authority.id
	if err := p.insert(ctx, c, record, by); err != nil {
		return Issued{}, fmt.Errorf("not recorded, so it is not issued: %w", err)
	}
	return Issued{c, string(certificatePEM(cert)), string(certificatePEM(authority.cert))}, nil
}

// template is the certificate that is asked for.
func (r Request) template(kind Kind, authority Certificate, public crypto.PublicKey) (*x509.Certificate, error) {
	now := time.Now()
	why := secure.KeyWeakness(public)
	switch {
	case authority.State == Ended:
		return nil, fmt.Errorf("%w: the authority ended on %s; begin anew with cordon pki init --replace", ErrState, authority.NotAfter.Format(time.DateOnly))
	case why != "":
		return nil, fmt.Errorf("%w: %s: the profile of PS3.15 §B.12 needs RSA of 2048 bits or an elliptic curve of 256 bits", ErrRequest, why)
	case r.Days < 1 || r.Days > maxDays:
		return nil, fmt.Errorf("%w: a certificate is valid for 1 to %d days", ErrRequest, maxDays)
	case len(r.Hosts) > maxHosts:
		return nil, fmt.Errorf("%w: at most %d hosts", ErrRequest, maxHosts)
	}
	t := &x509.Certificate{
		Subject:   pkix.Name{Organization: authority.cert.Subject.Organization, CommonName: r.Name},
		NotBefore: now.Add(-clockSkew), NotAfter: now.AddDate(0, 0, r.Days),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if t.NotBefore.Before(authority.NotBefore) {
		t.NotBefore = authority.NotBefore
	}
	if t.NotAfter.After(authority.NotAfter) {
		t.NotAfter = authority.NotAfter
	}
	if len(r.Hosts) > 0 {
		t.ExtKeyUsage = append(t.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	return t, addHosts(t, r.Hosts)
}

var hostText = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_-]{0,62}\.?)*$`)

func addHosts(t *x509.Certificate, hosts []string) error {
	for _, h := range hosts {
		switch ip := net.ParseIP(h); {
		case ip != nil && ip.IsUnspecified():
			return fmt.Errorf("%w: %s is every address; name the one that devices call", ErrRequest, h)
		case ip != nil:
			t.IPAddresses = append(t.IPAddresses, ip)
		case len(h) <= 253 && hostText.MatchString(h):
			t.DNSNames = append(t.DNSNames, h)
		default:
			return fmt.Errorf("%w: %q is neither an address nor a name of a host; write it without a port", ErrRequest, h)
		}
	}
	return nil
}

// NewRequest is the certification request of a key, in DER.
func NewRequest(name string, key crypto.Signer) ([]byte, error) {
	if key == nil {
		return nil, errors.New("no key")
	}
	return x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}, key)
}
