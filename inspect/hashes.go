package inspect

import (
	"bufio"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"strings"
)

// HashList holds SHA-256 and MD5 digests of known harmful content, with the name
// that its list gives each. The zero value is an empty list.
//
// MD5 does not tell apart files that somebody made to collide. On a list of what
// is harmful that errs the safe way: it may hold more, never fewer.
type HashList struct {
	names map[string]string // by the digest's 32 or 16 bytes
	md5   bool              // there are MD5 digests among them
}

// maxHashes bounds a list: about 100 MB of memory.
const maxHashes = 1_000_000

// ReadHashList reads a list: one digest of 64 (SHA-256) or 32 (MD5) hex digits a
// line, then, after white space, an optional name. Empty lines and lines that
// begin with # are passed over. Errors name the line.
func ReadHashList(r io.Reader) (HashList, error) {
	var l HashList
	err := l.Add(r)
	return l, err
}

// Add reads another list into l.
func (l *HashList) Add(r io.Reader) error {
	if l.names == nil {
		l.names = map[string]string{}
	}
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
		if err := l.add(digits, name); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("reading hash list: %w", err)
	}
	return nil
}

func (l *HashList) add(digits, name string) error {
	size := len(digits) / 2
	if len(digits)%2 == 1 || size != sha256.Size && size != md5.Size {
		return fmt.Errorf("%d characters where a SHA-256 digest has 64 hex digits and an MD5 digest 32", len(digits))
	}
	sum, err := hex.DecodeString(digits)
	if err != nil {
		return fmt.Errorf("digest: %w", err)
	}
	if len(l.names) == maxHashes {
		return fmt.Errorf("more than %d digests", maxHashes)
	}
	l.names[string(sum)] = name
	l.md5 = l.md5 || size == md5.Size
	return nil
}

// Len returns how many digests the list holds.
func (l HashList) Len() int { return len(l.names) }

// digests are those of one run of bytes that a list may hold. The zero value
// digests nothing.
type digests struct {
	sha256 hash.Hash
	md5    hash.Hash // nil where the list holds none
}

// newDigests returns what l needs to look something up.
func (l HashList) newDigests() digests {
	var d digests
	if l.Len() > 0 {
		d.sha256 = sha256.New()
	}
	if l.md5 {
		d.md5 = md5.New()
	}
	return d
}

func (d digests) off() bool { return d.sha256 == nil }

func (d digests) reset() {
	d.sha256.Reset()
	if d.md5 != nil {
		d.md5.Reset()
	}
}

func (d digests) write(p []byte) {
	d.sha256.Write(p)
	if d.md5 != nil {
		d.md5.Write(p)
	}
}

// lookup returns which digest of what d has seen is listed, and under what name.
func (l HashList) lookup(d digests) (detail string, listed bool) {
	if name, ok := l.names[string(d.sha256.Sum(nil))]; ok {
		return listedAs("SHA-256", name), true
	}
	if d.md5 == nil {
		return "", false
	}
	name, ok := l.names[string(d.md5.Sum(nil))]
	return listedAs("MD5", name), ok
}

func listedAs(kind, name string) string {
	if name == "" {
		return kind + " digest is on the list"
	}
	return fmt.Sprintf("%s digest is on the list as %s", kind, name)
}
