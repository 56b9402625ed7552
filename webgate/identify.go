package webgate

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"cordon/policy"
	"cordon/token"
)

// NewIdentify tells peers by their connection's address, by the certificate that
// the TLS handshake has verified, and by the bearer token of the Authorization
// header (RFC 6750 §2.1), if tokens is not nil: then a token that is not believed
// is an error, whoever shows it. Without tokens nobody is told by one, and what is
// in that header is not looked at.
//
// A token in the address or in a form is none: addresses end up in logs. Nothing
// that a proxy says of somebody else (Forwarded, X-Forwarded-For) is believed.
func NewIdentify(tokens *token.Verifier) Identify {
	return func(r *http.Request) (policy.WebPeer, error) {
		p := policy.WebPeer{TLS: r.TLS != nil}
		at, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil {
			return p, err
		}
		p.Address = at.Addr().Unmap()
		if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
			leaf := r.TLS.PeerCertificates[0]
			p.Certificate = &policy.Peer{Fingerprint: sha256.Sum256(leaf.Raw), Subject: leaf.Subject.String()}
		}
		if tokens == nil {
			return p, nil
		}
		raw, given, err := bearer(r)
		if err != nil || !given {
			return p, err
		}
		claims, err := tokens.Verify(raw, time.Now())
		if err == nil && !holds(claims, p.Certificate) {
			err = &token.Refusal{Reason: token.OtherHolder}
		}
		if err != nil {
			return p, invalidToken(err)
		}
		p.Issuer, p.Subject, p.Scopes = claims.Issuer, claims.Subject, claims.Scopes
		return p, nil
	}
}

// bearer finds the token of a request. Another scheme than Bearer is nobody's
// here.
func bearer(r *http.Request) (raw string, given bool, err error) {
	all := r.Header.Values("Authorization")
	if len(all) == 0 {
		return "", false, nil
	}
	scheme, raw, ok := strings.Cut(all[0], " ")
	switch {
	case len(all) > 1:
		return "", false, denied(`error="invalid_request"`, "several Authorization headers: send one")
	case !strings.EqualFold(scheme, "Bearer") || !ok:
		return "", false, denied("", "the Authorization header has no bearer token: send \"Bearer\" and the token")
	}
	return strings.Trim(raw, " "), true, nil
}

// holds reports whether the one who shows a token is the one that it is bound to
// (RFC 8705 §3).
func holds(c token.Claims, certificate *policy.Peer) bool {
	if c.BoundTo == "" {
		return true
	}
	return certificate != nil && base64.RawURLEncoding.EncodeToString(certificate.Fingerprint[:]) == c.BoundTo
}

func invalidToken(err error) error {
	why := "bearer token not believed"
	var refusal *token.Refusal
	if errors.As(err, &refusal) {
		why = refusal.Error()
	}
	return denied(`error="invalid_token", error_description="`+why+`"`, why)
}

// denied asks for a token (RFC 6750 §3).
func denied(attributes, why string) error {
	challenge := `Bearer realm="dicomweb"`
	if attributes != "" {
		challenge += ", " + attributes
	}
	return &Denied{Status: http.StatusUnauthorized, WWWAuthenticate: challenge, Why: why}
}
