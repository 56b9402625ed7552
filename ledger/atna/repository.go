package atna

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"cordon/ledger"
)

// settlePoll is how often it is looked at what has arrived and settled.
const settlePoll = 500 * time.Millisecond

// repository sends the ledger to one target, in order, for as long as it takes.
//
// Life of a session: connect; send everything from the cursor on; after half a
// minute, end it in order and begin the next. What a session that ended in order
// has sent was read; when it has stayed so for a while it moves the cursor. The
// first error ends a session too; after a pause the next begins at the cursor
// again.
type repository struct {
	target Target
	audit  *Audit
	follow *ledger.Follower

	batch  []ledger.Record // read, and not handed over
	full   bool            // the last one was
	trail  trail
	begun  time.Time // when the first was sent that nobody is known to have read; zero without any
	handed int64     // the first record that was not handed over in this session
	read   []stay    // what was read, and since when; few

	mu    sync.Mutex // guards what follows
	state RepositoryStatus
	next  int64 // the first record that has not arrived
	told  bool  // that it is away
}

// stay says since when everything before the record next has been read.
type stay struct {
	next  int64
	since time.Time
}

// RepositoryStatus is how it stands with one target.
type RepositoryStatus struct {
	Name    string    `json:"name"`
	Up      bool      `json:"up"`
	Since   time.Time `json:"since"`            // when it came up, or went away
	Error   string    `json:"error,omitempty"`  // why it is away
	Waiting int64     `json:"waiting"`          // records of the ledger that have not arrived
	Oldest  time.Time `json:"oldest,omitzero"`  // of these; zero if none waits or not known
	Sent    uint64    `json:"sent"`             // messages since the start, repetitions included
	Skipped int64     `json:"skipped,omitzero"` // records that were pruned before it had them, since the start
	Alarm   bool      `json:"alarm"`            // people must look: it has been away, or behind, for minutes
}

// late reports whether people must look.
func (s RepositoryStatus) late(after time.Duration, now time.Time) bool {
	away := !s.Up && now.Sub(s.Since) > after
	behind := !s.Oldest.IsZero() && now.Sub(s.Oldest) > after
	return away || behind
}

// run sends until ctx ends.
func (r *repository) run(ctx context.Context) error {
	var err error
	if r.follow, err = r.audit.parts.Ledger.Follower(ctx, "audit "+string(r.target.Format)+" "+r.target.Name(), r.audit.start); err != nil {
		return err // the database's: the next start tries again
	}
	r.rewind()
	r.arrive(r.follow.Settled(), time.Time{})
	wait := r.audit.timing.RetryMin
	for ctx.Err() == nil {
		began := time.Now()
		err := r.session(ctx)
		if err == nil || ctx.Err() != nil {
			wait = r.audit.timing.RetryMin
			continue
		}
		r.rewind()
		r.down(err)
		if time.Since(began) > r.audit.timing.RetryMax {
			wait = r.audit.timing.RetryMin
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait + rand.N(wait/2)):
		}
		wait = min(2*wait, r.audit.timing.RetryMax)
	}
	return nil
}

// rewind begins at the cursor again: whatever broke the session, what was read a
// moment before may be lost as well.
func (r *repository) rewind() {
	r.follow.Rewind()
	r.batch, r.read, r.handed = nil, nil, r.follow.Settled()
}

