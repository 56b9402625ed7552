// Package people is who uses Cordon: their accounts, their roles, and what each
// role may do.
//
// Ordinary use:
//
//	id := people.From(r.Context())         // who asks; the guard put it there
//	if !id.May(people.HeldDecide) { … }
//	by, err := id.By(request.By)           // the name that a decision is made under
//
// Until people have accounts nobody is known by name: whoever can open the control
// socket may decide, under the names that they give, since the operating system
// guards it; who comes over the network may look at what is no secret.
package people

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ErrOther means that a request gives another name than that of who signed in.
var ErrOther = errors.New("a decision is made under one's own name")

// How says by what somebody is known.
type How string

const (
	Socket   How = "socket"   // the operating system's user at the control socket
	Password How = "password" // an account here, by password
	Passkey  How = "passkey"  // an account here, by a passkey (WebAuthn)
	OIDC     How = "oidc"     // an account elsewhere, by OpenID Connect
	Token    How = "token"    // an API token of a person's
)

// Identity is who asks for something. The zero Identity is nobody, and may
// nothing.
type Identity struct {
	Name     string       `json:"name"`
	Roles    []Role       `json:"roles"`
	How      How          `json:"how"`
	SignedIn time.Time    `json:"signed_in,omitzero"` // last proved who they are
	Scopes   []Permission `json:"scopes,omitempty"`   // of a token: no more than these; nil: all of the roles'
	Products []string     `json:"products,omitempty"` // of a vendor: "VENDOR" or "VENDOR/MODEL"
	Until    time.Time    `json:"until,omitzero"`     // the session or token ends then, if nobody uses it

	Account string `json:"-"` // the account's; "": the socket's
	Session string `json:"-"` // the session's, by which people speak of it; "": a token
}

// FreshFor is how long after saying who one is one may decide.
const FreshFor = 5 * time.Minute

// Fresh reports whether somebody said who they are not long ago. Programs say it
// with each request.
func (id Identity) Fresh(now time.Time) bool {
	return id.How == Token || id.How == Socket || now.Sub(id.SignedIn) < FreshFor
}

// Sees reports whether somebody may see a device of that vendor and model (see
// asset.Inventory): a vendor own products alone, others all. Letters are compared
// without regard to case; a device of which no vendor is known is no vendor's.
func (id Identity) Sees(vendor, model string) bool {
	if !slices.Contains(id.Roles, Vendor) {
		return true
	}
	return slices.ContainsFunc(id.Products, func(p string) bool {
		v, m, only := strings.Cut(p, "/")
		return vendor != "" && strings.EqualFold(strings.TrimSpace(v), strings.TrimSpace(vendor)) &&
			(!only || strings.EqualFold(strings.TrimSpace(m), strings.TrimSpace(model)))
	})
}

// May reports whether somebody may do something.
func (id Identity) May(p Permission) bool {
	if p == Anybody {
		return true
	}
	if id.Name == "" || id.Scopes != nil && !slices.Contains(id.Scopes, p) && p != SignedIn {
		return false
	}
	return p == SignedIn || slices.ContainsFunc(id.Roles, func(r Role) bool { return r.May(p) })
}

// By is the name that a decision is made under: one's own, or at the control
// socket the one that is given. Who signed in may leave it out and may not give
// another.
func (id Identity) By(given string) (string, error) {
	switch {
	case id.How == Socket || id.How == "":
		return given, nil
	case given == "" || given == id.Name:
		return id.Name, nil
	}
	return "", fmt.Errorf("%w: you are signed in as %.80q, and the request is by %.80q; leave the name out", ErrOther, id.Name, given)
}

type identityKey struct{}

// With is a context in which somebody asks.
func With(ctx context.Context, id Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, id)
}

// From is who asks; the zero Identity if nobody said.
func From(ctx context.Context) Identity {
	id, _ := ctx.Value(identityKey{}).(Identity)
	return id
}
