package secure

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"
)

// trust is whose certificates are believed, and which of them no longer.
type trust struct {
	pool        *x509.CertPool
	authorities []*x509.Certificate
	lists       []list
	checked     bool // revocation is checked
}

// list is one revocation list, signed by one of the authorities.
type list struct {
	crl     *x509.RevocationList
	revoked map[string]bool // by serial number, decimal
}

// parseTrust reads the authorities, and their revocation lists if there is a
// second file.
func parseTrust(texts [][]byte) (trust, error) {
	t := trust{pool: x509.NewCertPool()}
	var err error
	if t.authorities, err = parseCertificates(texts[0]); err != nil {
		return t, fmt.Errorf("authorities: %w", err)
	}
	for _, c := range t.authorities {
		t.pool.AddCert(c)
	}
	if len(texts) == 1 {
		return t, nil
	}
	t.checked = true
	if t.lists, err = t.parseLists(texts[1]); err != nil {
		return t, fmt.Errorf("revocation lists: %w", err)
	}
	return t, nil
}

func parseCertificates(text []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		if why := KeyWeakness(c.PublicKey); why != "" {
			return nil, fmt.Errorf("%s has %s, which the profile of PS3.15 §B.12 does not allow", c.Subject, why)
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, errors.New("the file holds no certificate; write a PEM file of the authorities' certificates")
	}
	return out, nil
}

func (t trust) parseLists(text []byte) ([]list, error) {
	var ders [][]byte
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type == "X509 CRL" {
			ders = append(ders, block.Bytes)
		}
	}
	if len(ders) == 0 {
		ders = append(ders, text) // DER, or nothing of the kind
	}
	var out []list
	for _, der := range ders {
		crl, err := x509.ParseRevocationList(der)
		if err != nil {
			return nil, fmt.Errorf("%w; write a list in PEM (X509 CRL) or DER", err)
		}
		if !t.signed(crl) {
			return nil, fmt.Errorf("the list of %s is signed by none of the authorities", crl.Issuer)
		}
		l := list{crl, map[string]bool{}}
		for _, entry := range crl.RevokedCertificateEntries {
			l.revoked[entry.SerialNumber.String()] = true
		}
		out = append(out, l)
	}
	return out, nil
}

func (t trust) signed(crl *x509.RevocationList) bool {
	for _, c := range t.authorities {
		if crl.CheckSignatureFrom(c) == nil {
			return true
		}
	}
	return false
}

// of reports whether the list is that of the certificate's issuer.
func (l list) of(c *x509.Certificate) bool {
	return bytes.Equal(l.crl.RawIssuer, c.RawIssuer) &&
		(len(c.AuthorityKeyId) == 0 || len(l.crl.AuthorityKeyId) == 0 || bytes.Equal(l.crl.AuthorityKeyId, c.AuthorityKeyId))
}

// unlisted is an authority without a list where revocation is checked, or nil.
func (t trust) unlisted() *x509.Certificate {
	if !t.checked {
		return nil
	}
	for _, c := range t.authorities {
		if !slices.ContainsFunc(t.lists, func(l list) bool { return l.crl.CheckSignatureFrom(c) == nil }) {
			return c
		}
	}
	return nil
}

func (l list) overdue(now time.Time) bool {
	return !l.crl.NextUpdate.IsZero() && now.After(l.crl.NextUpdate)
}

// judge holds a peer whose chain the handshake has verified against the profile
// and the revocation lists.
func (e *Endpoint) judge(cs tls.ConnectionState, t *trust) error {
	if cs.DidResume {
		return errors.New("a TLS session was resumed, which is never offered")
	}
	if len(cs.PeerCertificates) == 0 {
		return nil // none was asked for, or none has to be shown
	}
	leaf, weak := cs.PeerCertificates[0], ""
	for i, chain := range cs.VerifiedChains {
		if r := e.revoked(chain, t); r != nil {
			return r
		}
		if w := weakLink(chain); i == 0 || w == "" {
			weak = w
		}
	}
	if weak != "" {
		return &Refusal{Reason: Weak, Certificate: leaf, Detail: weak}
	}
	return nil
}

// revoked looks each certificate of a chain up in its issuer's lists. Of the
// authority at its end, which is trusted in its own right, no list need be there
// (RFC 5280 §6.1); if one is, it holds.
func (e *Endpoint) revoked(chain []*x509.Certificate, t *trust) error {
	if t == nil || !t.checked {
		return nil
	}
	now := time.Now()
	for i, c := range chain {
		fresh := i == len(chain)-1
		for _, l := range t.lists {
			if !l.of(c) {
				continue
			}
			if l.revoked[c.SerialNumber.String()] {
				return &Refusal{Reason: Revoked, Certificate: c}
			}
			fresh = fresh || !l.overdue(now)
		}
		if !fresh && e.config.RefuseStale {
			return &Refusal{Reason: StaleList, Certificate: c}
		}
	}
	return nil
}
