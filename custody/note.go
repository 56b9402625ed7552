package custody

import (
	"bytes"
	"fmt"
	"io"

	"filippo.io/age"
)

// Seal encrypts a small text to custody's key, for a row of somebody else's
// table: what is kept there is as secret as a blob.
func (c *Custody) Seal(plain []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, c.identity.Recipient())
	if err == nil {
		_, err = w.Write(plain)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("sealing a text: %w", err)
	}
	return out.Bytes(), nil
}

// Unseal reads what Seal returned. ErrDamaged means that it is not that, or was
// sealed to another key.
func (c *Custody) Unseal(sealed []byte) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(sealed), c.identity)
	if err != nil {
		return nil, fmt.Errorf("sealed text: %w: %w", ErrDamaged, err)
	}
	plain, err := io.ReadAll(io.LimitReader(r, int64(len(sealed))))
	if err != nil {
		return nil, fmt.Errorf("sealed text: %w: %w", ErrDamaged, err)
	}
	return plain, nil
}
