package ledger

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Cosignature says that a witness has seen a checkpoint, and that the tree had
// grown from every one that it saw before.
type Cosignature struct {
	Witness string    `json:"witness"` // its verifier key
	Time    time.Time `json:"time"`    // by the witness's clock, to the second
}

// algCosignature is C2SP tlog-cosignature's "cosignature/v1": Ed25519 over the
// checkpoint and the time.
const algCosignature = 4

// WitnessKey opens what a witness has cosigned: a note.Verifier.
type WitnessKey struct {
	name   string
	hash   uint32
	public ed25519.PublicKey
	text   string
}

// ParseWitnessKey reads a witness's verifier key, "name+hash+base64" of
// algorithm 4.
func ParseWitnessKey(vkey string) (*WitnessKey, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("key of a witness: expected name+hash+base64, as the witness's cordon ledger key prints it")
	}
	p, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(p) != 1+ed25519.PublicKeySize || p[0] != algCosignature {
		return nil, errors.New("key of a witness: expected a key of cosignatures (algorithm 4), as the witness's cordon ledger key prints it")
	}
	w := newWitnessKey(parts[0], p[1:])
	if w.text != vkey || originName(w.name) != w.name {
		return nil, fmt.Errorf("key of a witness: %w", errNotCanonical)
	}
	return w, nil
}

func newWitnessKey(name string, public ed25519.PublicKey) *WitnessKey {
	p := append([]byte{algCosignature}, public...)
	sum := sha256.Sum256(append([]byte(name+"\n"), p...))
	return &WitnessKey{
		name: name, hash: binary.BigEndian.Uint32(sum[:]), public: public,
		text: name + "+" + hex.EncodeToString(sum[:4]) + "+" + base64.StdEncoding.EncodeToString(p),
	}
}

// String returns the verifier key.
func (w *WitnessKey) String() string { return w.text }

// Name is the witness's.
func (w *WitnessKey) Name() string { return w.name }

// KeyHash tells keys of one name apart.
func (w *WitnessKey) KeyHash() uint32 { return w.hash }

// Fingerprint returns "SHA256:…" of the public key.
func (w *WitnessKey) Fingerprint() string { return fingerprint(w.public) }

// Verify reports whether sig, eight bytes of time and a signature, is the
// witness's over a checkpoint's text.
func (w *WitnessKey) Verify(text, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	return ed25519.Verify(w.public, cosignedText(binary.BigEndian.Uint64(sig), text), sig[8:])
}

// cosignedText is what a cosignature signs; at is in seconds since 1970.
func cosignedText(at uint64, checkpoint []byte) []byte {
	return append(fmt.Appendf(nil, "cosignature/v1\ntime %d\n", at), checkpoint...)
}

// cosignedAt is the time in a signature of a note: hash, time, Ed25519.
func cosignedAt(raw []byte) time.Time {
	return time.Unix(int64(binary.BigEndian.Uint64(raw[4:])), 0).UTC()
}

// WitnessSigner cosigns checkpoints.
type WitnessSigner struct {
	*WitnessKey
	private ed25519.PrivateKey
}

// NewWitnessSigner makes one from a name and a secret seed of 32 bytes.
func NewWitnessSigner(name string, seed []byte) (*WitnessSigner, error) {
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("seed of %d bytes, expected %d", len(seed), ed25519.SeedSize)
	}
	private := ed25519.NewKeyFromSeed(seed)
	return &WitnessSigner{newWitnessKey(originName(name), private.Public().(ed25519.PublicKey)), private}, nil
}

// Cosign returns the signature line for a checkpoint's text, with a line feed.
func (w *WitnessSigner) Cosign(text string, at time.Time) string {
	seconds := uint64(at.Unix())
	raw := binary.BigEndian.AppendUint32(nil, w.hash)
	raw = binary.BigEndian.AppendUint64(raw, seconds)
	raw = append(raw, ed25519.Sign(w.private, cosignedText(seconds, []byte(text)))...)
	return signatureLine(w.name, raw)
}

// checkCosignature holds what a witness answered against what it was asked: one
// line, in the only form that it may have.
func checkCosignature(w *WitnessKey, text string, line []byte) error {
	rest, ok := bytes.CutPrefix(line, []byte("— "+w.name+" "))
	if !ok {
		return fmt.Errorf("witness answered without a cosignature of %s: is its key the one configured?", w.name)
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(string(rest), "\n"))
	if err != nil || len(raw) < 4 || signatureLine(w.name, raw) != string(line) {
		return fmt.Errorf("cosignature of %s: %w", w.name, errNotCanonical)
	}
	if binary.BigEndian.Uint32(raw) != w.hash || !w.Verify([]byte(text), raw[4:]) {
		return fmt.Errorf("cosignature of %s is not by the key configured", w.name)
	}
	return nil
}
