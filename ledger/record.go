package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// version is the "v" of every record written. In the tree a record of version 1
// stands for its whole line, one of version 2 for its line with the body's
// digest in the place of the body, so that its proof holds without the body.
const version = 2

// timeFormat is RFC 3339 in UTC with exactly six decimals.
const timeFormat = "2006-01-02T15:04:05.000000Z"

// Record is one line of the ledger.
type Record struct {
	Seq     int64           `json:"seq"`  // from 0, without a gap
	Time    time.Time       `json:"time"` // UTC, to the microsecond, by this machine's clock
	Kind    string          `json:"kind"`
	Body    json.RawMessage `json:"body,omitempty"`        // canonical JSON; nil once it has been pruned
	Digest  string          `json:"body_sha256,omitempty"` // of the body, lower case hex, if it has been pruned
	Version int             `json:"v"`
}

// isKind reports whether a kind is written as kinds are: lower case, digits, dots,
// dashes, up to 64 of them.
func isKind(kind string) bool {
	for i := range len(kind) {
		c := kind[i]
		letter := 'a' <= c && c <= 'z'
		if !letter && (i == 0 || !('0' <= c && c <= '9' || c == '.' || c == '_' || c == '-')) {
			return false
		}
	}
	return kind != "" && len(kind) <= 64
}

// encode returns the record's canonical line, without a line feed. The body must
// be canonical.
func (r Record) encode() ([]byte, error) {
	if !isKind(r.Kind) {
		return nil, fmt.Errorf("kind %.80q: expected lower case, digits, dots, dashes", r.Kind)
	}
	line := make([]byte, 0, len(r.Body)+256)
	if r.Body != nil {
		line = append(line, `{"body":`...)
		line = append(line, r.Body...)
	} else {
		line = append(line, `{"body_sha256":"`...)
		line = append(line, r.Digest...)
		line = append(line, '"')
	}
	line = append(line, `,"kind":"`...)
	line = append(line, r.Kind...)
	line = append(line, `","seq":`...)
	line = strconv.AppendInt(line, r.Seq, 10)
	line = append(line, `,"time":"`...)
	line = r.Time.UTC().AppendFormat(line, timeFormat)
	line = append(line, `","v":`...)
	line = strconv.AppendInt(line, int64(r.Version), 10)
	line = append(line, '}')
	if len(line) > maxRecord {
		return nil, fmt.Errorf("record of kind %s: %d bytes, at most %d", r.Kind, len(line), maxRecord)
	}
	return line, nil
}

// leaf returns what the tree keeps of the record whose line is given: that of the
// record without its body.
func (r Record) leaf(line []byte) []byte {
	if r.Version == 1 || r.Body == nil {
		return line
	}
	sum := sha256.Sum256(r.Body)
	leaf := make([]byte, 0, 256)
	leaf = append(leaf, `{"body_sha256":"`...)
	leaf = hex.AppendEncode(leaf, sum[:])
	leaf = append(leaf, '"')
	return append(leaf, line[len(`{"body":`)+len(r.Body):]...)
}

// Hash returns the record's own in the tree (RFC 6962 §2.1: a leaf's), base64;
// it is the same with and without its body.
func (r Record) Hash() (string, error) {
	line, err := r.encode()
	if err != nil {
		return "", err
	}
	return tlog.RecordHash(r.leaf(line)).String(), nil
}

// pruned is the record without its body. Only those of version 2 and above can
// be.
func (r Record) pruned() Record {
	sum := sha256.Sum256(r.Body)
	r.Body, r.Digest = nil, hex.EncodeToString(sum[:])
	return r
}

// prunable reports whether the body may go when it is old. Some carry the proof,
// or say what it is worth: Verify reads them.
func (r Record) prunable() bool {
	switch r.Kind {
	case "ledger.start", "ledger.key", "ledger.pruned", "ledger.lost", "ledger.clock":
		return false
	}
	return r.Version > 1
}

var errNotCanonical = errors.New("not in canonical form")

// digestSyntax is how a body's digest is written.
var digestSyntax = regexp.MustCompile(`^[0-9a-f]{64}$`)

// decode reads a line, and accepts it only if it is what encode writes.
func decode(line []byte) (Record, error) {
	if len(line) > maxRecord {
		return Record{}, fmt.Errorf("%d bytes: a record has at most %d", len(line), maxRecord)
	}
	r, err := parse(line)
	if err != nil {
		return Record{}, err
	}
	if r.Version < 1 || r.Version > version {
		return Record{}, fmt.Errorf("version %d: this Cordon reads versions 1 to %d", r.Version, version)
	}
	if r.Body == nil && (!r.prunable() || !digestSyntax.MatchString(r.Digest)) {
		return Record{}, errNotCanonical
	}
	again, err := r.encode()
	if err != nil {
		return Record{}, err
	}
	if !bytes.Equal(line, again) {
		return Record{}, errNotCanonical
	}
	return r, nil
}

// parse reads the five members of a record, in their order, each in canonical
// form.
func parse(line []byte) (r Record, err error) {
	rest := line
	member := func(name string) (p []byte) {
		if err != nil {
			return nil
		}
		after, ok := bytes.CutPrefix(rest, []byte(name))
		if !ok {
			err = errNotCanonical
			return nil
		}
		var n int
		if n, err = value(after, 1); err != nil {
			return nil
		}
		rest = after[n:]
		return after[:n]
	}
	if bytes.HasPrefix(rest, []byte(`{"body":`)) {
		r.Body = bytes.Clone(member(`{"body":`))
	} else {
		r.Digest = unquote(member(`{"body_sha256":`))
	}
	r.Kind = unquote(member(`,"kind":`))
	seq := member(`,"seq":`)
	at := member(`,"time":`)
	v := member(`,"v":`)
	if err != nil {
		return r, err
	}
	if string(rest) != "}" {
		return r, errNotCanonical
	}
	if r.Seq, err = strconv.ParseInt(string(seq), 10, 64); err != nil {
		return r, err
	}
	if r.Time, err = time.Parse(timeFormat, unquote(at)); err != nil {
		return r, err
	}
	r.Version, err = strconv.Atoi(string(v))
	return r, err
}

// unquote is the content of a string without escapes; of anything else it is
// something that is no member's value.
func unquote(p []byte) string {
	if len(p) < 2 || p[0] != '"' {
		return ""
	}
	return string(p[1 : len(p)-1])
}
