package ledger

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// attestPrefix begins what Attest signs. A checkpoint begins with the name of its
// ledger, in which there is no space, so that neither can be taken for the other.
const attestPrefix = "cordon attests "

// Attest signs a text that is not a checkpoint, such as the digest of a file, with
// the key in use, and returns the signed note. The text is lines that end with a
// line feed.
func (l *Ledger) Attest(text string) (string, error) {
	if !strings.HasSuffix(text, "\n") {
		return "", errors.New("attesting: the text does not end with a line feed")
	}
	signed, err := note.Sign(&note.Note{Text: attestPrefix + text}, l.keys.current().signer)
	if err != nil {
		return "", fmt.Errorf("attesting: %w", err)
	}
	return string(signed), nil
}

// CheckAttestation returns the text that the key vkey has signed with Attest.
func CheckAttestation(signed, vkey string) (string, error) {
	v, err := parseVerifier(vkey)
	if err != nil {
		return "", err
	}
	n, err := note.Open([]byte(signed), note.VerifierList(v))
	if err != nil {
		return "", err
	}
	text, ok := strings.CutPrefix(n.Text, attestPrefix)
	if !ok {
		return "", errors.New("not an attestation")
	}
	return text, nil
}
