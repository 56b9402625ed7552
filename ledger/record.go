package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"
)

// version is the "v" of every record written.
const version = 1

// timeFormat is RFC 3339 in UTC with exactly six decimals.
const timeFormat = "2006-01-02T15:04:05.000000Z"

// Record is one line of the ledger.
type Record struct {
	Seq     int64           `json:"seq"`  // from 0, without a gap
	Time    time.Time       `json:"time"` // UTC, to the microsecond, by this machine's clock
	Kind    string          `json:"kind"`
	Body    json.RawMessage `json:"body"` // canonical JSON
	Version int             `json:"v"`
}

var kindSyntax = regexp.MustCompile(`^[a-z][a-z0-9._-]{0,63}$`)

// encode returns the record's canonical line, without a line feed.
func (r Record) encode() ([]byte, error) {
	if !kindSyntax.MatchString(r.Kind) {
		return nil, fmt.Errorf("kind %.80q: expected lower case, digits, dots, dashes", r.Kind)
	}
	line, err := canonical(map[string]any{
		"body": r.Body,
		"kind": r.Kind,
		"seq":  r.Seq,
		"time": r.Time.UTC().Format(timeFormat),
		"v":    r.Version,
	})
	if err != nil {
		return nil, fmt.Errorf("record of kind %s: %w", r.Kind, err)
	}
	return line, nil
}

var errNotCanonical = errors.New("not in canonical form")

// decode reads a line, and accepts it only if it is what encode writes.
func decode(line []byte) (Record, error) {
	var raw struct {
		Body json.RawMessage `json:"body"`
		Kind string          `json:"kind"`
		Seq  int64           `json:"seq"`
		Time string          `json:"time"`
		V    int             `json:"v"`
	}
	if len(line) > maxRecord {
		return Record{}, fmt.Errorf("%d bytes: a record has at most %d", len(line), maxRecord)
	}
	if err := json.Unmarshal(line, &raw); err != nil {
		return Record{}, err
	}
	at, err := time.Parse(timeFormat, raw.Time)
	if err != nil {
		return Record{}, err
	}
	if raw.V != version {
		return Record{}, fmt.Errorf("version %d: this Cordon reads version %d", raw.V, version)
	}
	if raw.Body == nil {
		return Record{}, errNotCanonical
	}
	r := Record{Seq: raw.Seq, Time: at, Kind: raw.Kind, Body: raw.Body, Version: raw.V}
	again, err := r.encode()
	if err != nil {
		return Record{}, err
	}
	if !bytes.Equal(line, again) {
		return Record{}, errNotCanonical
	}
	return r, nil
}
