package inspect

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
)

// HashList holds SHA-256 digests of known harmful content, with the name that
// its list gives each. The zero value is an empty list.
type HashList struct {
	names map[[32]byte]string
}

// maxHashes bounds a list: about 100 MB of memory.
const maxHashes = 1_000_000

// ReadHashList reads a list: one digest of 64 hex digits a line, then, after
// white space, an optional name. Empty lines and lines that begin with # are
// passed over. Errors name the line.
func ReadHashList(r io.Reader) (HashList, error) {
	l := HashList{names: map[[32]byte]string{}}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		digits, name := text, ""
		if i := strings.IndexAny(text, " \t"); i >= 0 {
			digits, name = text[:i], strings.TrimSpace(text[i:])
		}
		var sum [32]byte
		if len(digits) != 64 {
			return HashList{}, fmt.Errorf("line %d: %d characters where a SHA-256 digest has 64 hex digits", n, len(digits))
		}
		if _, err := hex.Decode(sum[:], []byte(digits)); err != nil {
			return HashList{}, fmt.Errorf("line %d: SHA-256 digest: %w", n, err)
		}
		if len(l.names) == maxHashes {
			return HashList{}, fmt.Errorf("line %d: more than %d digests", n, maxHashes)
		}
		l.names[sum] = name
	}
	if err := lines.Err(); err != nil {
		return HashList{}, fmt.Errorf("reading hash list: %w", err)
	}
	return l, nil
}

// Len returns how many digests the list holds.
func (l HashList) Len() int { return len(l.names) }

// Lookup returns the name that the list gives to a digest.
func (l HashList) Lookup(sum [32]byte) (name string, listed bool) {
	name, listed = l.names[sum]
	return name, listed
}
