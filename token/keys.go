package token

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"

	"cordon/dicom/secure"
)

// key is a public key and what it is for.
type key struct {
	id         string
	public     any
	algorithms []jose.SignatureAlgorithm
}

// parseKeys reads a JWK set. Keys for other uses than signatures, and of kinds
// that are not known here, are left out (RFC 7517 §5); a secret in the file is an
// error, since whoever reads the file could then sign tokens with it.
func parseKeys(texts [][]byte) ([]key, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(texts[0], &set); err != nil {
		return nil, fmt.Errorf("not a JWK set: %w; copy what the issuer has at its jwks_uri", err)
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("the JWK set has %d keys, %d are allowed", len(set.Keys), maxKeys)
	}
	var out []key
	for n, text := range set.Keys {
		var k jose.JSONWebKey
		if err := k.UnmarshalJSON(text); err != nil {
			if errors.Is(err, jose.ErrUnsupportedKeyType) {
				continue
			}
			return nil, fmt.Errorf("key %d of the JWK set: %w", n+1, err)
		}
		if _, secret := k.Key.([]byte); secret || !k.IsPublic() {
			return nil, fmt.Errorf("key %d of the JWK set is a secret; the file holds public keys alone: take it out, and have the issuer replace it", n+1)
		}
		if k.Use != "" && k.Use != "sig" {
			continue
		}
		if why := secure.KeyWeakness(k.Key); why != "" {
			return nil, fmt.Errorf("key %d of the JWK set is %s; RSA of 2048 bits or an elliptic curve of 256 bits is the least", n+1, why)
		}
		if fit := algorithmsOf(k); len(fit) > 0 {
			out = append(out, key{k.KeyID, k.Key, fit})
		}
	}
	if len(out) == 0 {
		return nil, errors.New("the JWK set has no key for signatures; copy what the issuer has at its jwks_uri")
	}
	return out, nil
}

// algorithmsOf lists what a key may be used with: what it says itself (RFC 7517
// §4.4), else all that it can.
func algorithmsOf(k jose.JSONWebKey) []jose.SignatureAlgorithm {
	var out []jose.SignatureAlgorithm
	switch public := k.Key.(type) {
	case *rsa.PublicKey:
		out = []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512}
	case *ecdsa.PublicKey: // a curve has one (RFC 7518 §3.4)
		switch public.Curve.Params().BitSize {
		case 256:
			out = []jose.SignatureAlgorithm{jose.ES256}
		case 384:
			out = []jose.SignatureAlgorithm{jose.ES384}
		case 521:
			out = []jose.SignatureAlgorithm{jose.ES512}
		}
	case ed25519.PublicKey:
		out = []jose.SignatureAlgorithm{jose.EdDSA}
	}
	if k.Algorithm != "" {
		out = slices.DeleteFunc(out, func(a jose.SignatureAlgorithm) bool { return string(a) != k.Algorithm })
	}
	return out
}

// fitting are the keys that a token could be signed with: of its key id, if it
// has one, and for its algorithm.
func fitting(keys []key, h jose.Header) []key {
	var out []key
	for _, k := range keys {
		if (h.KeyID == "" || k.id == h.KeyID) && slices.Contains(k.algorithms, jose.SignatureAlgorithm(h.Algorithm)) {
			out = append(out, k)
		}
	}
	return out
}

func names(keys []key) []string {
	var out []string
	for _, k := range keys {
		out = append(out, k.id)
	}
	return out
}
