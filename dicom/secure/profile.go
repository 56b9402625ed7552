package secure

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
)

// suites are those of TLS 1.2 (BCP 195, RFC 9325 §4.2). TLS 1.3 has its own, which
// are not for us to choose: AES-GCM and ChaCha20-Poly1305.
var suites = [...]uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
}

// profile is what both roles have in common (PS3.15 §B.12).
func profile() *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS12,
		CipherSuites:           append([]uint16(nil), suites[:]...),
		SessionTicketsDisabled: true, // a resumed session would not meet the lists of today
		Renegotiation:          tls.RenegotiateNever,
	}
}

// The least that keys must have, in bits.
const (
	minRSA   = 2048
	minCurve = 256
)

// weakness says what the profile forbids about a certificate, or "".
func weakness(c *x509.Certificate) string {
	switch c.SignatureAlgorithm {
	case x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.DSAWithSHA256, x509.ECDSAWithSHA1:
		return "signed with " + c.SignatureAlgorithm.String()
	}
	return KeyWeakness(c.PublicKey)
}

// KeyWeakness says what the profile forbids about a public key, or "".
func KeyWeakness(key crypto.PublicKey) string {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if n := key.N.BitLen(); n < minRSA {
			return fmt.Sprintf("an RSA key of %d bits", n)
		}
	case *ecdsa.PublicKey:
		if n := key.Params().BitSize; n < minCurve {
			return fmt.Sprintf("an elliptic curve of %d bits", n)
		}
	case ed25519.PublicKey:
	default:
		return fmt.Sprintf("a key of another kind (%T)", key)
	}
	return ""
}

// weakLink says what the profile forbids about a verified chain, or "". The
// signature that an authority at its end gave itself proves nothing and is not
// looked at.
func weakLink(chain []*x509.Certificate) string {
	for i, c := range chain {
		why := weakness(c)
		if i == len(chain)-1 {
			why = KeyWeakness(c.PublicKey)
		}
		if why != "" {
			return fmt.Sprintf("%s has %s", c.Subject, why)
		}
	}
	return ""
}
