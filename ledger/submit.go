package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"cordon/store"

	"golang.org/x/mod/sumdb/tlog"
)

// Witness is somebody else's memory of this ledger: see ledger/witness.
type Witness interface {
	// Key opens its cosignatures.
	Key() *WitnessKey
	// Add shows it a signed checkpoint, with the proof that its tree has grown
	// from the one of old records, the last that it was shown (0: none). It
	// returns the cosignature line, a *Conflict if it remembers another size,
	// ErrWitnessKey if it does not know the key that signed, or ErrFork.
	Add(ctx context.Context, old int64, proof []tlog.Hash, signed []byte) ([]byte, error)
}

// Conflict is the answer of a witness that remembers Size records.
type Conflict struct{ Size int64 }

func (c *Conflict) Error() string {
	return fmt.Sprintf("witness remembers a checkpoint of %d records", c.Size)
}

var (
	// ErrWitnessKey means that a witness does not know the key that signed.
	ErrWitnessKey = errors.New("witness does not know the ledger's key: add it to the witness's list (witness.logs)")
	// ErrFork means that a checkpoint does not continue what a witness has seen.
	ErrFork = errors.New("witness has seen another history")
)

// WitnessState is how it stands with one witness.
type WitnessState struct {
	Name    string    `json:"name"`
	Records int64     `json:"records"` // cosigned
	At      time.Time `json:"at"`      // of the last cosignature; zero if there is none
	Late    bool      `json:"late"`    // a checkpoint has waited too long: an alarm
	Refused bool      `json:"refused"` // it has seen another history: an alarm
	Error   string    `json:"error"`   // why the last one is missing
}

const (
	// witnessRetry is how soon a witness is asked again.
	witnessRetry = 30 * time.Second
	// witnessTimeout bounds one conversation with a witness.
	witnessTimeout = 10 * time.Second
	// witnessMoment is what exports and proofs wait for their cosignature.
	witnessMoment = 3 * time.Second
)

// witnessing is the submission to one witness.
type witnessing struct {
	l    *Ledger
	to   Witness
	late time.Duration

	one sync.Mutex // one conversation at a time

	mu      sync.Mutex
	state   WitnessState
	waiting time.Time // since when a checkpoint is not cosigned; zero if all are
}

// Witness shows each checkpoint to w, as it is signed, until ctx ends, and keeps
// the cosignatures. Imaging never waits for it. One that is not cosigned within
// late, or is refused, is an alarm and a record.
func (l *Ledger) Witness(ctx context.Context, w Witness, late time.Duration) error {
	s := &witnessing{l: l, to: w, late: late, state: WitnessState{Name: w.Key().Name()}}
	l.mu.Lock()
	l.witnesses = append(l.witnesses, s)
	l.mu.Unlock()
	for {
		signed := l.signed.next()
		s.ask(ctx)
		select {
		case <-signed:
		case <-time.After(witnessRetry):
		case <-ctx.Done():
			return nil
		}
	}
}

// Witnesses returns how it stands with each.
func (l *Ledger) Witnesses() []WitnessState {
	l.mu.Lock()
	all := slices.Clone(l.witnesses)
	l.mu.Unlock()
	var out []WitnessState
	for _, s := range all {
		s.mu.Lock()
		out = append(out, s.state)
		s.mu.Unlock()
	}
	return out
}

// cosignNow asks all witnesses at once.
func (l *Ledger) cosignNow(ctx context.Context) {
	l.mu.Lock()
	all := slices.Clone(l.witnesses)
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, witnessMoment)
	defer cancel()
	var wg sync.WaitGroup
	for _, s := range all {
		wg.Go(func() { s.ask(ctx) })
	}
	wg.Wait()
}

// ask shows the witness the last checkpoint, and takes note of how that went.
func (s *witnessing) ask(ctx context.Context) {
	s.one.Lock()
	defer s.one.Unlock()
	talk, cancel := context.WithTimeout(ctx, witnessTimeout)
	defer cancel()
	records, err := s.submit(talk)
	if ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	was, now := s.state, s.state
	if err == nil {
		now.Late, now.Refused, now.Error = false, false, ""
		if records > now.Records {
			now.Records, now.At = records, time.Now()
		}
		s.waiting = time.Time{}
	} else {
		if s.waiting.IsZero() {
			s.waiting = time.Now()
		}
		now.Late = time.Since(s.waiting) >= s.late
		now.Refused = errors.Is(err, ErrFork)
		now.Error = err.Error()
	}
	s.state = now
	s.mu.Unlock()
	s.record(ctx, was, now)
}

