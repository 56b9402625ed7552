package custody

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"time"
)

// idAlphabet is that of Crockford's base 32, whose letters cannot be mistaken for
// digits, in lower case.
const idAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"

var idEncoding = base32.NewEncoding(idAlphabet).WithPadding(base32.NoPadding)

const idLen = 26

// newID returns 26 characters: 48 bits of time in milliseconds, so that ids sort
// by time, then 80 random bits.
func newID() string {
	var p [16]byte
	binary.BigEndian.PutUint64(p[:8], uint64(time.Now().UnixMilli())<<16)
	rand.Read(p[6:]) // never fails
	return idEncoding.EncodeToString(p[:])
}

// validID reports whether s is an id that newID could have made.
func validID(s string) bool {
	if len(s) != idLen {
		return false
	}
	p, err := idEncoding.DecodeString(s)
	return err == nil && idEncoding.EncodeToString(p) == s
}
