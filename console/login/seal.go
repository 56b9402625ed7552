package login

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"cordon/people"
)

// sealer seals what is on its way in a browser and must come back as it was: for a
// few minutes, from this process alone, and once.
type sealer struct {
	aead cipher.AEAD

	mu   sync.Mutex
	used map[string]time.Time // the nonces of what came back and was good, until it would be too old
}

// sealedFor is how long something may be on its way.
const sealedFor = 10 * time.Minute

func newSealer() *sealer {
	var key [32]byte
	rand.Read(key[:])
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // the key has 32 bytes
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // so has the cipher's block 16
	}
	return &sealer{aead: aead, used: map[string]time.Time{}}
}

// parcel is what is sealed.
type parcel struct {
	For   string          `json:"for"`
	Until time.Time       `json:"until"`
	Value json.RawMessage `json:"value"`
}

// seal makes a text of v, for one purpose.
func (s *sealer) seal(purpose string, v any) (string, error) {
	value, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(parcel{purpose, time.Now().Add(sealedFor), value})
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, text, nil)), nil
}

var errSeal = fmt.Errorf("%w: this took too long, or was done already: begin again", people.ErrDenied)

// open reads it back.
func (s *sealer) open(purpose, sealed string, v any) error {
	data, err := base64.RawURLEncoding.Strict().DecodeString(sealed) // one text alone is good, since it is remembered as spent
	if err != nil {
		return errSeal
	}
	text, err := s.aead.Open(nil, nil, data, nil)
	if err != nil {
		return errSeal
	}
	var p parcel
	if err := json.Unmarshal(text, &p); err != nil || p.For != purpose || time.Now().After(p.Until) {
		return errors.Join(errSeal)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.used[sealed[:nonceText]]; ok {
		return errSeal
	}
	return json.Unmarshal(p.Value, v)
}

// nonceText is how many characters of a sealed text tell it from all others.
const nonceText = 16

// spend makes sealed no good any more. It is called once what came back with it was
// found good, so that nobody fills memory with less.
func (s *sealer) spend(sealed string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, until := range s.used {
		if time.Now().After(until) {
			delete(s.used, k)
		}
	}
	s.used[sealed[:nonceText]] = time.Now().Add(sealedFor)
}