// record puts each turn for the worse or the better on the ledger.
func (s *witnessing) record(ctx context.Context, was, now WitnessState) {
	kind := ""
	switch {
	case now.Refused && !was.Refused:
		kind = "witness.refused"
	case now.Late && !was.Late:
		kind = "witness.late"
	case (was.Late || was.Refused) && !now.Late && !now.Refused:
		kind = "witness.back"
	default:
		return
	}
	err := s.l.Record(ctx, kind, map[string]any{"witness": now.Name, "records": now.Records, "error": clip(now.Error)})
	if err != nil {
		s.l.failed(err)
	}
}

// clip bounds an error on the ledger.
func clip(s string) string {
	const most = 300
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "")
	}
	return s
}

// submit shows the witness the last checkpoint unless it has cosigned it, and
// returns how many records it has cosigned.
func (s *witnessing) submit(ctx context.Context) (int64, error) {
	var last signedCheckpoint
	var old int64
	err := s.l.db.View(ctx, func(tx *store.Tx) (err error) {
		if last, err = lastCheckpoint(tx); err != nil {
			return err
		}
		return tx.QueryRow(`SELECT COALESCE(MAX(size), 0) FROM ledger_cosignatures WHERE witness = ?`, s.to.Key().String()).Scan(&old)
	})
	if err != nil || old == last.size {
		return old, err
	}
	line, err := s.show(ctx, old, last)
	if err != nil {
		return old, err
	}
	if err := checkCosignature(s.to.Key(), textOf(last.note), line); err != nil {
		return old, err
	}
	return last.size, s.l.db.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO ledger_cosignatures (witness, size, line) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`,
			s.to.Key().String(), last.size, line)
		return err
	})
}

// textOf is what a signed note signs.
func textOf(signed []byte) string {
	text, _, _ := strings.Cut(string(signed), "\n\n")
	return text + "\n"
}

// show is Add, from the size that the witness does remember, after it was told
// of new keys.
func (s *witnessing) show(ctx context.Context, old int64, last signedCheckpoint) ([]byte, error) {
	old, line, err := s.add(ctx, old, last.size, last.note)
	if !errors.Is(err, ErrWitnessKey) {
		return line, err
	}
	introductions, err2 := s.introductions(ctx, old)
	if err2 != nil {
		return nil, err2
	}
	for _, c := range introductions {
		if old, _, err2 = s.add(ctx, old, c.size, c.note); err2 != nil && !errors.Is(err2, ErrWitnessKey) {
			return nil, err2
		}
	}
	if len(introductions) == 0 {
		return nil, err
	}
	_, line, err = s.add(ctx, old, last.size, last.note)
	return line, err
}

// add shows one checkpoint; if the witness remembers another size, once more
// from that. It returns the size that the witness remembers.
func (s *witnessing) add(ctx context.Context, old, size int64, signed []byte) (int64, []byte, error) {
	for again := false; ; again = true {
		proof, err := s.l.grown(ctx, old, size)
		if err != nil {
			return old, nil, err
		}
		line, err := s.to.Add(ctx, old, proof, signed)
		var conflict *Conflict
		switch {
		case err == nil:
			return size, line, nil
		case !errors.As(err, &conflict):
			return old, nil, err
		case conflict.Size > size:
			return old, nil, fmt.Errorf("%w: it remembers %d records and here are %d: an older copy of the ledger was put back", ErrFork, conflict.Size, size)
		case again:
			return old, nil, err
		}
		old = conflict.Size
	}
}

// grown proves that the tree of size records has grown from that of old.
func (l *Ledger) grown(ctx context.Context, old, size int64) (proof tlog.TreeProof, err error) {
	if old <= 0 || old >= size {
		return nil, nil
	}
	err = l.db.View(ctx, func(tx *store.Tx) error {
		proof, err = tlog.ProveTree(size, old, hashes(tx))
		return err
	})
	return proof, err
}

// introductions are those that a witness which remembers old records may not
// know.
func (s *witnessing) introductions(ctx context.Context, old int64) (out []signedCheckpoint, err error) {
	err = s.l.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT since - 1, introduction FROM ledger_keys WHERE since > ? AND introduction IS NOT NULL ORDER BY since`, old)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var c signedCheckpoint
			if err := rows.Scan(&c.size, &c.note); err != nil {
				return err
			}
			out = append(out, c)
		}
		return rows.Err()
	})
	return out, err
}
