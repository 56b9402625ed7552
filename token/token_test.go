package token

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	us     = "cordon"
	issues = "https://id.example"
)

var now = time.Unix(1_800_000_000, 0)

// signer is an issuer's key.
type signer struct {
	id  string
	alg jose.SignatureAlgorithm
	key any // private
}

func rsaSigner(t testing.TB, id string) signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return signer{id, jose.RS256, key}
}

func ecSigner(t testing.TB, id string, curve elliptic.Curve, alg jose.SignatureAlgorithm) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{id, alg, key}
}

func (s signer) public() jose.JSONWebKey {
	private := jose.JSONWebKey{Key: s.key, KeyID: s.id}
	return private.Public()
}

// sign makes a token with more headers than the key's own.
func (s signer) sign(t testing.TB, payload any, headers map[jose.HeaderKey]any) string {
	t.Helper()
	options := (&jose.SignerOptions{}).WithType("at+jwt")
	if s.id != "" {
		options.WithHeader("kid", s.id)
	}
	for name, value := range headers {
		options.WithHeader(name, value)
	}
	by, err := jose.NewSigner(jose.SigningKey{Algorithm: s.alg, Key: s.key}, options)
	if err != nil {
		t.Fatal(err)
	}
	text, ok := payload.([]byte)
	if !ok {
		if text, err = json.Marshal(payload); err != nil {
			t.Fatal(err)
		}
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

// keyFile writes a JWK set, as if it had been there for a while.
func keyFile(t testing.TB, path string, keys ...jose.JSONWebKey) {
	t.Helper()
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	writeOld(t, path, text)
}

func writeOld(t testing.TB, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// body is a good token's, with some of it replaced; nil takes it out.
func body(replaced map[string]any) map[string]any {
	out := map[string]any{"iss": issues, "aud": us, "sub": "ai-1", "exp": now.Unix() + 300, "nbf": now.Unix() - 5, "iat": now.Unix() - 5, "scope": "read write"}
	for name, value := range replaced {
		out[name] = value
		if value == nil {
			delete(out, name)
		}
	}
	return out
}

func reason(err error) string {
	var r *Refusal
	if errors.As(err, &r) {
		return r.Reason
	}
	return fmt.Sprint(err)
}

func TestBelieved(t *testing.T) {
	a, b := rsaSigner(t, "a"), rsaSigner(t, "")
	pss := signer{"a", jose.PS384, a.key}
	ec, ec3 := ecSigner(t, "ec", elliptic.P256(), jose.ES256), ecSigner(t, "ec3", elliptic.P384(), jose.ES384)
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ed := signer{"ed", jose.EdDSA, edKey}
	path := filepath.Join(t.TempDir(), "jwks.json")
	keyFile(t, path, a.public(), b.public(), ec.public(), ec3.public(), ed.public())
	v, err := New(Config{Issuer: issues, Audience: us, Keys: path})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		by     signer
		body   map[string]any
		head   map[jose.HeaderKey]any
		scopes []string
	}{
		{"RSA", a, nil, nil, []string{"read", "write"}},
		{"RSA, no key id", b, nil, nil, []string{"read", "write"}},
		{"RSA-PSS", pss, nil, nil, []string{"read", "write"}},
		{"P-256", ec, nil, nil, []string{"read", "write"}},
		{"P-384", ec3, nil, nil, []string{"read", "write"}},
		{"Ed25519", ed, nil, nil, []string{"read", "write"}},
		{"several audiences", a, map[string]any{"aud": []string{"other", us}}, nil, []string{"read", "write"}},
		{"no nbf, no iat", a, map[string]any{"nbf": nil, "iat": nil}, nil, []string{"read", "write"}},
		{"just expired", a, map[string]any{"exp": now.Unix() - 30}, nil, []string{"read", "write"}},
		{"scp in a list", a, map[string]any{"scope": nil, "scp": []string{"read"}}, nil, []string{"read"}},
		{"no scope", a, map[string]any{"scope": nil}, nil, nil},
		{"an ID token's type", a, nil, map[jose.HeaderKey]any{"typ": "JWT"}, []string{"read", "write"}},
		{"where to find other keys is not looked at", a, nil, map[jose.HeaderKey]any{"jku": "http://127.0.0.1:1/", "x5u": "http://127.0.0.1:1/"}, []string{"read", "write"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := v.Verify(c.by.sign(t, body(c.body), c.head), now)
			if err != nil || got.Subject != "ai-1" || got.Issuer != issues || !slices.Equal(got.Scopes, c.scopes) || got.BoundTo != "" {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	got, err := v.Verify(a.sign(t, body(map[string]any{"cnf": map[string]string{"x5t#S256": "abc"}}), nil), now)
	if err != nil || got.BoundTo != "abc" {
		t.Errorf("bound to a certificate: %+v, %v", got, err)
	}
}

// TestAttacks: what is not a good token of ours is refused, and why.
func TestAttacks(t *testing.T) {
	a, ec, stranger := rsaSigner(t, "a"), ecSigner(t, "ec", elliptic.P256(), jose.ES256), rsaSigner(t, "a")
	only := a.public()
	only.Algorithm, only.KeyID = string(jose.RS512), "only-512"
	encryption := a.public()
	encryption.Use, encryption.KeyID = "enc", "enc"
	path := filepath.Join(t.TempDir(), "jwks.json")
	keyFile(t, path, a.public(), ec.public(), only, encryption)
	v, err := New(Config{Issuer: issues, Audience: us, Keys: path}, Config{Issuer: "https://other.example", Audience: us, Keys: path + ".missing"})
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(a.public().Key)
	if err != nil {
		t.Fatal(err)
	}
	good := a.sign(t, body(nil), nil)
	part := strings.Split(good, ".")
	encoded := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	claim := func(name string, value any) string { return a.sign(t, body(map[string]any{name: value}), nil) }
	named := func(id string) string { return signer{id, jose.RS256, a.key}.sign(t, body(nil), nil) }
	embedded := stranger.public()
	for _, c := range []struct {
		name, raw, want string
	}{
		{"nothing", "", Malformed},
		{"noise", "\x00\xff.e30.AAAA", Malformed},
		{"two parts", part[0] + "." + part[1], Malformed},
		{"four parts", good + ".AAAA", Malformed},
		{"alg none", encoded(`{"alg":"none"}`) + "." + part[1] + ".", Malformed},
		{"alg nOnE", encoded(`{"alg":"nOnE","kid":"a"}`) + "." + part[1] + "." + part[2], Malformed},
		{"HS256 with the public key as its secret", signer{"a", jose.HS256, der}.sign(t, body(nil), nil), Malformed},
		{"no alg", encoded(`{"kid":"a"}`) + "." + part[1] + "." + part[2], Malformed},
		{"two algs", encoded(`{"alg":"none","alg":"RS256","kid":"a"}`) + "." + part[1] + "." + part[2], Malformed},
		{"encrypted", "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.AA.AA.AA.AA", Malformed},
		{"the signature of another payload", part[0] + "." + encoded(`{"iss":"`+issues+`","aud":"cordon","sub":"root","exp":9999999999}`) + "." + part[2], Forged},
		{"no signature", part[0] + "." + part[1] + ".", Forged},
		{"a stranger's key under a known id", stranger.sign(t, body(nil), nil), Forged},
		{"a stranger's key in the token", stranger.sign(t, body(nil), map[jose.HeaderKey]any{"jwk": embedded}), Forged},
		{"a stranger's key, to be fetched", stranger.sign(t, body(nil), map[jose.HeaderKey]any{"jku": "http://127.0.0.1:1/jwks.json"}), Forged},
		{"an unknown key id", named("b"), UnknownKey},
		{"a path for a key id", named("../../../../etc/passwd"), UnknownKey},
		{"SQL for a key id", named("a' OR '1'='1"), UnknownKey},
		{"a key that is for encryption", named("enc"), UnknownKey},
		{"a key that is for another algorithm", named("only-512"), UnknownKey},
		{"an RSA key's id under another kind of algorithm", signer{"a", jose.ES256, ec.key}.sign(t, body(nil), nil), UnknownKey},
		{"an extension that must be understood", a.sign(t, body(nil), map[jose.HeaderKey]any{"crit": []string{"exp"}, "exp": 1}), Malformed},
		{"another issuer", claim("iss", "https://evil.example"), UnknownIssuer},
		{"an issuer but for a slash", claim("iss", issues+"/"), UnknownIssuer},
		{"no issuer", claim("iss", nil), UnknownIssuer},
		{"signed by one issuer in the name of another", claim("iss", "https://other.example"), UnknownKey},
		{"another audience", claim("aud", "pacs"), OtherAudience},
		{"no audience", claim("aud", nil), OtherAudience},
		{"an audience that begins with ours", claim("aud", us+"-test"), OtherAudience},
		{"expired", claim("exp", now.Unix()-61), Expired},
		{"no expiry", claim("exp", nil), NoExpiry},
		{"a null expiry", a.sign(t, []byte(fmt.Sprintf(`{"iss":%q,"aud":%q,"sub":"x","exp":null}`, issues, us)), nil), NoExpiry},
		{"an expiry in words", claim("exp", "tomorrow"), Malformed},
		{"an expiry beyond time", claim("exp", 1e30), Malformed},
		{"for a century", claim("exp", now.AddDate(100, 0, 0).Unix()), LivesTooLong},
		{"not valid yet", claim("nbf", now.Unix()+3600), NotYet},
		{"issued tomorrow", claim("iat", now.Unix()+86400), NotYet},
		{"about nobody", claim("sub", nil), NoSubject},
		{"about a novel", claim("sub", strings.Repeat("x", 256)), NoSubject},
		{"about a list", claim("sub", []string{"a"}), Malformed},
		{"a scope that is a number", claim("scope", 7), Malformed},
		{"a thousand scopes", claim("scope", strings.Repeat("s ", 1000)), TooLong},
		{"a logout token", a.sign(t, body(nil), map[jose.HeaderKey]any{"typ": "logout+jwt"}), OtherType},
		{"a type that is a number", a.sign(t, body(nil), map[jose.HeaderKey]any{"typ": 7}), OtherType},
		{"bound to a key of its holder's", claim("cnf", map[string]string{"jkt": "abc"}), BoundElsewhere},
		{"not JSON", a.sign(t, []byte("hello"), nil), Malformed},
		{"nested", a.sign(t, []byte(strings.Repeat("[", 4000)), nil), Malformed},
		{"iss twice", a.sign(t, []byte(fmt.Sprintf(`{"iss":"https://evil.example","iss":%q,"aud":%q,"sub":"x","exp":%d}`, issues, us, now.Unix()+60)), nil), Malformed},
		{"oversized", claim("pad", strings.Repeat("x", MaxToken)), TooLong},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := v.Verify(c.raw, now)
			if reason(err) != c.want || got.Subject != "" {
				t.Errorf("got %+v, %v: %v; want %s", got, err, errors.Unwrap(err), c.want)
			}
			if err != nil && len(c.raw) > 20 && strings.Contains(err.Error(), c.raw[len(c.raw)/2:]) {
				t.Error("the error repeats the token")
			}
		})
	}
	if _, err := v.Verify(good, now); err != nil {
		t.Error("what the attacks are made of is not good itself:", err)
	}
}

// TestRotation: a new key is good from the next token on, the old one as long as
// it is in the file; a file that is broken changes nothing, and says so.
func TestRotation(t *testing.T) {
	old, next := rsaSigner(t, "old"), ecSigner(t, "next", elliptic.P256(), jose.ES256)
	path := filepath.Join(t.TempDir(), "jwks.json")
	var changes []Change
	v, err := New(Config{Issuer: issues, Audience: us, Keys: path, Notify: func(c Change) { changes = append(changes, c) }})
	if err != nil {
		t.Fatal(err)
	}
	check := func(by signer, want string) {
		t.Helper()
		_, err := v.Verify(by.sign(t, body(nil), nil), now)
		if got := reason(err); err != nil && got != want || err == nil && want != "" {
			t.Errorf("%s: got %v, want %q", by.id, err, want)
		}
	}
	check(old, UnknownKey)
	if len(v.Problems()) != 1 {
		t.Error("no problem without a file")
	}
	keyFile(t, path, old.public())
	check(old, "")
	check(next, UnknownKey)
	keyFile(t, path, old.public(), next.public())
	check(old, "")
	check(next, "")
	writeOld(t, path, []byte("<html>"))
	check(old, "")
	if p := v.Problems(); len(p) != 1 || !strings.Contains(p[0], "stays in use") {
		t.Errorf("problems %q", p)
	}
	keyFile(t, path, next.public())
	check(old, UnknownKey)
	check(next, "")
	if len(v.Problems()) != 0 {
		t.Error(v.Problems())
	}
	var told []string
	for _, c := range changes {
		told = append(told, fmt.Sprint(c.Keys, c.Err != nil))
	}
	if want := []string{"[] true", "[old] false", "[old next] false", "[] true", "[next] false"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

func TestKeyFiles(t *testing.T) {
	a := rsaSigner(t, "a")
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	set := func(keys ...any) string {
		text, err := json.Marshal(map[string]any{"keys": keys})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	encryption := a.public()
	encryption.Use = "enc"
	other := map[string]string{"kty": "FUTURE", "kid": "f"}
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", "not a JWK set"},
		{"no keys", `{"keys":[]}`, "no key for signatures"},
		{"no set", `{}`, "no key for signatures"},
		{"none for signatures", set(encryption), "no key for signatures"},
		{"a kind of the future beside one that is known", set(other, a.public()), ""},
		{"a private key", set(jose.JSONWebKey{Key: a.key, KeyID: "a"}), "secret"},
		{"a shared secret", set(jose.JSONWebKey{Key: []byte("secret"), KeyID: "s"}), "secret"},
		{"a weak key", set(jose.JSONWebKey{Key: &weak.PublicKey, KeyID: "w"}), "1024 bits"},
		{"a key that is none", `{"keys":[{"kty":"RSA","n":"AQAB"}]}`, "key 1"},
		{"too many", `{"keys":[` + strings.Repeat(`{},`, maxKeys) + `{}]}`, "65 keys"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parseKeys([][]byte{[]byte(c.text)})
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestIssuersAreChecked(t *testing.T) {
	good := Config{Issuer: issues, Audience: us, Keys: "jwks.json"}
	for _, cs := range [][]Config{{{Audience: us, Keys: "k"}}, {{Issuer: issues, Keys: "k"}}, {{Issuer: issues, Audience: us}}, {good, good}} {
		if _, err := New(cs...); err == nil {
			t.Errorf("%+v is taken", cs)
		}
	}
}

func FuzzVerify(f *testing.F) {
	a := rsaSigner(f, "a")
	path := filepath.Join(f.TempDir(), "jwks.json")
	keyFile(f, path, a.public())
	v, err := New(Config{Issuer: issues, Audience: us, Keys: path})
	if err != nil {
		f.Fatal(err)
	}
	good := a.sign(f, body(nil), nil)
	believed, err := v.Verify(good, now)
	if err != nil {
		f.Fatal(err)
	}
	want := fmt.Sprint(believed) // the same token may be written in other ways
	f.Add(good)
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Fuzz(func(t *testing.T, raw string) {
		if c, err := v.Verify(raw, now); err == nil && fmt.Sprint(c) != want {
			t.Errorf("believed %q: %+v", raw, c)
		}
	})
}
