package bridge

import (
	"context"
	"errors"
	"sync"
	"time"

	"cordon/dicom/web"
)

// health is what is known of whether the archive can be reached. Unknown is up:
// whoever asks for something learns it.
type health struct {
	mu     sync.Mutex
	down   bool
	asked  time.Time // when it was last asked because it was down
	asking bool
}

const (
	probePause    = time.Second     // between two probes of an archive that is down
	probePatience = 5 * time.Second // for its answer
)

// heard notes how a request of the archive ended, unless ctx ended it, and
// returns err.
func (b *Bridge) heard(ctx context.Context, err error) error {
	h := &b.health
	if ctx.Err() != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	down := errors.Is(err, web.ErrAway)
	if err != nil && !down {
		return err // it has answered, or it is our own fault
	}
	switch {
	case down && !h.down:
		b.log.Warn("bridge: archive is away", "error", err)
	case !down && h.down:
		b.log.Info("bridge: archive is back")
	}
	h.down = down
	return err
}

// away reports whether the archive is out of reach. One that was is asked again,
// once in a while and once at a time.
func (b *Bridge) away(ctx context.Context) bool {
	h := &b.health
	h.mu.Lock()
	ask := h.down && !h.asking && time.Since(h.asked) >= probePause
	if !ask {
		defer h.mu.Unlock()
		return h.down
	}
	h.asking = true
	h.mu.Unlock()
	err := b.probe(ctx)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asking, h.asked = false, time.Now()
	return errors.Is(err, web.ErrAway)
}

// probe asks the archive for one study. Any answer will do: that it does not say
// which studies it has is no reason not to send it any.
func (b *Bridge) probe(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, probePatience)
	defer cancel()
	_, err := b.config.Client.Query(within, web.Query{Level: web.LevelStudy, Limit: 1}, func(web.DataSet) error { return nil })
	var answered *web.AnswerError
	if errors.As(err, &answered) && !errors.Is(err, web.ErrAway) {
		err = nil
	}
	return b.heard(ctx, err)
}
