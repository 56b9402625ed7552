package token

import (
	"errors"

	"github.com/go-jose/go-jose/v4"
)

// The reasons that a token is refused, as records name them.
const (
	TooLong        = "too long"
	Malformed      = "not a signed token, or signed with an algorithm that is not allowed"
	OtherType      = "a token for something else"
	UnknownIssuer  = "unknown issuer"
	UnknownKey     = "no such key of its issuer for its algorithm"
	Forged         = "the signature is not its issuer's"
	NoExpiry       = "no expiry"
	Expired        = "expired"
	NotYet         = "not valid yet"
	LivesTooLong   = "valid for longer than is allowed here"
	OtherAudience  = "for another audience"
	NoSubject      = "about nobody"
	BoundElsewhere = "bound to a key that its holder would have to prove in a way that is not known here"
	OtherHolder    = "bound to another certificate than was shown"
)

// Refusal says why a token is not believed.
type Refusal struct {
	Reason string
	Err    error // what exactly; holds nothing of the token's content; may be nil
}

func (r *Refusal) Error() string { return "bearer token: " + r.Reason }
func (r *Refusal) Unwrap() error { return r.Err }

// isSignature reports whether an error of the library says that a signature does
// not fit, rather than that what is signed cannot be read.
func isSignature(err error) bool {
	return errors.Is(err, jose.ErrCryptoFailure) || errors.Is(err, jose.ErrUnsupportedKeyType)
}
