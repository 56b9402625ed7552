package webgate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"cordon/token"
)

// issuer is a key of an issuer, and who believes in it.
func issuer(t *testing.T) (*token.Verifier, func(more map[string]any) string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "k"}}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(path, set, 0o600); err != nil {
		t.Fatal(err)
	}
	v, err := token.New(token.Config{Issuer: "https://id", Audience: "us", Keys: path})
	if err != nil {
		t.Fatal(err)
	}
	by, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return v, func(more map[string]any) string {
		claims := map[string]any{"iss": "https://id", "aud": "us", "sub": "ai", "scope": "read", "exp": time.Now().Add(time.Minute).Unix()}
		for name, value := range more {
			claims[name] = value
		}
		text, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := by.Sign(text)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := signed.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
}

func TestIdentify(t *testing.T) {
	tokens, sign := issuer(t)
	leaf := &x509.Certificate{Raw: []byte("a certificate")}
	sum := sha256.Sum256(leaf.Raw)
	bound := map[string]any{"cnf": map[string]string{"x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:])}}
	good := "Bearer " + sign(nil)
	for _, c := range []struct {
		name          string
		tokens        *token.Verifier
		authorization []string
		certificate   *x509.Certificate
		subject, why  string
	}{
		{"nobody", tokens, nil, nil, "", ""},
		{"a certificate", tokens, nil, leaf, "", ""},
		{"a token", tokens, []string{good}, nil, "ai", ""},
		{"a token, as some write it", tokens, []string{"bearer  " + sign(nil)}, nil, "ai", ""},
		{"a token and a certificate", tokens, []string{good}, leaf, "ai", ""},
		{"a token where none is believed", nil, []string{good}, nil, "", ""},
		{"a token that is bound to its holder's certificate", tokens, []string{"Bearer " + sign(bound)}, leaf, "ai", ""},
		{"the same without the certificate", tokens, []string{"Bearer " + sign(bound)}, nil, "", token.OtherHolder},
		{"the same with another's", tokens, []string{"Bearer " + sign(bound)}, &x509.Certificate{Raw: []byte("another")}, "", token.OtherHolder},
		{"an expired token", tokens, []string{"Bearer " + sign(map[string]any{"exp": 1})}, leaf, "", token.Expired},
		{"a password", tokens, []string{"Basic YTpi"}, nil, "", "no bearer token"},
		{"a scheme alone", tokens, []string{"Bearer"}, nil, "", "no bearer token"},
		{"an empty token", tokens, []string{"Bearer "}, nil, "", token.Malformed},
		{"two tokens", tokens, []string{good, good}, nil, "", "several"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/dicom-web/studies?access_token="+sign(nil), nil)
			r.RemoteAddr = "[::ffff:192.0.2.1]:9"
			r.Header["Authorization"] = c.authorization
			r.Header.Set("X-Forwarded-For", "10.0.0.1")
			if c.certificate != nil {
				r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{c.certificate}}
			}
			p, err := NewIdentify(c.tokens)(r)
			var d *Denied
			switch {
			case c.why == "" && err != nil, c.why != "" && (!errors.As(err, &d) || !strings.Contains(d.Why, c.why)):
				t.Fatalf("got %v, want %q", err, c.why)
			case d != nil && (d.Status != http.StatusUnauthorized || !strings.HasPrefix(d.WWWAuthenticate, `Bearer realm="dicomweb"`)):
				t.Errorf("got %+v", d)
			}
			if p.Subject != c.subject || p.Address.String() != "192.0.2.1" || (p.Certificate != nil) != (c.certificate != nil) || p.TLS != (r.TLS != nil) {
				t.Errorf("got %+v", p)
			}
		})
	}
}
