package secure

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
)

// The reasons that a handshake fails, as records name them.
const (
	NoTLS            = "no TLS"            // what came is no TLS: plain DICOM, most often
	NoCertificate    = "no certificate"    // the peer showed none
	UnknownAuthority = "unknown authority" // its certificate comes from nobody we trust
	Expired          = "expired"           // or not valid yet
	Revoked          = "revoked"
	StaleList        = "revocation list overdue" // and the configuration refuses then
	Weak             = "weak"                    // a key or signature that the profile forbids
	OtherName        = "other name"              // the server's certificate is for another host
	OtherCertificate = "other certificate"       // not the one that is known
	Unfit            = "unfit"                   // not made for this use, or otherwise not valid
	Version          = "version"                 // older than TLS 1.2
	Suites           = "cipher suites"           // none in common
	RefusedByPeer    = "refused by the peer"     // our certificate or our suites; the error has its alert
	OwnFiles         = "own files"               // ours were never right: this end is closed
	Closed           = "closed"                  // the connection ended
	Timeout          = "timeout"
	Other            = "other"
)

// Refusal is a peer's certificate that is not accepted although its chain is
// valid.
type Refusal struct {
	Reason      string
	Certificate *x509.Certificate // that is refused: the peer's own or one above it
	Detail      string
}

func (r *Refusal) Error() string {
	text := fmt.Sprintf("certificate of %s, serial number %x: %s", r.Certificate.Subject, r.Certificate.SerialNumber, r.Reason)
	if r.Detail != "" {
		text += ": " + r.Detail
	}
	return text
}

// Why is the reason in one or a few words for a handshake that failed with err.
func Why(err error) string {
	var refusal *Refusal
	var closed *FilesError
	var record tls.RecordHeaderError
	var invalid x509.CertificateInvalidError
	var alert tls.AlertError
	var op *net.OpError
	switch {
	case errors.As(err, &refusal):
		return refusal.Reason
	case errors.As(err, &closed):
		return OwnFiles
	case errors.As(err, &record):
		return NoTLS
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return UnknownAuthority
	case errors.As(err, new(x509.HostnameError)):
		return OtherName
	case errors.As(err, &invalid):
		return whyInvalid(invalid)
	case errors.As(err, new(*tls.CertificateVerificationError)):
		return Unfit
	case errors.As(err, &alert), errors.As(err, &op) && op.Op == "remote error":
		return whyAlert(err.Error())
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return Timeout
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return Closed
	}
	return whyText(err.Error())
}

func whyInvalid(err x509.CertificateInvalidError) string {
	if err.Reason == x509.Expired {
		return Expired
	}
	return Unfit
}

// whyAlert is what a peer's alert says. Most are about our certificate; under TLS 1.2
// a handshake failure may be about the lack of one, or of a common cipher suite.
func whyAlert(text string) string {
	if strings.Contains(text, "protocol version not supported") {
		return Version
	}
	return RefusedByPeer
}

// whyText knows errors of crypto/tls that have no type.
func whyText(text string) string {
	for _, known := range [...]struct{ text, why string }{
		{"didn't provide a certificate", NoCertificate},
		{"unsupported versions", Version},
		{"unsupported protocol version", Version},
		{"no cipher suite supported", Suites},
		{"bad record MAC", RefusedByPeer}, // TLS 1.3: OpenSSL refuses our certificate in the clear, where we expect what is encrypted
		{"connection reset by peer", Closed},
		{"broken pipe", Closed},
	} {
		if strings.Contains(text, known.text) {
			return known.why
		}
	}
	return Other
}

// Describe adds to a record's body why a handshake failed, and whose certificate it was
// about: why, error, fingerprint, subject.
func Describe(body map[string]any, err error) {
	body["why"], body["error"] = Why(err), clip(err.Error())
	if c := Shown(err); c != nil {
		body["fingerprint"], body["subject"] = Fingerprint(c), clip(c.Subject.String())
	}
}

// maxText bounds what a peer has us record, in bytes.
const maxText = 300

func clip(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxText)], "") }

// Shown is the certificate that a handshake that failed with err was about, or
// nil.
func Shown(err error) *x509.Certificate {
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return refusal.Certificate
	}
	var unverified *tls.CertificateVerificationError
	if errors.As(err, &unverified) && len(unverified.UnverifiedCertificates) > 0 {
		return unverified.UnverifiedCertificates[0]
	}
	return nil
}
