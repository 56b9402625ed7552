// Package token verifies bearer tokens of OpenID Connect issuers (RFC 6750, RFC
// 7519, RFC 9068) without asking anybody: with the issuer's public keys in a file
// (a JWK set, RFC 7517), which is read again when it changes.
//
//	v, err := token.New(token.Config{Issuer: "https://id.example.org", Audience: "cordon", Keys: "jwks.json"})
//	claims, err := v.Verify(raw, time.Now()) // err is a *Refusal: why it is not believed, in words
//	go v.Run(ctx)                            // notices new keys without a token
//
// A token is believed if it is a JWS in compact form, signed by a key of its
// issuer's file with an algorithm that the key is for (RS, PS or ES with 256, 384
// or 512 bits, or EdDSA: no "none", and no secret that both sides know), for our
// audience, between its nbf and its exp, which it must have. What a token says of
// where its keys are to be found (jwk, jku, x5c, x5u) is never looked at.
//
// # Life of the keys
//
// An issuer announces a new key in its set before it signs with it, and keeps the
// old one there until the last token signed with it has expired. So whoever copies
// the set to the file now and then misses nothing. A file that cannot be used does
// not take the place of the one before; the reason is in Problems until it is
// right. Without a file that ever was right every token of that issuer is refused.
//
// It will not fetch keys, ask an issuer whether a token was revoked (it is good
// until it expires, so MaxLifetime bounds that), decrypt tokens, or say what
// somebody may do (package policy does).
package token

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"cordon/fresh"
)

// Config is one issuer whose tokens are believed.
type Config struct {
	Issuer      string        // as its tokens call it ("iss"), exactly
	Audience    string        // as its tokens call us ("aud")
	Keys        string        // file with its JWK set
	MaxLifetime time.Duration // of a token, from now on; 0: 24 h
	Notify      func(Change)  // told when the file has been read again; must not block; may be nil
}

// Change is new content of a file of keys.
type Change struct {
	Issuer string
	Keys   []string // their key ids, if they are in use
	Err    error    // why they are not; nil: they are, from now on
}

// Claims are what a token says that is believed.
type Claims struct {
	Issuer  string
	Subject string
	Scopes  []string // of "scope" or "scp", at most maxScopes
	Expires time.Time
	BoundTo string // SHA-256 of the certificate that its holder must show, in base64url (RFC 8705 §3.1); "": whoever has it may use it
}

// Limits.
const (
	MaxToken    = 8 << 10 // bytes of a token
	maxScopes   = 100
	maxKeys     = 64          // in a file
	maxSubject  = 255         // characters (OpenID Connect Core §2)
	leeway      = time.Minute // by which clocks may differ
	defaultLife = 24 * time.Hour
)

// algorithms are those that need a public key of the issuer's alone (RFC 7518
// §3.1, RFC 8037 §3.1).
var algorithms = [...]jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// Verifier verifies the tokens of some issuers. It is safe for concurrent use.
type Verifier struct {
	issuers map[string]*issuer
}

type issuer struct {
	config Config
	mu     sync.Mutex // guards what the file holds
	keys   *fresh.Files[[]key]
}

// New reads the files for the first time. One that cannot be used is a problem in
// Problems, and its issuer's tokens are refused until it can. An error says what
// is wrong with the choice of issuers.
func New(configs ...Config) (*Verifier, error) {
	v := &Verifier{issuers: map[string]*issuer{}}
	for _, c := range configs {
		switch {
		case c.Issuer == "" || c.Audience == "" || c.Keys == "":
			return nil, fmt.Errorf("tokens need an issuer, an audience and a file of keys")
		case v.issuers[c.Issuer] != nil:
			return nil, fmt.Errorf("issuer %s is there twice", c.Issuer)
		}
		c.MaxLifetime = cmp.Or(c.MaxLifetime, defaultLife)
		i := &issuer{config: c, keys: fresh.New(parseKeys, fresh.File{What: "keys of " + c.Issuer, Path: c.Keys})}
		i.current(time.Now())
		v.issuers[c.Issuer] = i
	}
	return v, nil
}

// current are the issuer's keys now, none if the file never was right.
func (i *issuer) current(now time.Time) []key {
	i.mu.Lock()
	i.keys.Look(now)
	news, keys, problem := i.keys.News(), i.keys.Value(), i.keys.Problem()
	i.mu.Unlock()
	if news && i.config.Notify != nil {
		c := Change{Issuer: i.config.Issuer, Err: problem}
		if problem == nil {
			c.Keys = names(keys)
		}
		i.config.Notify(c)
	}
	return keys
}

// Problems says of each file that is not in use why, and what to do.
func (v *Verifier) Problems() []string {
	var out []string
	for _, i := range v.issuers {
		i.current(time.Now())
		i.mu.Lock()
		err, loaded := i.keys.Problem(), i.keys.Loaded()
		i.mu.Unlock()
		switch {
		case err == nil:
		case loaded:
			out = append(out, fmt.Sprintf("what was there before stays in use: %v", err))
		default:
			out = append(out, fmt.Sprintf("every token of %s is refused until its file is put right, which needs no restart: %v", i.config.Issuer, err))
		}
	}
	return out
}

// lookEvery is how long new keys may go unnoticed where no token comes.
const lookEvery = 5 * time.Second

// Run looks at the files every few seconds, so that Notify hears of changes
// without a token, until ctx ends.
func (v *Verifier) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			for _, i := range v.issuers {
				i.current(now)
			}
		}
	}
}

// Verify says whose token it is. Its error is a *Refusal.
func (v *Verifier) Verify(raw string, now time.Time) (Claims, error) {
	if len(raw) > MaxToken {
		return Claims{}, &Refusal{Reason: TooLong}
	}
	t, err := jwt.ParseSigned(raw, algorithms[:])
	if err != nil {
		return Claims{}, &Refusal{Reason: Malformed, Err: err}
	}
	var hint jwt.Claims // whose keys to try; nothing else of it is believed
	if err := t.UnsafeClaimsWithoutVerification(&hint); err != nil {
		return Claims{}, &Refusal{Reason: Malformed, Err: err}
	}
	i := v.issuers[hint.Issuer]
	if i == nil {
		return Claims{}, &Refusal{Reason: UnknownIssuer}
	}
	if err := typed(t.Headers[0]); err != nil {
		return Claims{}, err
	}
	said, err := i.signed(t, now)
	if err != nil {
		return Claims{}, err
	}
	return i.believe(said, now)
}

// signed reads what a token says once its signature is one of the issuer's.
func (i *issuer) signed(t *jwt.JSONWebToken, now time.Time) (claims, error) {
	fit := fitting(i.current(now), t.Headers[0])
	for _, k := range fit {
		var said claims
		switch err := t.Claims(k.public, &said); {
		case err == nil:
			return said, nil
		case !isSignature(err):
			return claims{}, &Refusal{Reason: Malformed, Err: err}
		}
	}
	if len(fit) == 0 {
		return claims{}, &Refusal{Reason: UnknownKey}
	}
	return claims{}, &Refusal{Reason: Forged}
}
