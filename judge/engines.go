package judge

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"
	"time"

	"cordon/engine"
	"cordon/finding"
	"cordon/inspect"
)

// Engine is an outside scanner. Its methods are safe for concurrent use.
type Engine interface {
	Name() string
	Signatures(ctx context.Context) string // version of what it scans with; "" if it does not say
	Scan(ctx context.Context, r io.Reader, size int64) finding.EngineResult
	State(ctx context.Context) engine.State
}

// Scratch keeps one piece until the engines have seen it. A custody.Buffer is
// one: memory, then an encrypted file.
type Scratch interface {
	io.Writer
	Open() (io.ReadCloser, error)
	Discard()
}

// Defaults of a Config.
const (
	defaultDeadline = 10 * time.Second
	defaultArriving = 64
	smallPiece      = 64 << 10 // kept in memory; most pieces are smaller
	maxPieces       = 8        // of one object with the engines at a time; the object waits when there are more
	cacheEntries    = 100_000
	cacheAge        = time.Hour
)

// scans are what the engines say of one object: every piece that was carved is
// sent to each, at its own offset zero. It belongs to the judgement's
// goroutine, except for what mu guards.
type scans struct {
	judge  *Judge
	ctx    context.Context // ends with the deadline
	cancel context.CancelFunc
	live   Live          // when the object began
	seats  chan struct{} // bounds the pieces under way
	wait   time.Duration // for which the object may still wait for seats
	wg     sync.WaitGroup

	mu       sync.Mutex
	pieces   int
	worst    map[string]finding.EngineResult // by engine
	findings []finding.Finding
}

func newScans(j *Judge, live Live) *scans {
	ctx, cancel := context.WithCancel(context.Background())
	return &scans{
		judge: j, ctx: ctx, cancel: cancel, live: live, seats: make(chan struct{}, maxPieces), wait: live.Deadline,
		worst: map[string]finding.EngineResult{},
	}
}

// piece takes a copy of a piece, or nil where none is wanted: pixel data that
// is not compressed goes to engines only by policy, since it is nearly all
// there is, and holds no format that they know.
func (s *scans) piece(p inspect.Piece) io.WriteCloser {
	if p.Native && !s.live.ScanPixelData {
		return nil
	}
	return &pieceCopy{scans: s, piece: p, digest: sha256.New()}
}

// pieceCopy is one piece on its way to the engines.
type pieceCopy struct {
	scans   *scans
	piece   inspect.Piece
	digest  hash.Hash
	size    int64
	memory  []byte
	scratch Scratch // nil while memory is enough
	lost    error   // the copy could not be kept
}

func (c *pieceCopy) Write(p []byte) (int, error) {
	c.digest.Write(p)
	c.size += int64(len(p))
	switch {
	case c.lost != nil:
	case c.scratch != nil:
		_, c.lost = c.scratch.Write(p)
	case len(c.memory)+len(p) <= smallPiece:
		c.memory = append(c.memory, p...)
	case c.scans.judge.config.Scratch == nil:
		c.lost = fmt.Errorf("piece of more than %d bytes, and nowhere to keep it", smallPiece)
	default:
		c.scratch = c.scans.judge.config.Scratch()
		if _, c.lost = c.scratch.Write(c.memory); c.lost == nil {
			_, c.lost = c.scratch.Write(p)
		}
		c.memory = nil
	}
	return len(p), nil
}

// Close has the piece scanned, by every engine in turn. The goroutine ends when
// they have answered, at the latest with the deadline. An object of many pieces that
// engines are slow about waits for seats no longer than the deadline altogether.
func (c *pieceCopy) Close() error {
	s := c.scans
	if !s.seat() {
		c.lost = errEngineSlow
	}
	s.wg.Go(func() {
		if c.lost != errEngineSlow {
			defer func() { <-s.seats }()
		}
		defer c.discard()
		for _, e := range s.judge.config.Engines {
			s.judge.asked.begin(e.Name())
			answer := c.scan(s.ctx, e)
			s.judge.asked.end(answer)
			s.note(c.piece, answer)
		}
	})
	s.mu.Lock()
	s.pieces++
	s.mu.Unlock()
	return nil
}

// seat waits for a seat, and reports whether one is free in time.
func (s *scans) seat() bool {
	select {
	case s.seats <- struct{}{}:
		return true
	default:
	}
	late, began := time.NewTimer(s.wait), time.Now()
	defer late.Stop()
	select {
	case s.seats <- struct{}{}:
		s.wait -= time.Since(began)
		return true
	case <-late.C:
		s.wait = 0
		return false
	}
}

