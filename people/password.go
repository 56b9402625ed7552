package people

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"
)

// Cost is what it takes to try one password (RFC 9106 §4). It is kept with each
// hash, so that it can grow: who signs in has theirs made anew.
type Cost struct {
	KiB    uint32 // of memory
	Passes uint32
}

// DefaultCost takes some 50 ms of one processor. Beyond what OWASP asks for (19 MiB,
// 2 passes), and little enough for a gateway beside which images pass.
var DefaultCost = Cost{KiB: 32 << 10, Passes: 3}

const (
	saltBytes = 16
	keyBytes  = 32

	maxKiB    = 1 << 20 // of a hash that is read
	maxPasses = 64

	// maxPassword bounds what is hashed: a sentence fits, a flood does not.
	maxPassword = 1024
)

// hash makes the text that is kept of a password, in the form that others use:
// $argon2id$v=19$m=32768,t=3,p=1$SALT$KEY.
func (c Cost) hash(password string) (string, error) {
	var salt [saltBytes]byte
	if _, err := rand.Read(salt[:]); err != nil {
		return "", err
	}
	key := argon2.IDKey([]byte(password), salt[:], c.Passes, c.KiB, 1, keyBytes)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=1$%s$%s", argon2.Version, c.KiB, c.Passes, b64.EncodeToString(salt[:]), b64.EncodeToString(key)), nil
}

var errHash = errors.New("the hash of a password cannot be read")

// fits reports whether a password is the one of a hash, and what that hash cost.
func fits(password, hash string) (bool, Cost, error) {
	var c Cost
	var version int
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false, c, errHash
	}
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return false, c, errHash
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=1", &c.KiB, &c.Passes); err != nil || c.KiB == 0 || c.KiB > maxKiB || c.Passes == 0 || c.Passes > maxPasses {
		return false, c, errHash
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	key, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil || err2 != nil || len(salt) < 8 || len(key) != keyBytes {
		return false, c, errHash
	}
	return subtle.ConstantTimeCompare(key, argon2.IDKey([]byte(password), salt, c.Passes, c.KiB, 1, keyBytes)) == 1, c, nil
}

// ErrBusy means that too many try to sign in at a time.
var ErrBusy = errors.New("too many people sign in at this moment: try again in a few seconds")

// hasher bounds how many passwords are tried at a time, and so the memory for them,
// and how many wait for their turn.
type hasher struct {
	working, waiting chan struct{}
}

const (
	hashing     = 2
	hashWaiting = 32
	hashWait    = 10 * time.Second
)

func newHasher() *hasher {
	return &hasher{working: make(chan struct{}, hashing), waiting: make(chan struct{}, hashWaiting)}
}

// do runs fn when it is its turn.
func (h *hasher) do(ctx context.Context, fn func() error) error {
	select {
	case h.waiting <- struct{}{}:
	default:
		return ErrBusy
	}
	defer func() { <-h.waiting }()
	ctx, cancel := context.WithTimeout(ctx, hashWait)
	defer cancel()
	select {
	case h.working <- struct{}{}:
	case <-ctx.Done():
		return ErrBusy
	}
	defer func() { <-h.working }()
	return fn()
}

// makeHash checks a new password and hashes it.
func (a *Accounts) makeHash(ctx context.Context, name, password string) (hash string, err error) {
	if err := CheckPassword(name, password); err != nil {
		return "", err
	}
	err = a.hasher.do(ctx, func() error {
		hash, err = a.options.Cost.hash(password)
		return err
	})
	return hash, err
}
