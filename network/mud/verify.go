package mud

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/smallstep/pkcs7"
)

const maxSignature = 256 << 10

// Verify checks a MUD file's detached signature (RFC 8520 §13): CMS in DER (RFC 5652), by
// a certificate that one of roots vouches for. It returns who signed.
func Verify(text, signature []byte, roots *x509.CertPool, now time.Time) (signer string, err error) {
	if len(signature) > maxSignature {
		return "", fmt.Errorf("MUD signature: %d bytes; at most %d", len(signature), maxSignature)
	}
	if roots == nil {
		return "", errors.New("MUD signature: no authorities to believe")
	}
	p, err := pkcs7.Parse(signature)
	if err != nil {
		return "", fmt.Errorf("MUD signature: %w", err)
	}
	if len(p.Content) > 0 {
		return "", errors.New("MUD signature: it brings its own content; a detached one is expected (RFC 8520 §13.1)")
	}
	p.Content = text
	if err := p.VerifyWithChainAtTime(roots, now); err != nil {
		return "", fmt.Errorf("MUD signature: %w", err)
	}
	c := p.GetOnlySigner()
	if c == nil {
		return "", errors.New("MUD signature: not one signer")
	}
	return c.Subject.String(), nil
}
