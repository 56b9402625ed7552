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
