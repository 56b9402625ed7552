package ledger

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"unicode"

	"cordon/store"

	"golang.org/x/mod/sumdb/note"
)

// A key signs checkpoints. Its file holds one line, a note signer key, which
// has the ledger's name in it.
type key struct {
	signer note.Signer
	vkey   string // the verifier key "name+hash+base64"
}

var errNoKey = errors.New("no key")

// readKey returns errNoKey if there is no file.
func readKey(path string) (*key, error) {
	text, err := store.ReadPrivate(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoKey
	}
	if err != nil {
		return nil, fmt.Errorf("ledger key: %w", err)
	}
	k, err := parseKey(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("ledger key %s is damaged (%w): restore it from a backup", path, err)
	}
	return k, nil
}

func parseKey(skey string) (*key, error) {
	signer, err := note.NewSigner(skey)
	if err != nil {
		return nil, err
	}
	// NewSigner has checked it: PRIVATE+KEY+name+hash+base64 of an algorithm byte and a seed.
	seed, err := base64.StdEncoding.DecodeString(strings.SplitN(skey, "+", 5)[4])
	if err != nil {
		return nil, err
	}
	public := ed25519.NewKeyFromSeed(seed[1:]).Public().(ed25519.PublicKey)
	vkey, err := note.NewEd25519VerifierKey(signer.Name(), public)
	return &key{signer: signer, vkey: vkey}, err
}

// newKey makes a key and its file, durably.
func newKey(path, origin string) (*key, error) {
	skey, _, err := note.GenerateKey(rand.Reader, originName(origin))
	if err != nil {
		return nil, fmt.Errorf("making ledger key: %w", err)
	}
	if err := store.MakeDir(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("making ledger key: %w", err)
	}
	if err := store.WriteFile(path, []byte(skey+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("making ledger key: %w", err)
	}
	return parseKey(skey)
}

// originName makes a site's name fit for a key: no spaces and no plus.
func originName(origin string) string {
	name := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.IsControl(r) || r == '+' || r == unicode.ReplacementChar {
			return '-'
		}
		return r
	}, strings.ToValidUTF8(origin, "-"))
	if name == "" {
		return "cordon"
	}
	return name
}

// A verifier opens what a key has signed.
type verifier struct {
	note.Verifier
	vkey        string
	fingerprint string
}

// parseVerifier accepts a verifier key only in the form that we write.
func parseVerifier(vkey string) (*verifier, error) {
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	// NewVerifier has checked it: name+hash+base64 of an algorithm byte and 32 more.
	p, err := base64.StdEncoding.DecodeString(strings.SplitN(vkey, "+", 3)[2])
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	again, err := note.NewEd25519VerifierKey(v.Name(), p[1:])
	if err != nil || again != vkey {
		return nil, fmt.Errorf("key: %w", errNotCanonical)
	}
	return &verifier{Verifier: v, vkey: vkey, fingerprint: fingerprint(p[1:])}, nil
}

// fingerprint is how people compare keys: the SHA-256 of the public key, written
// as ssh writes it.
func fingerprint(public ed25519.PublicKey) string {
	sum := sha256.Sum256(public)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}
