package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// A tally is a verification under way: the tree so far and what it has seen.
type tally struct {
	verifier  *verifier // of the key in use at this record
	chain     []*verifier
	witnesses []*WitnessKey
	options   VerifyOptions
	old       checkpoint // what Since says; size 0 if it is not given
	tree      edge
	last      time.Time // of the last record

	lastPruned int64 // the highest number of a record without its body; -1
	firstWhole int64 // the lowest of one that could be without and is not; -1
	bound      int64 // below it, the ledger says, bodies are gone

	found Result
}

func newTally(v *verifier, witnesses []*WitnessKey, o VerifyOptions) (*tally, error) {
	t := &tally{verifier: v, chain: []*verifier{v}, witnesses: witnesses, options: o, lastPruned: -1, firstWhole: -1}
	var err error
	if len(o.Since) > 0 {
		t.old, err = unverified(o.Since)
	}
	return t, err
}

// add takes the next record, and returns what the tree stores for it.
func (t *tally) add(line []byte) ([]tlog.Hash, error) {
	r, err := decode(line)
	if err != nil {
		return nil, err
	}
	if r.Seq != t.tree.size {
		return nil, fmt.Errorf("has number %d: a record was taken out, put in, repeated or moved here", r.Seq)
	}
	if err := t.read(r); err != nil {
		return nil, err
	}
	stored := t.tree.add(r.leaf(line))
	if t.tree.size == t.old.size && t.tree.root() != t.old.root {
		return nil, fmt.Errorf("fork: the first %d records are not those of the older checkpoint, signed at %s; both carry the ledger's signature, so one of the two histories was rewritten",
			t.old.size, t.old.time.Format(time.RFC3339))
	}
	return stored, nil
}

// read takes note of what a record says about the ledger itself.
func (t *tally) read(r Record) error {
	if r.Seq == 0 {
		t.found.First = r.Time
	}
	t.last = r.Time
	switch {
	case r.Body == nil:
		t.found.Pruned++
		t.lastPruned = r.Seq
		if t.firstWhole >= 0 {
			return fmt.Errorf("has no body, while record %d before it has: bodies were taken out by hand", t.firstWhole)
		}
	case r.prunable() && t.firstWhole < 0:
		t.firstWhole = r.Seq
	}
	switch r.Kind {
	case "ledger.start":
		t.found.Starts++
		body := struct{ Clean, Intact bool }{true, true}
		if err := json.Unmarshal(r.Body, &body); err != nil {
			return fmt.Errorf("is not a start: %w", err)
		}
		if !body.Clean {
			t.found.Unclean++
		}
		if !body.Intact {
			t.found.Broken++
		}
	case "ledger.clock":
		t.found.ClockJumps++
	case "ledger.lost":
		t.found.Gaps++
	case "ledger.pruned":
		var body struct{ To int64 }
		if err := json.Unmarshal(r.Body, &body); err != nil || body.To > r.Seq {
			return errors.New("says what was pruned in a way that cannot be")
		}
		t.bound = max(t.bound, body.To)
	case "ledger.key":
		return t.rotate(r)
	}
	return nil
}

// rotate goes on with the key that a record introduces: the one in use so far
// has signed its name together with all records before.
func (t *tally) rotate(r Record) error {
	var body struct{ Checkpoint, Key string }
	if err := json.Unmarshal(r.Body, &body); err != nil {
		return err
	}
	c, _, err := openCheckpoint([]byte(body.Checkpoint), t.verifier, nil)
	if err != nil {
		return fmt.Errorf("introduction of a new key, by %s: %w", t.verifier.fingerprint, err)
	}
	if r.Seq == 0 || c.size != r.Seq || c.next != body.Key || t.tree.root() != c.root {
		return errors.New("introduction of a new key: it was not signed here")
	}
	return t.follow(c)
}

// introduce goes on with the key that a signed checkpoint introduces, on its
// signature alone.
func (t *tally) introduce(signed []byte) error {
	c, _, err := openCheckpoint(signed, t.verifier, nil)
	if err != nil {
		return fmt.Errorf("introduction of a new key, by %s: %w", t.verifier.fingerprint, err)
	}
	return t.follow(c)
}

func (t *tally) follow(c checkpoint) error {
	next, err := parseVerifier(c.next)
	if err != nil {
		return err
	}
	if next.Name() != t.verifier.Name() {
		return fmt.Errorf("introduction of the key of another ledger, %s", next.Name())
	}
	t.verifier = next
	t.chain = append(t.chain, next)
	return nil
}

