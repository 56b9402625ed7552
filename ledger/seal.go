package ledger

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"cordon/store"
)

// ErrErased is returned for a sealed string whose key has been erased.
var ErrErased = errors.New("erased")

const (
	// sealPrefix begins every sealed string: "sealed:1:ID:BYTES". ID names the
	// data key; BYTES are a nonce of 12 bytes and AES-256-GCM over canonical
	// JSON, with ID as additional data. Both are base64url without padding.
	sealPrefix = "sealed:1:"
	// maxSealed bounds what one string seals, as bytes of canonical JSON.
	maxSealed = 16 << 10
	// keyBytes is the length of each secret key.
	keyBytes = 32
)

// Subject is whom or what sealed data are about: what Erase takes. It is the
// patient's where the patient is known, else the study's.
func Subject(patientID, issuer, studyUID string) string {
	patientID = strings.TrimSpace(patientID)
	if patientID == "" {
		return "study\x00" + strings.TrimSpace(studyUID)
	}
	return "patient\x00" + strings.TrimSpace(issuer) + "\x00" + patientID
}

// Seal encrypts v, which is about subject, to a string for a record's body. The
// record's proof covers the string, so that it still holds when Erase has made
// it unreadable. Patient data enter a body in no other way.
func (l *Ledger) Seal(tx *store.Tx, subject string, v any) (string, error) {
	plain, err := canonical(v)
	if err != nil {
		return "", fmt.Errorf("sealing for the ledger: %w", err)
	}
	if len(plain) > maxSealed {
		return "", fmt.Errorf("sealing for the ledger: %d bytes, at most %d", len(plain), maxSealed)
	}
	id, key, err := l.seal.subjectKey(tx, subject, l.now())
	if err != nil {
		return "", fmt.Errorf("sealing for the ledger: %w", err)
	}
	return sealPrefix + id + ":" + base64.RawURLEncoding.EncodeToString(encrypt(key, id, plain)), nil
}