func (c *pieceCopy) discard() {
	if c.scratch != nil {
		c.scratch.Discard()
	}
}

// scan asks one engine, unless it has answered about the same piece before.
func (c *pieceCopy) scan(ctx context.Context, e Engine) finding.EngineResult {
	unscanned := func(why error) finding.EngineResult {
		return finding.EngineResult{Name: e.Name(), Detail: why.Error()}
	}
	switch {
	case c.lost != nil:
		return unscanned(c.lost)
	case c.scans.judge.rests.resting(e.Name()):
		return unscanned(errEngineRests)
	}
	digest := [sha256.Size]byte(c.digest.Sum(nil))
	if r, ok := c.scans.judge.cache.Get(digest, e.Name(), e.Signatures(ctx)); ok {
		return r
	}
	r, err := c.open()
	if err != nil {
		return unscanned(err)
	}
	defer r.Close()
	return c.scans.judge.ask(ctx, e, r, c.size, digest, c.scans.live.Deadline)
}

func (c *pieceCopy) open() (io.ReadCloser, error) {
	if c.scratch != nil {
		return c.scratch.Open()
	}
	return io.NopCloser(bytes.NewReader(c.memory)), nil
}

var (
	errEngineRests = errors.New("it did not answer in time a moment ago")
	errEngineSlow  = errors.New("it was too slow for all pieces of the object")
)

// ask has one engine scan one piece. An engine that does not answer in time, nor
// says that it is well, rests, so that not every object waits for it. One that
// is well was slow over this piece alone: were it to rest, whoever sends such a
// piece would open the way for the next.
func (j *Judge) ask(ctx context.Context, e Engine, r io.Reader, size int64, digest [sha256.Size]byte, deadline time.Duration) finding.EngineResult {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	answer := e.Scan(ctx, r, size)
	if answer.Result == finding.Unscanned && ctx.Err() != nil && !well(e) {
		j.rests.rest(e.Name(), engineRest)
	}
	j.cache.Put(digest, answer)
	return answer
}

// well asks an engine how it is, shortly.
func well(e Engine) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return e.State(ctx).Up
}

// engineRest is how long an engine that did not answer in time is not asked.
const engineRest = 20 * time.Second

// rests says which engines are not asked for a while.
type rests struct {
	mu    sync.Mutex
	until map[string]time.Time
}

func (r *rests) rest(name string, d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.until[name] = time.Now().Add(d)
}

func (r *rests) resting(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Now().Before(r.until[name])
}

// note keeps the worst answer of each engine, and where a hit was.
func (s *scans) note(p inspect.Piece, r finding.EngineResult) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if was, ok := s.worst[r.Name]; !ok || worse(r.Result, was.Result) {
		s.worst[r.Name] = r
	}
	if r.Result == finding.ResultMalicious && len(s.findings) < maxHits {
		s.findings = append(s.findings, finding.New(finding.EngineDetection, p.Where, p.Offset, r.Name+": "+r.Detail))
	}
}

// maxHits bounds the hits that are listed for one object.
const maxHits = 16

// worse orders answers: clean, unscanned, malicious.
func worse(a, b finding.Result) bool {
	order := map[finding.Result]int{finding.Clean: 0, finding.Unscanned: 1, finding.ResultMalicious: 2}
	return order[a] > order[b]
}

// unasked is what is known of engines that a bypass spares the object: nothing.
func unasked(engines []Engine) []finding.EngineResult {
	var out []finding.EngineResult
	for _, e := range engines {
		out = append(out, finding.EngineResult{Name: e.Name(), Detail: "not asked: bypass"})
	}
	return out
}

// finish waits for the answers, at most until the deadline, which runs from the
// object's last byte; then what is missing is unscanned.
func (s *scans) finish(ctx context.Context) ([]finding.EngineResult, []finding.Finding) {
	defer s.cancel()
	late := time.AfterFunc(s.live.Deadline, s.cancel)
	defer late.Stop()
	defer context.AfterFunc(ctx, s.cancel)()
	s.wg.Wait() // engines end with their context
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []finding.EngineResult
	for _, e := range s.judge.config.Engines {
		r, ok := s.worst[e.Name()]
		if !ok { // there was nothing to scan
			r = finding.EngineResult{Name: e.Name(), Result: finding.Clean, Signatures: e.Signatures(ctx), Detail: "no piece to scan"}
		}
		out = append(out, r)
	}
	return out, s.findings
}
