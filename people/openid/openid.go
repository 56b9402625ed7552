// Package openid lets people sign in with an issuer of OpenID Connect (Core 1.0 §3.1,
// the authorization code flow, with PKCE, RFC 7636), by github.com/coreos/go-oidc.
//
// Ordinary use:
//
//	p := openid.New(openid.Config{Issuer: "https://id.example.org", ClientID: "cordon", Return: "https://cordon.example.org/login/oidc/back", Groups: groups})
//	attempt, err := p.Start(false)              // send the browser to attempt.URL; keep the rest, sealed
//	who, err := p.Finish(ctx, attempt, state, code)  // of the browser's return
//
// The issuer is asked for its addresses and keys when the first person comes, and
// again when that failed, so that Cordon starts while it is away. Its answers are
// bounded in size and time.
//
// Who is in no group that has a role here gets none, and no access. It will not use
// the issuer's tokens for anything else, and keeps none of them.
package openid

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"cordon/people"
)

// Config is an issuer, and what it says of people.
type Config struct {
	Issuer   string
	ClientID string
	Secret   func() (string, error) // of the client; nil: a public one
	Return   string                 // where browsers come back to
	Claim    string                 // that groups are in; "": groups
	Groups   map[string]people.Role
	Client   *http.Client // nil: a careful one
}

// Provider is an issuer. Its methods may be called from any goroutine.
type Provider struct {
	config Config

	mu       sync.Mutex
	provider *oidc.Provider // nil: not asked yet, or in vain
	tried    time.Time
	failed   error
}

const (
	patience  = 10 * time.Second // for one answer of the issuer's
	maxAnswer = 1 << 20
	again     = 10 * time.Second // after asking in vain
)

// New returns a Provider; it asks nobody yet.
func New(c Config) *Provider {
	if c.Claim == "" {
		c.Claim = "groups"
	}
	if c.Client == nil {
		c.Client = &http.Client{Timeout: patience, Transport: bounded{http.DefaultTransport}}
	}
	return &Provider{config: c}
}

// bounded cuts answers that are too long.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	rsp, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		rsp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(rsp.Body, maxAnswer), rsp.Body}
	}
	return rsp, err
}

// Issuer names it.
func (p *Provider) Issuer() string { return p.config.Issuer }

// discover asks the issuer for its addresses, once.
func (p *Provider) discover() (*oidc.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.provider != nil {
		return p.provider, nil
	}
	if p.failed != nil && time.Since(p.tried) < again {
		return nil, p.failed
	}
	ctx := oidc.ClientContext(context.Background(), p.config.Client) // the keys are fetched again with it, later
	found, err := oidc.NewProvider(ctx, p.config.Issuer)
	p.tried, p.failed = time.Now(), nil
	if err != nil {
		p.failed = fmt.Errorf("the issuer %s cannot be asked: %w", p.config.Issuer, err)
		return nil, p.failed
	}
	p.provider = found
	return found, nil
}

// Attempt is somebody's, on the way to the issuer. All but URL is secret.
type Attempt struct {
	URL      string `json:"-"`
	State    string `json:"state"`
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"`
	Again    bool   `json:"again"` // they have to say who they are, also if the issuer knows
}

// Start begins an attempt.
func (p *Provider) Start(anew bool) (a Attempt, err error) {
	found, err := p.discover()
	if err != nil {
		return a, err
	}
	c, err := p.oauth(found)
	if err != nil {
		return a, err
	}
	a = Attempt{State: random(), Nonce: random(), Verifier: oauth2.GenerateVerifier(), Again: anew}
	options := []oauth2.AuthCodeOption{oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)}
	if anew {
		options = append(options, oauth2.SetAuthURLParam("prompt", "login"), oauth2.SetAuthURLParam("max_age", "0"))
	}
	a.URL = c.AuthCodeURL(a.State, options...)
	return a, nil
}