// open opens a checkpoint, and holds it against the records so far.
func (t *tally) open(signed []byte) (checkpoint, []Cosignature, error) {
	c, cosigned, err := openCheckpoint(signed, t.verifier, t.witnesses)
	if err != nil {
		return c, nil, err
	}
	if c.size != t.tree.size || c.next != "" {
		return c, nil, fmt.Errorf("checkpoint: signs %d records, %d are here", c.size, t.tree.size)
	}
	if root := t.tree.root(); c.root != root {
		return c, nil, fmt.Errorf("records up to %d are not those that were signed: root %s, signed %s", c.size-1, root, c.root)
	}
	t.found.Last = t.last
	for _, sig := range cosigned {
		t.cosigned(CosignedRecords{Cosignature: sig, Records: c.size})
	}
	return c, cosigned, nil
}

// cosigned keeps the last of each witness.
func (t *tally) cosigned(c CosignedRecords) {
	t.found.Cosigned = slices.DeleteFunc(t.found.Cosigned, func(o CosignedRecords) bool { return o.Witness == c.Witness })
	t.found.Cosigned = append(t.found.Cosigned, c)
}

// result is reached once everything has been checked against c, the last
// checkpoint.
func (t *tally) result(c checkpoint, signed []byte) (Result, error) {
	if t.lastPruned >= t.bound {
		return Result{}, fmt.Errorf("record %d has no body, and no record says that it was pruned: it was taken out by hand", t.lastPruned)
	}
	if t.firstWhole >= 0 && t.firstWhole < t.bound {
		return Result{}, fmt.Errorf("record %d has a body, and a record says that it was pruned", t.firstWhole)
	}
	r := t.found
	var err error
	if r.Head, err = t.head(c, signed); err != nil {
		return Result{}, err
	}
	if err := t.since(&r); err != nil {
		return Result{}, err
	}
	r.Records = t.tree.size
	r.Proves = r.sentence()
	return r, nil
}

// proved is result for a few records.
func (t *tally) proved(c checkpoint, signed []byte, found []provedRecord) (r ProofResult, err error) {
	if r.Head, err = t.head(c, signed); err != nil {
		return ProofResult{}, err
	}
	for _, p := range found {
		r.Proved = append(r.Proved, p.record)
	}
	r.Proves = r.sentence()
	return r, nil
}

// head describes the signed tree, and holds the keys against those that the
// caller knows.
func (t *tally) head(c checkpoint, signed []byte) (Head, error) {
	h := t.found.Head
	h.TreeSize, h.Root, h.Checkpoint = c.size, c.root.String(), string(signed)
	h.Origin, h.Fingerprint, h.Key, h.Signed = c.origin, t.verifier.fingerprint, t.verifier.vkey, c.time
	for _, v := range t.chain {
		h.Keys = append(h.Keys, v.fingerprint)
	}
	if want := strings.TrimSpace(t.options.Key); want != "" {
		if !slices.ContainsFunc(t.chain, func(v *verifier) bool { return v.vkey == want || v.fingerprint == want }) {
			return Head{}, fmt.Errorf("signed by %s, not by the key given (%s): made by another ledger, or forged", h.Fingerprint, want)
		}
		h.OriginProved = true
	}
	for _, want := range t.options.Witnesses {
		want = strings.TrimSpace(want)
		at := slices.IndexFunc(h.Cosigned, func(c CosignedRecords) bool { return witnessIs(c.Witness, want) })
		if at < 0 {
			return Head{}, fmt.Errorf("not cosigned by the witness given (%s): forged, or never shown to it", want)
		}
		h.Cosigned[at].Proved = true
	}
	return h, nil
}

func witnessIs(vkey, want string) bool {
	w, err := ParseWitnessKey(vkey)
	return err == nil && (vkey == want || w.Fingerprint() == want)
}

// since checks that the older checkpoint is this ledger's; that the tree has
// grown from it was found on the way.
func (t *tally) since(r *Result) error {
	if t.old.size == 0 {
		return nil
	}
	if t.old.origin != t.verifier.Name() {
		return fmt.Errorf("the older checkpoint is of another ledger, %s", t.old.origin)
	}
	if t.old.size > t.tree.size {
		return fmt.Errorf("%d records are here, and the checkpoint of %s signs %d: the end was cut off, or an older copy was put back", t.tree.size, t.old.time.Format(time.RFC3339), t.old.size)
	}
	own, err := ownSignature(t.options.Since)
	if err != nil {
		return err
	}
	for _, v := range t.chain {
		if _, _, err = openCheckpoint(own, v, nil); err == nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("the older checkpoint is not signed by a key of this ledger: %w", err)
	}
	r.Since = &Since{Records: t.old.size, Signed: t.old.time}
	return nil
}
