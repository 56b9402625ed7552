package token

import (
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// claims are what is read of a token.
type claims struct {
	jwt.Claims
	Scope words `json:"scope"` // RFC 8693 §4.2: words in one string
	Scp   words `json:"scp"`   // as other issuers call it, in either form
	Cnf   *struct {
		Certificate string `json:"x5t#S256"` // RFC 8705 §3.1
	} `json:"cnf"`
}

// words are a list of strings, or one string with spaces between.
type words []string

// UnmarshalJSON reads either form.
func (w *words) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*w = strings.Fields(one)
		return nil
	}
	return json.Unmarshal(text, (*[]string)(w))
}

// typed refuses tokens that say they are something else, such as a logout token,
// which is signed with the same keys and for the same audience (RFC 8725 §3.11).
func typed(h jose.Header) error {
	typ, given := h.ExtraHeaders[jose.HeaderType]
	if !given {
		return nil
	}
	name, _ := typ.(string)
	switch strings.TrimPrefix(strings.ToLower(name), "application/") {
	case "jwt", "at+jwt": // RFC 7519 §5.1, RFC 9068 §2.1
		return nil
	}
	return &Refusal{Reason: OtherType}
}

// believe says what of a token's claims holds for us now.
func (i *issuer) believe(said claims, now time.Time) (Claims, error) {
	refuse := func(reason string) (Claims, error) { return Claims{}, &Refusal{Reason: reason} }
	switch err := said.ValidateWithLeeway(jwt.Expected{Issuer: i.config.Issuer, AnyAudience: jwt.Audience{i.config.Audience}, Time: now}, leeway); {
	case said.Expiry == nil:
		return refuse(NoExpiry)
	case errors.Is(err, jwt.ErrInvalidIssuer):
		return refuse(UnknownIssuer)
	case errors.Is(err, jwt.ErrInvalidAudience):
		return refuse(OtherAudience)
	case errors.Is(err, jwt.ErrExpired):
		return refuse(Expired)
	case errors.Is(err, jwt.ErrNotValidYet), errors.Is(err, jwt.ErrIssuedInTheFuture):
		return refuse(NotYet)
	case err != nil:
		return Claims{}, &Refusal{Reason: Malformed, Err: err}
	case said.Expiry.Time().Sub(now) > i.config.MaxLifetime+leeway:
		return refuse(LivesTooLong)
	case said.Subject == "" || len(said.Subject) > maxSubject || !utf8.ValidString(said.Subject):
		return refuse(NoSubject)
	case len(said.Scope)+len(said.Scp) > maxScopes:
		return refuse(TooLong)
	case said.Cnf != nil && said.Cnf.Certificate == "":
		return refuse(BoundElsewhere)
	}
	out := Claims{Issuer: said.Issuer, Subject: said.Subject, Scopes: append(said.Scope, said.Scp...), Expires: said.Expiry.Time()}
	if said.Cnf != nil {
		out.BoundTo = said.Cnf.Certificate
	}
	return out, nil
}