func (p *Provider) oauth(found *oidc.Provider) (*oauth2.Config, error) {
	c := &oauth2.Config{ClientID: p.config.ClientID, Endpoint: found.Endpoint(), RedirectURL: p.config.Return, Scopes: []string{oidc.ScopeOpenID, "profile", "email"}}
	if slices.Contains(p.scopes(found), "groups") {
		c.Scopes = append(c.Scopes, "groups")
	}
	if p.config.Secret == nil {
		return c, nil
	}
	var err error
	c.ClientSecret, err = p.config.Secret()
	return c, err
}

// scopes are those that the issuer says it has.
func (p *Provider) scopes(found *oidc.Provider) []string {
	var says struct {
		Scopes []string `json:"scopes_supported"`
	}
	found.Claims(&says) // says none, if it cannot be read
	return says.Scopes
}

var errAttempt = fmt.Errorf("%w: this is not the answer to an attempt of this browser to sign in: begin again", people.ErrDenied)

// Finish ends an attempt with the state and the code that the browser came back with.
func (p *Provider) Finish(ctx context.Context, a Attempt, state, code string) (who people.Elsewhere, err error) {
	if a.State == "" || subtle.ConstantTimeCompare([]byte(a.State), []byte(state)) != 1 || code == "" {
		return who, errAttempt
	}
	found, err := p.discover()
	if err != nil {
		return who, err
	}
	c, err := p.oauth(found)
	if err != nil {
		return who, err
	}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, p.config.Client), 2*patience)
	defer cancel()
	token, err := c.Exchange(ctx, code, oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return who, fmt.Errorf("%w: the issuer does not take its own code back: begin again", people.ErrDenied)
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := found.VerifierContext(ctx, &oidc.Config{ClientID: p.config.ClientID}).Verify(ctx, raw)
	if err != nil {
		return who, fmt.Errorf("%w: the issuer's token is not believed: %w", people.ErrDenied, err)
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(a.Nonce)) != 1 {
		return who, errAttempt
	}
	claims := map[string]any{}
	if err := id.Claims(&claims); err != nil {
		return who, err
	}
	if _, ok := claims[p.config.Claim]; !ok { // some say more when asked
		p.more(ctx, found, token, id.Subject, claims)
	}
	who = people.Elsewhere{Issuer: id.Issuer, Subject: id.Subject, Name: name(claims), Roles: p.roles(claims[p.config.Claim]), At: proved(claims)}
	if a.Again && time.Since(who.At) >= people.FreshFor {
		return who, fmt.Errorf("%w: the issuer did not ask you again who you are", people.ErrDenied)
	}
	return who, nil
}

// more adds what the issuer's UserInfo endpoint says (§5.3), if it has one.
func (p *Provider) more(ctx context.Context, found *oidc.Provider, token *oauth2.Token, subject string, claims map[string]any) {
	info, err := found.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil || info.Subject != subject {
		return // then what the token says is all there is
	}
	further := map[string]any{}
	if info.Claims(&further) != nil {
		return
	}
	for k, v := range further {
		if _, ok := claims[k]; !ok {
			claims[k] = v
		}
	}
}

// proved is when somebody last said to the issuer who they are (§2, auth_time, which
// max_age makes an issuer say); zero if it does not say.
func proved(claims map[string]any) time.Time {
	at, ok := claims["auth_time"].(float64)
	if now := time.Now(); ok && at > 0 && at < float64(now.Unix()+60) {
		return time.Unix(int64(at), 0)
	}
	return time.Time{}
}

// name is the first that there is of what issuers call people.
func name(claims map[string]any) string {
	for _, claim := range []string{"name", "preferred_username", "email"} {
		if s, _ := claims[claim].(string); strings.TrimSpace(s) != "" {
			return s
		}
	}
	return ""
}

// roles are what somebody's groups are here, in the order of the table of roles.
func (p *Provider) roles(groups any) (out []people.Role) {
	var names []string
	switch v := groups.(type) {
	case string:
		names = []string{v}
	case []any:
		for _, one := range v {
			if s, ok := one.(string); ok {
				names = append(names, s)
			}
		}
	}
	for _, g := range people.Grants() {
		if slices.ContainsFunc(names, func(n string) bool { return p.config.Groups[n] == g.Role }) {
			out = append(out, g.Role)
		}
	}
	return out
}

func random() string {
	var b [32]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}
