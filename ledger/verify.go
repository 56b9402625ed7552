package ledger

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// VerifyOptions says what is known beforehand.
type VerifyOptions struct {
	// Key is the ledger's verifier key, or its fingerprint "SHA256:…", had from
	// somewhere else than the export. Without it the origin is not proved.
	Key string
}

// Result is what a verification found intact.
type Result struct {
	Records      int64     `json:"records"`
	TreeSize     int64     `json:"tree_size"` // of them signed
	Root         string    `json:"root"`      // base64
	Origin       string    `json:"origin"`
	Key          string    `json:"key"` // the verifier key
	Fingerprint  string    `json:"fingerprint"`
	OriginProved bool      `json:"origin_proved"`
	First        time.Time `json:"first"`  // time of the first record
	Last         time.Time `json:"last"`   // of the last that is signed
	Signed       time.Time `json:"signed"` // time of the last checkpoint
	Starts       int64     `json:"starts"`
	Unclean      int64     `json:"unclean_stops"` // starts after a run that did not end in order
	Proves       string    `json:"proves"`        // one sentence
}

// Verify reads an export to its end. Any error means that the file is not, to
// the bit, what a ledger exported; a nil error means what Result.Proves says.
// Its memory does not depend on the export's length.
func Verify(r io.Reader, o VerifyOptions) (Result, error) {
	in := bufio.NewReaderSize(r, maxRecord+2)
	h, v, err := readHeader(in)
	if err != nil {
		return Result{}, err
	}
	t := newTally(v, o)
	for t.tree.size < h.Records {
		line, err := readLine(in)
		if err == nil {
			_, err = t.add(line)
		}
		if err != nil {
			return Result{}, fmt.Errorf("record %d: %w", t.tree.size, err)
		}
	}
	signed, err := io.ReadAll(io.LimitReader(in, maxNote+1))
	if err != nil {
		return Result{}, err
	}
	if len(signed) > maxNote {
		return Result{}, fmt.Errorf("after record %d: more than a checkpoint", h.Records-1)
	}
	c, err := openCheckpoint(signed, v)
	if err != nil {
		return Result{}, err
	}
	if err := t.check(c); err != nil {
		return Result{}, err
	}
	return t.result(c)
}

func readHeader(in *bufio.Reader) (h header, v *verifier, err error) {
	line, err := readLine(in)
	if err != nil {
		return h, nil, fmt.Errorf("not a ledger export: %w", err)
	}
	if err := json.Unmarshal(line, &h); err != nil {
		return h, nil, fmt.Errorf("not a ledger export: %w", err)
	}
	if h.Format != exportFormat {
		return h, nil, fmt.Errorf("ledger export of format %d: this Cordon reads format %d", h.Format, exportFormat)
	}
	again, err := canonical(h)
	if err != nil || !bytes.Equal(again, line) {
		return h, nil, fmt.Errorf("header: %w", errNotCanonical)
	}
	if h.Records < 1 {
		return h, nil, fmt.Errorf("header: %d records", h.Records)
	}
	if v, err = parseVerifier(h.Key); err != nil {
		return h, nil, fmt.Errorf("header: %w", err)
	}
	return h, v, nil
}

// readLine returns a line without its line feed, valid until the next read.
func readLine(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, fmt.Errorf("a line of more than %d bytes", maxRecord)
	case errors.Is(err, io.EOF):
		return nil, io.ErrUnexpectedEOF
	case err != nil:
		return nil, err
	}
	return line[:len(line)-1], nil
}

// A tally is a verification under way: the tree so far and what it has seen.
type tally struct {
	verifier *verifier
	options  VerifyOptions
	tree     edge
	last     time.Time // of the last record
	found    Result
}

func newTally(v *verifier, o VerifyOptions) *tally {
	return &tally{verifier: v, options: o}
}

// add takes the next record, and returns what the tree stores for it.
func (t *tally) add(line []byte) ([]tlog.Hash, error) {
	r, err := decode(line)
	if err != nil {
		return nil, err
	}
	if r.Seq != t.tree.size {
		return nil, fmt.Errorf("has number %d", r.Seq)
	}
	if r.Seq == 0 {
		t.found.First = r.Time
	}
	t.last = r.Time
	if r.Kind == "ledger.start" {
		t.found.Starts++
		var body struct{ Clean *bool }
		if err := json.Unmarshal(r.Body, &body); err == nil && body.Clean != nil && !*body.Clean {
			t.found.Unclean++
		}
	}
	return t.tree.add(line), nil
}

// check holds a checkpoint against the records so far.
func (t *tally) check(c checkpoint) error {
	if c.size != t.tree.size {
		return fmt.Errorf("checkpoint: signs %d records, %d are here", c.size, t.tree.size)
	}
	if root := t.tree.root(); c.root != root {
		return fmt.Errorf("records up to %d are not those that were signed: root %s, signed %s", c.size-1, root, c.root)
	}
	t.found.Last = t.last
	return nil
}

// result is reached once everything has been checked against c, the last
// checkpoint.
func (t *tally) result(c checkpoint) (Result, error) {
	r := t.found
	r.Records, r.TreeSize, r.Root = t.tree.size, c.size, c.root.String()
	r.Origin, r.Fingerprint, r.Signed = c.origin, t.verifier.fingerprint, c.time
	if want := strings.TrimSpace(t.options.Key); want != "" {
		if want != t.verifier.vkey && want != r.Fingerprint {
			return Result{}, fmt.Errorf("signed by %s, not by the key given (%s): made by another ledger, or forged", r.Fingerprint, want)
		}
		r.OriginProved = true
	}
	r.Key = t.verifier.vkey
	r.Proves = r.sentence()
	return r, nil
}

func (r Result) sentence() string {
	const day = time.RFC3339
	s := fmt.Sprintf("The %d records from %s to %s are, in this order and without a gap, what was signed at %s by the key %s",
		r.TreeSize, r.First.Format(day), r.Last.Format(day), r.Signed.Format(day), r.Fingerprint)
	if later := r.Records - r.TreeSize; later > 0 {
		s += fmt.Sprintf(" (%d later ones await their signature)", later)
	}
	if r.OriginProved {
		return s + ", which is the key you gave."
	}
	return s + "; whose key that is was not checked: give it with --key."
}
