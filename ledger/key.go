package ledger

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
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

// sign returns the signed note of a checkpoint, whose origin is the key's name.
func (k *key) sign(c checkpoint) ([]byte, error) {
	c.origin = k.signer.Name()
	return note.Sign(&note.Note{Text: c.text()}, k.signer)
}

// fingerprint is how people compare keys.
func (k *key) fingerprint() string {
	v, err := parseVerifier(k.vkey)
	if err != nil {
		return "" // parseKey made it
	}
	return v.fingerprint
}

// keys is the key in use and, while it is being replaced, the next.
type keys struct {
	mu        sync.Mutex
	now, next *key
}

// of returns the one with this verifier key; the one in use if it is "".
func (k *keys) of(vkey string) (*key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case vkey == "" || vkey == k.now.vkey:
		return k.now, nil
	case k.next != nil && vkey == k.next.vkey:
		return k.next, nil
	}
	return nil, fmt.Errorf("the last checkpoint was signed by %s, which is not this ledger's key", vkey)
}

// introduce has checkpoints signed by next too, once the ledger says so; nil
// ends that.
func (k *keys) introduce(next *key) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.next = next
}

// use replaces the key in use.
func (k *keys) use(next *key) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.now, k.next = next, nil
}

// current is the key in use.
func (k *keys) current() *key {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now
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

// newOrigin names a ledger that is new: after its site, and unlike any other of
// that site, since each node has its own.
func newOrigin(site string) string {
	return originName(site) + "/" + hex.EncodeToString(random(4))
}

// newKey makes a key of that name and its file, durably.
func newKey(path, name string) (*key, error) {
	skey, _, err := note.GenerateKey(rand.Reader, name)
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