// session is one connection. It returns why it ended, nil if it ended in order.
func (r *repository) session(ctx context.Context) (err error) {
	r.trail, r.begun = trail{}, time.Time{}
	if len(r.batch) == 0 {
		if r.batch, err = r.peek(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	if len(r.batch) > 0 {
		r.arrive(r.batch[0].Seq, r.batch[0].Time)
	}
	c, err := r.target.dial(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	r.up()
	live, cut := context.WithCancel(ctx)
	defer cut()
	ended := make(chan struct{})
	defer close(ended)
	go func() { // ends with the session
		select {
		case <-c.gone():
			cut()
		case <-live.Done():
		}
		select {
		case <-ended:
		case <-time.After(r.audit.timing.Drain): // a repository that takes nothing shall not keep Cordon from stopping
			c.close()
		}
	}()
	for live.Err() == nil && err == nil && !r.due() {
		if err = r.hand(live, c); err == nil {
			err = r.more(live, c)
		}
	}
	switch {
	case ctx.Err() != nil:
		return r.drain(c)
	case live.Err() != nil:
		return c.why()
	case err != nil:
		return err
	}
	return r.finish(ctx, c)
}

// due reports whether it is time to learn what was read.
func (r *repository) due() bool {
	return !r.begun.IsZero() && time.Since(r.begun) >= r.audit.timing.Renew
}

// finish ends a session in order: all that was handed over has been read.
func (r *repository) finish(ctx context.Context, c carrier) error {
	if err := c.finish(ctx, r.audit.timing.Finish); err != nil {
		return err
	}
	r.read = append(r.read, stay{r.handed, time.Now()})
	r.arrive(r.handed, time.Time{})
	return nil
}

// hand renders and sends the batch at hand.
func (r *repository) hand(ctx context.Context, c carrier) error {
	if len(r.batch) == 0 {
		return nil
	}
	r.audit.studies.notice(r.batch)
	sent, skipped := uint64(0), int64(0)
	for _, rec := range r.batch {
		if rec.Body == nil {
			if r.target.Format == ECS || tells(rec.Kind) {
				skipped++
			}
			continue
		}
		messages, err := r.audit.messages(ctx, r.target, rec)
		if err != nil {
			return err
		}
		for _, m := range messages {
			if err := c.send(r.target.frame(m)); err != nil {
				return err
			}
			sent++
		}
	}
	bytes, err := c.flush()
	if err != nil {
		return err
	}
	first, last := r.batch[0], r.batch[len(r.batch)-1]
	r.full = len(r.batch) == fullBatch
	r.batch, r.handed = nil, last.Seq+1
	r.trail.add(mark{r.handed, bytes, first.Time})
	r.count(sent, skipped)
	switch {
	case r.target.Network != TLS: // on disk, or gone
		r.follow.Settle(r.handed)
	case r.begun.IsZero() && sent > 0:
		r.begun = time.Now()
	}
	return r.settle(c)
}

// more waits for the next batch, and settles what it can meanwhile. Without a
// batch and an error the session is due, or over.
func (r *repository) more(ctx context.Context, c carrier) error {
	if !r.full {
		select {
		case <-time.After(r.target.gather()):
		case <-ctx.Done():
			return nil
		}
	}
	for ctx.Err() == nil && !r.due() {
		if err := r.settle(c); err != nil {
			return err
		}
		wait := time.Hour
		if !r.begun.IsZero() || len(r.read) > 0 {
			wait = settlePoll
		}
		var err error
		if r.batch, err = r.peek(ctx, wait); err != nil || len(r.batch) > 0 {
			return err
		}
	}
	return nil
}

// fullBatch is the most that a follower returns at a time.
const fullBatch = 256

// peek waits for records at most so long.
func (r *repository) peek(ctx context.Context, wait time.Duration) ([]ledger.Record, error) {
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	batch, err := r.follow.Next(waiting)
	if err != nil && waiting.Err() != nil {
		return nil, nil
	}
	return batch, err
}

// settle notes what has arrived, and moves the cursor over what was read and has
// stayed.
func (r *repository) settle(c carrier) error {
	arrived, err := c.arrived()
	if err != nil {
		return err
	}
	r.arrive(r.trail.advance(arrived), r.trail.oldest())
	for len(r.read) > 0 && time.Since(r.read[0].since) >= r.audit.timing.Settle {
		r.follow.Settle(r.read[0].next)
		r.read = r.read[1:]
	}
	if len(r.read) == 0 && r.begun.IsZero() { // nothing was sent, so nothing can be lost
		r.follow.Settle(r.handed)
	}
	return nil
}

// drain hands over what is left when Cordon stops, within a time. What nobody is
// known to have read is sent at the next start.
func (r *repository) drain(c carrier) error {
	ctx, cancel := context.WithTimeout(context.Background(), r.audit.timing.Drain)
	defer cancel()
	for {
		if err := r.hand(ctx, c); err != nil {
			return err
		}
		var err error
		if r.batch, err = r.peek(ctx, 50*time.Millisecond); err != nil || len(r.batch) == 0 {
			break
		}
	}
	if err := r.finish(ctx, c); err != nil {
		return err
	}
	r.follow.Settle(r.handed)
	return nil
}

// Changes of the state that people see.

func (r *repository) up() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.Up, r.state.Since, r.state.Error = true, time.Now(), ""
}

// down says that the session ended, and why.
func (r *repository) down(err error) {
	r.mu.Lock()
	if r.state.Up || r.state.Since.IsZero() {
		r.state.Since = time.Now()
	}
	r.state.Up = false
	if err != nil {
		r.state.Error = clip(err.Error(), maxError)
	}
	tell := !r.told && r.state.late(r.audit.timing.Alarm, time.Now())
	r.told = r.told || tell
	why := r.state.Error
	r.mu.Unlock()
	r.audit.parts.Log.Warn("audit repository is away: messages are kept", "repository", r.target.Name(), "error", why)
	if tell {
		r.audit.parts.Ledger.Note("audit.repository", map[string]any{"repository": r.target.Name(), "up": false, "error": why})
	}
}

// maxError bounds an error that is shown, in bytes.
const maxError = 300

// arrive says that everything before next has arrived (0: nothing new), and from
// when the first record is that has not.
func (r *repository) arrive(next int64, oldest time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.Oldest = oldest
	if next > 0 {
		r.next = next
	}
	if r.told && r.state.Up && !r.state.late(r.audit.timing.Alarm, time.Now()) {
		r.told = false
		r.audit.parts.Ledger.Note("audit.repository", map[string]any{"repository": r.target.Name(), "up": true})
	}
}

func (r *repository) count(sent uint64, skipped int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.Sent += sent
	r.state.Skipped += skipped
	if skipped > 0 {
		r.audit.parts.Ledger.Note("audit.skipped", map[string]any{"repository": r.target.Name(), "records": skipped})
	}
}

// status is the state, of a ledger of so many records.
func (r *repository) status(size int64) RepositoryStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.state
	if s.Waiting = max(0, size-r.next); s.Waiting == 0 {
		s.Oldest = time.Time{}
	}
	s.Alarm = s.late(r.audit.timing.Alarm, time.Now())
	return s
}
