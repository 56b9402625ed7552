package backup

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"filippo.io/age"
)

// ErrRequest means that what a backup is encrypted to is not usable.
var ErrRequest = errors.New("not a key or passphrase for a backup")

// minPassphrase is the shortest that is taken, in bytes. The file is made to be
// stored where anybody may try.
const minPassphrase = 16

// ParseTo reads whom a backup is encrypted to: recipients as age-keygen and NewKey
// print them, or a passphrase, not both.
func ParseTo(recipients []string, passphrase, by string) (To, error) {
	to := To{By: by}
	switch {
	case passphrase != "" && len(recipients) > 0:
		return to, fmt.Errorf("%w: recipients or a passphrase, not both", ErrRequest)
	case passphrase == "" && len(recipients) == 0:
		return to, fmt.Errorf("%w: a recipient is needed (--to age1…), or a file with a passphrase (--passphrase-file FILE)", ErrRequest)
	case passphrase != "":
		if len(passphrase) < minPassphrase {
			return to, fmt.Errorf("%w: a passphrase of %d bytes or more is needed", ErrRequest, minPassphrase)
		}
		r, err := age.NewScryptRecipient(passphrase)
		if err != nil {
			return to, fmt.Errorf("%w: %w", ErrRequest, err)
		}
		to.Recipients, to.Names = []age.Recipient{r}, []string{"passphrase"}
		return to, nil
	}
	for _, text := range recipients {
		r, err := age.ParseX25519Recipient(strings.TrimSpace(text))
		if err != nil {
			return to, fmt.Errorf("%w: %.80q is no public key; write one that begins with age1", ErrRequest, text)
		}
		to.Recipients, to.Names = append(to.Recipients, r), append(to.Names, r.String())
	}
	return to, nil
}

// ReadIdentities reads the text of a key file, as age-keygen and NewKey write it.
func ReadIdentities(text string) ([]age.Identity, error) {
	ids, err := age.ParseIdentities(strings.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("%w: expected a line that begins with AGE-SECRET-KEY-1", ErrRequest)
	}
	return ids, nil
}

// maxWork bounds what opening a file with a passphrase costs: 2^maxWork, 1 GiB of
// memory at most.
const maxWork = 20

// FromPassphrase opens what ParseTo encrypts to a passphrase.
func FromPassphrase(passphrase string) ([]age.Identity, error) {
	id, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	id.SetMaxWorkFactor(maxWork)
	return []age.Identity{id}, nil
}

// NewKey makes a key: the text of its file, which opens backups, and the
// recipient to which they are made.
func NewKey() (text, recipient string, err error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return "", "", err
	}
	recipient = id.Recipient().String()
	return fmt.Sprintf("# created: %s\n# public key: %s\n%s\n", time.Now().UTC().Format(time.RFC3339), recipient, id), recipient, nil
}
