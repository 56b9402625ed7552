package setting

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"cordon/custody"
	"cordon/policy"
	"cordon/store"
)

// Window is how far a preview looks back.
const Window = 7 * 24 * time.Hour

const (
	maxPreviews = 64 // that may be applied, at a time
	previewAge  = 30 * time.Minute
)

// Preview is what a change would have changed.
type Preview struct {
	Digest  string   `json:"digest"` // of all that follows
	Changes []Change `json:"changes"`
	Weakens bool     `json:"weakens"` // it takes two people
	Waiting int64    `json:"waiting,omitempty"`
	Asked   string   `json:"asked_by,omitempty"` // who asked for the same, and waits for a second person
	Replay

	generation    int64
	made          time.Time
	before, after policy.Rules
}

// Summary is a preview in numbers, as the ledger keeps it.
type Summary struct {
	SHA256    string `json:"sha256,omitempty"`
	Objects   int64  `json:"objects"`
	Otherwise int64  `json:"otherwise"`
	Unknown   int64  `json:"unknown"`
}

// summary is the preview in numbers.
func (p Preview) summary() Summary {
	return Summary{SHA256: p.Digest, Objects: p.Objects, Otherwise: p.otherwise(), Unknown: p.unknown()}
}

// Preview says what changes would have changed in the last seven days. What it
// returns can be applied within half an hour.
func (s *Settings) Preview(ctx context.Context, changes []Change) (p Preview, err error) {
	now := time.Now()
	err = s.parts.DB.View(ctx, func(tx *store.Tx) error {
		if p, err = s.proposed(tx, changes, now); err == nil {
			err = s.rules(tx, &p)
		}
		return err
	})
	if err != nil {
		return Preview{}, err
	}
	if p.Replay, err = s.replay(ctx, p.Changes, p.before, p.after, now.Add(-Window), now); err != nil {
		return Preview{}, fmt.Errorf("previewing a change: %w", err)
	}
	return s.remember(p)
}

// proposed is a preview without its replay.
func (s *Settings) proposed(tx *store.Tx, changes []Change, now time.Time) (p Preview, err error) {
	p.made = now
	if p.Changes, err = s.check(tx, changes); err != nil {
		return p, err
	}
	slices.SortFunc(p.Changes, func(a, b Change) int { return order(a.Key) - order(b.Key) })
	p.Weakens = weakens(p.Changes)
	if p.generation, err = generation(tx); err != nil {
		return p, err
	}
	waiting, err := acts(tx, `WHERE state = 'waiting' ORDER BY id DESC`)
	for _, w := range waiting {
		if !w.Expired(now) && slices.Equal(w.Changes, p.Changes) {
			p.Waiting, p.Asked = w.ID, w.By
			break
		}
	}
	return p, err
}

// rules fills in by which rules a preview decides.
func (s *Settings) rules(tx *store.Tx, p *Preview) error {
	texts, err := s.texts(tx)
	if err != nil {
		return err
	}
	before, err := values(texts)
	if err != nil {
		return err
	}
	for _, c := range p.Changes {
		texts[c.Key] = c.Now
	}
	after, err := values(texts)
	p.before, p.after = before.Rules, after.Rules
	return err
}

// order is a key's place in the table.
func order(key string) int {
	return slices.IndexFunc(keys[:], func(k Kind) bool { return k.Key == key })
}

// remember keeps a preview for Apply, under its digest.
func (s *Settings) remember(p Preview) (Preview, error) {
	text, err := json.Marshal(struct {
		Preview
		Generation int64
		Made       time.Time
	}{p, p.generation, p.made})
	if err != nil {
		return p, err
	}
	sum := sha256.Sum256(text)
	p.Digest = hex.EncodeToString(sum[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	s.previews = append(s.previews, p)
	if n := len(s.previews); n > maxPreviews {
		s.previews = slices.Delete(s.previews, 0, n-maxPreviews)
	}
	return p, nil
}

// Remembered returns a preview that can still be applied.
func (s *Settings) Remembered(digest string) (Preview, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.previews, func(p Preview) bool { return p.Digest == digest })
	if i < 0 || time.Since(s.previews[i].made) > previewAge {
		return Preview{}, false
	}
	return s.previews[i], true
}

// Stale means that a preview does not hold any more. Now is what there is to look
// at instead.
type Stale struct {
	Why string
	Now Preview
}

func (e *Stale) Error() string {
	return "nothing was changed: since the preview " + e.Why + "; look at the new one, and apply that"
}

// Unwrap makes it an ErrState.
func (e *Stale) Unwrap() error { return ErrState }

// Apply applies what a preview showed. If it does not hold any more the error is a
// *Stale with another. A change that weakens waits until a second person applies
// the same; the Act says so.
func (s *Settings) Apply(ctx context.Context, digest string, rq custody.Request) (Act, error) {
	rq, err := rq.Check()
	if err != nil {
		return Act{}, err
	}
	p, ok := s.Remembered(digest)
	if !ok {
		return Act{}, fmt.Errorf("%w: no preview %.16q of the last %d minutes: make one, look at it, and apply that", ErrState, digest, int(previewAge.Minutes()))
	}
	more, why, err := s.since(ctx, p)
	if err != nil {
		return Act{}, err
	}
	if why == "" {
		a, err := s.take(ctx, func(tx *store.Tx) (Act, error) { return s.applied(tx, p, rq) })
		a.More = more
		if err != errGeneration {
			return a, err
		}
		why = "the settings were changed"
	}
	again, err := s.Preview(ctx, p.asked())
	if err != nil {
		return Act{}, fmt.Errorf("%w: since the preview %s: %w", ErrState, why, err)
	}
	return Act{}, &Stale{why, again}
}

// errGeneration is why an act is not written: the settings are not those of its
// preview.
var errGeneration = fmt.Errorf("%w: the settings were changed since the preview", ErrState)

// applied is the act of applying a preview.
func (s *Settings) applied(tx *store.Tx, p Preview, rq custody.Request) (Act, error) {
	g, err := generation(tx)
	if err == nil && g != p.generation {
		err = errGeneration
	}
	if err != nil {
		return Act{}, err
	}
	return s.second(tx, Act{State: Applied, Changes: p.Changes, Preview: p.summary(), By: rq.By, Reason: rq.Reason, At: time.Now().UTC()}, rq)
}

// asked are the changes as they were asked for.
func (p Preview) asked() (out []Change) {
	for _, c := range p.Changes {
		out = append(out, Change{Key: c.Key, Now: c.Now})
	}
	return out
}
