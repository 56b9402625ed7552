package atna

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"cordon/ledger"
)

// Network is how a target is reached.
type Network string

const (
	TLS  Network = "tls"  // a stream: RFC 5425, or lines of JSON
	UDP  Network = "udp"  // datagrams: nobody knows whether they arrive
	File Network = "file" // lines of JSON on this machine
)

// Format is what a target is sent.
type Format string

const (
	Syslog Format = "syslog" // audit messages
	ECS    Format = "ecs"    // JSON, one object a record
)

// Target is one audit repository.
type Target struct {
	Network Network
	Format  Format
	Address string             // host:port, or the path of a file
	TLS     func() *tls.Config // asked for each connection, so that a renewed certificate is used
	BOM     bool               // of syslog: MSG begins with a byte order mark
	Size    int64              // of a file, in bytes, before it is rotated
	Keep    int                // of a file: how many older ones are kept
}

// Name is how people and the durable cursor call the target. A target that is
// taken out of the configuration and put back goes on where it stopped.
func (t Target) Name() string { return string(t.Network) + "://" + t.Address }

// dial begins a session.
func (t Target) dial(ctx context.Context) (carrier, error) {
	switch t.Network {
	case TLS:
		return dialStream(ctx, t.Address, t.TLS())
	case UDP:
		return dialDatagrams(ctx, t.Address)
	case File:
		return openFile(t.Address, t.Size, t.Keep)
	}
	return nil, fmt.Errorf("%q is no network", t.Network)
}

// settle is how long what has arrived must stay before it counts as kept: files
// are synced, and of datagrams nothing is known.
func (t Target) settle(by Timing) time.Duration {
	if t.Network == TLS {
		return by.Settle
	}
	return 0
}

// frame makes what goes over the wire of one message.
func (t Target) frame(message []byte) []byte {
	switch {
	case t.Format == ECS && t.Network != UDP:
		return line(message)
	case t.Network == TLS:
		return octetCounted(message)
	}
	return bare(message)
}

// Timing is when things are done; the zero value means the defaults given here.
type Timing struct {
	// Settle is how long a connection must last, after the repository's machine has
	// acknowledged the bytes, before they count as kept; 10 s. Syslog has no
	// acknowledgement of its own, and what a program had not read when it died is
	// lost with it: it is sent again on the next connection.
	Settle   time.Duration
	RetryMin time.Duration // before the first new attempt; 1 s
	RetryMax time.Duration // between two, at the most; 1 min
	Alarm    time.Duration // without a repository, or behind, before people are told; 2 min
	Drain    time.Duration // for what is left when Cordon stops; 3 s
}

func (t Timing) withDefaults() Timing {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&t.Settle, 10 * time.Second},
		{&t.RetryMin, time.Second},
		{&t.RetryMax, time.Minute},
		{&t.Alarm, 2 * time.Minute},
		{&t.Drain, 3 * time.Second},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return t
}

const (
	gather     = 200 * time.Millisecond // before the next records are read, so that few reads fetch many
	settlePoll = 500 * time.Millisecond
)

// repository sends the ledger to one target, in order, for as long as it takes.
//
// Life of a session: connect; send everything from the cursor on; what has
// arrived and stayed unbroken for a while moves the cursor. The first error ends
// it; after a pause the next begins at the cursor again.
type repository struct {
	target Target
	audit  *Audit
	follow *ledger.Follower
	trail  trail

	mu    sync.Mutex // guards what follows
	state RepositoryStatus
	next  int64 // the first record that has not arrived
	told  bool  // that it is away
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
		return err
	}
	r.arrive(r.follow.Settled(), time.Time{})
	wait := r.audit.timing.RetryMin
	for ctx.Err() == nil {
		began := time.Now()
		err := r.session(ctx)
		if ctx.Err() != nil {
			break
		}
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

// session is one connection. It returns why it ended.
func (r *repository) session(ctx context.Context) error {
	r.follow.Rewind()
	r.trail = trail{after: r.target.settle(r.audit.timing)}
	batch, err := r.peek(ctx, 50*time.Millisecond)
	if err != nil {
		return err
	}
	if len(batch) > 0 {
		r.arrive(batch[0].Seq, batch[0].Time)
	}
	c, err := r.target.dial(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	r.up()
	live, cut := context.WithCancel(ctx)
	defer cut()
	go func() { // ends with the session, at cut at the latest
		select {
		case <-c.gone():
			cut()
		case <-live.Done():
		}
	}()
	for live.Err() == nil && err == nil {
		if err = r.hand(live, c, batch); err == nil {
			batch, err = r.more(live, c, len(batch))
		}
	}
	switch {
	case ctx.Err() != nil:
		return r.drain(c)
	case err == nil || live.Err() != nil:
		return c.why()
	}
	return err
}

// hand renders and sends a batch.
func (r *repository) hand(ctx context.Context, c carrier, batch []ledger.Record) error {
	if len(batch) == 0 {
		return nil
	}
	sent, skipped := uint64(0), int64(0)
	for _, rec := range batch {
		if rec.Body == nil {
			skipped++
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
	r.trail.add(mark{batch[len(batch)-1].Seq + 1, bytes, batch[0].Time})
	r.count(sent, skipped)
	return r.settle(c)
}

// more waits for the next batch, and settles what it can meanwhile.
func (r *repository) more(ctx context.Context, c carrier, before int) ([]ledger.Record, error) {
	if before < fullBatch {
		select {
		case <-time.After(gather):
		case <-ctx.Done():
			return nil, nil
		}
	}
	for ctx.Err() == nil {
		if err := r.settle(c); err != nil {
			return nil, err
		}
		wait := time.Hour
		if !r.trail.empty() {
			wait = settlePoll
		}
		if batch, err := r.peek(ctx, wait); err != nil || len(batch) > 0 {
			return batch, err
		}
	}
	return nil, nil
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

// settle moves the cursor over what has arrived and stayed.
func (r *repository) settle(c carrier) error {
	arrived, err := c.arrived()
	if err != nil {
		return err
	}
	here, settled := r.trail.advance(arrived, time.Now())
	r.arrive(here, r.trail.oldest())
	r.follow.Settle(settled)
	return nil
}

// drain hands over what is left when Cordon stops, within a time. What does not
// arrive is sent at the next start.
func (r *repository) drain(c carrier) error {
	ctx, cancel := context.WithTimeout(context.Background(), r.audit.timing.Drain)
	defer cancel()
	for {
		batch, err := r.peek(ctx, 50*time.Millisecond)
		if err != nil || len(batch) == 0 {
			break
		}
		if err := r.hand(ctx, c, batch); err != nil {
			return err
		}
	}
	for ctx.Err() == nil && !r.trail.arrived() {
		if err := r.settle(c); err != nil {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
	return ctx.Err()
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
