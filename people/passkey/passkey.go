// Package passkey lets people sign in by passkeys (W3C Web Authentication), by
// github.com/go-webauthn/webauthn.
//
// Ordinary use:
//
//	p, err := passkey.New("Example Hospital", "https://cordon.example.org")
//	options, state, err := p.Make(account, known)          // to the browser; state stays with us
//	key, err := p.Made(account, state, body)               // what the browser's authenticator made
//	options, state, err = p.Ask()                          // whoever it is
//	key, err = p.Asked(ctx, state, body, find)             // who it was
//
// A passkey has to have been unlocked by its owner, with a PIN or a finger: it is both
// what they have and what they know. No attestation is asked for: which make an
// authenticator is of is nobody's business here.
//
// It keeps nothing. State must not be in the hands of anybody but us; the caller seals
// it. It will not work under an address in numbers: browsers want a name.
package passkey

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"cordon/people"
)

// Term is how long somebody may take.
const Term = 5 * time.Minute

// Passkeys are those for one address of the console.
type Passkeys struct{ w *webauthn.WebAuthn }

// New returns the passkeys of a site whose console browsers reach at an address.
func New(site, address string) (*Passkeys, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	limit := webauthn.TimeoutConfig{Enforce: true, Timeout: Term, TimeoutUVD: Term}
	w, err := webauthn.New(&webauthn.Config{
		RPID: u.Hostname(), RPDisplayName: site, RPOrigins: []string{u.Scheme + "://" + u.Host},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired,
		},
		Timeouts: webauthn.TimeoutsConfig{Login: limit, Registration: limit},
	})
	if err != nil {
		return nil, fmt.Errorf("passkeys at %s: %w", address, err)
	}
	return &Passkeys{w}, nil
}

// owner is an account as the library wants it.
type owner struct {
	id, name string
	keys     []webauthn.Credential
}

func (o owner) WebAuthnID() []byte                         { return []byte(o.id) }
func (o owner) WebAuthnName() string                       { return o.name }
func (o owner) WebAuthnDisplayName() string                { return o.name }
func (o owner) WebAuthnCredentials() []webauthn.Credential { return o.keys }

func ownerOf(id, name string, keys []people.Key) (owner, error) {
	o := owner{id: id, name: name}
	for _, k := range keys {
		var c webauthn.Credential
		if err := json.Unmarshal(k.Credential, &c); err != nil {
			return o, fmt.Errorf("passkey %q: %w", k.Label, err)
		}
		o.keys = append(o.keys, c)
	}
	return o, nil
}

// Make begins making a passkey for an account, which has some already: options are
// for the browser.
func (p *Passkeys) Make(id, name string, known []people.Key) (options any, state []byte, err error) {
	o, err := ownerOf(id, name, known)
	if err != nil {
		return nil, nil, err
	}
	creation, session, err := p.w.BeginRegistration(o, webauthn.WithExclusions(webauthn.Credentials(o.keys).CredentialDescriptors()))
	if err != nil {
		return nil, nil, err
	}
	state, err = json.Marshal(session)
	return creation, state, err
}

// Made ends it with what the browser answered.
func (p *Passkeys) Made(id, name string, state, answer []byte) (k people.Key, err error) {
	var session webauthn.SessionData
	if err := json.Unmarshal(state, &session); err != nil {
		return k, err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return k, refused(err)
	}
	c, err := p.w.CreateCredential(owner{id: id, name: name}, session, parsed)
	if err != nil {
		return k, refused(err)
	}
	k = people.Key{ID: c.ID, Account: id}
	k.Credential, err = json.Marshal(c)
	return k, err
}

// Ask begins asking who somebody is.
func (p *Passkeys) Ask() (options any, state []byte, err error) {
	assertion, session, err := p.w.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return nil, nil, err
	}
	state, err = json.Marshal(session)
	return assertion, state, err
}

// Known finds the account that a passkey belongs to, and its passkeys.
type Known func(ctx context.Context, key []byte) (people.Account, []people.Key, error)

// Asked ends it: whose passkey was shown, with its counter moved on.
func (p *Passkeys) Asked(ctx context.Context, state, answer []byte, find Known) (k people.Key, err error) {
	var session webauthn.SessionData
	if err := json.Unmarshal(state, &session); err != nil {
		return k, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return k, refused(err)
	}
	var trouble error // ours, and not the authenticator's
	_, c, err := p.w.ValidatePasskeyLogin(func(key, handle []byte) (webauthn.User, error) {
		account, keys, err := find(ctx, key)
		if err != nil {
			trouble = err
			return nil, err
		}
		if account.ID != string(handle) {
			return nil, errors.New("the passkey is of another account")
		}
		k.Account = account.ID
		return ownerOf(account.ID, account.Name, keys)
	}, session, parsed)
	switch {
	case trouble != nil:
		return k, trouble
	case err != nil:
		return k, refused(err)
	case c.Authenticator.CloneWarning:
		return k, fmt.Errorf("%w: the passkey's counter went back: there may be a copy of it; remove it and make another one", people.ErrDenied)
	}
	k.ID = c.ID
	k.Credential, err = json.Marshal(c)
	return k, err
}

// refused is an error of whoever answered.
func refused(err error) error {
	var e *protocol.Error
	if errors.As(err, &e) {
		return fmt.Errorf("%w: the passkey was not accepted: %s", people.ErrDenied, e.Details)
	}
	return fmt.Errorf("%w: the passkey was not accepted", people.ErrDenied)
}