// Unseal decrypts a string of Seal into v, as encoding/json does. It returns
// ErrErased if its subject has been erased. Who reads it on behalf of a person
// records that.
func (l *Ledger) Unseal(ctx context.Context, sealed string, v any) error {
	rest, ok := strings.CutPrefix(sealed, sealPrefix)
	id, text, ok2 := strings.Cut(rest, ":")
	if !ok || !ok2 {
		return errors.New("unsealing: not a sealed string")
	}
	ciphertext, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return fmt.Errorf("unsealing: %w", err)
	}
	var wrapped []byte
	err = l.db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT key FROM ledger_subjects WHERE id = ?`, id).Scan(&wrapped)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return ErrErased
	}
	if err != nil {
		return fmt.Errorf("unsealing: %w", err)
	}
	key, err := decrypt(l.seal.wrap, id, wrapped)
	if err != nil {
		return fmt.Errorf("unsealing: data key %s: %w", id, err)
	}
	plain, err := decrypt(key, id, ciphertext)
	if err != nil {
		return fmt.Errorf("unsealing: %w", err)
	}
	return json.Unmarshal(plain, v)
}

// Erase makes everything that was sealed for subject unreadable, for ever, and
// records who did it and why; neither may hold patient data. It reports whether
// there was anything. The data key is overwritten on the disk too.
func (l *Ledger) Erase(ctx context.Context, subject, by, reason string) (bool, error) {
	erased := false
	err := l.db.Update(ctx, func(tx *store.Tx) error {
		var id string
		err := tx.QueryRow(`SELECT id FROM ledger_subjects WHERE subject = ?`, l.seal.name(subject)).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := tx.Exec(`DELETE FROM ledger_subjects WHERE id = ?`, id); err != nil {
			return err
		}
		erased = true
		return l.Append(tx, "ledger.erased", map[string]any{"id": id, "by": by, "reason": reason})
	})
	if err == nil && erased {
		err = l.db.Fold(ctx)
	}
	if err != nil {
		return erased, fmt.Errorf("erasing: %w", err)
	}
	return erased, nil
}

// Digest is a keyed digest of a text, 16 hexadecimal digits: two are alike if the
// texts are, and only who has the seal key can try texts out. For values that may
// be secret, such as a configuration's.
func (l *Ledger) Digest(text string) string {
	return hex.EncodeToString(l.seal.name("digest\x00" + text)[:8])
}

// A sealKey guards the data keys. Its secret is in a file beside the database,
// so that the database alone tells no patient's name.
type sealKey struct {
	wrap  []byte // encrypts data keys
	names []byte // hides subjects
}

// name is what a subject is found by.
func (k *sealKey) name(subject string) []byte {
	mac := hmac.New(sha256.New, k.names)
	mac.Write([]byte(subject))
	return mac.Sum(nil)
}

// usedEvery is how exactly it is known when a subject was last sealed for.
const usedEvery = 24 * time.Hour

// subjectKey returns the data key of a subject, and makes it at first.
func (k *sealKey) subjectKey(tx *store.Tx, subject string, now time.Time) (id string, key []byte, err error) {
	var wrapped []byte
	var used int64
	name := k.name(subject)
	err = tx.QueryRow(`SELECT id, key, used_at FROM ledger_subjects WHERE subject = ?`, name).Scan(&id, &wrapped, &used)
	if errors.Is(err, sql.ErrNoRows) {
		id, key = base64.RawURLEncoding.EncodeToString(random(16)), random(keyBytes)
		_, err = tx.Exec(`INSERT INTO ledger_subjects (id, subject, key, used_at) VALUES (?, ?, ?, ?)`,
			id, name, encrypt(k.wrap, id, key), now.UnixMicro())
		return id, key, err
	}
	if err != nil {
		return "", nil, err
	}
	if now.Sub(time.UnixMicro(used)) > usedEvery {
		if _, err := tx.Exec(`UPDATE ledger_subjects SET used_at = ? WHERE id = ?`, now.UnixMicro(), id); err != nil {
			return "", nil, err
		}
	}
	key, err = decrypt(k.wrap, id, wrapped)
	return id, key, err
}

// openSealKey reads the seal key's file. It makes one if there is none and
// nothing was sealed with it.
func openSealKey(ctx context.Context, db *store.DB, path string) (*sealKey, error) {
	text, err := store.ReadPrivate(path)
	if errors.Is(err, fs.ErrNotExist) {
		var sealed int64
		err := db.View(ctx, func(tx *store.Tx) error {
			return tx.QueryRow(`SELECT COUNT(*) FROM ledger_subjects`).Scan(&sealed)
		})
		if err != nil {
			return nil, err
		}
		if sealed > 0 {
			return nil, fmt.Errorf("seal key %s is missing, and the data of %d patients and studies are sealed with it: restore it from a backup", path, sealed)
		}
		return newSealKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("seal key: %w", err)
	}
	secret, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(secret) != keyBytes {
		return nil, fmt.Errorf("seal key %s is damaged: restore it from a backup", path)
	}
	return deriveSealKey(secret)
}

func newSealKey(path string) (*sealKey, error) {
	secret := random(keyBytes)
	if err := store.MakeDir(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("making seal key: %w", err)
	}
	text := base64.StdEncoding.EncodeToString(secret) + "\n"
	if err := store.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("making seal key: %w", err)
	}
	return deriveSealKey(secret)
}

func deriveSealKey(secret []byte) (*sealKey, error) {
	wrap, err := hkdf.Key(sha256.New, secret, nil, "cordon ledger data keys", keyBytes)
	if err != nil {
		return nil, err
	}
	names, err := hkdf.Key(sha256.New, secret, nil, "cordon ledger subjects", keyBytes)
	return &sealKey{wrap: wrap, names: names}, err
}

// random returns n secret bytes.
func random(n int) []byte {
	p := make([]byte, n)
	rand.Read(p) // never fails: see crypto/rand
	return p
}

// aead is AES-256-GCM; keys have keyBytes, so there is no error.
func aead(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return gcm
}

// encrypt returns a nonce and the ciphertext; additional data are not in it.
func encrypt(key []byte, additional string, plain []byte) []byte {
	gcm := aead(key)
	nonce := random(gcm.NonceSize())
	return gcm.Seal(bytes.Clone(nonce), nonce, plain, []byte(additional))
}

func decrypt(key []byte, additional string, sealed []byte) ([]byte, error) {
	gcm := aead(key)
	if len(sealed) < gcm.NonceSize() {
		return nil, errors.New("too short")
	}
	return gcm.Open(nil, sealed[:gcm.NonceSize()], sealed[gcm.NonceSize():], []byte(additional))
}
