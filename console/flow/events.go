package flow

import (
	"context"
	"fmt"
	"hash/fnv"
	"net/http"
	"time"

	"cordon/console/answer"
)

const (
	lookEvery = 2 * time.Second
	tellEvery = 10 * time.Second // also if nothing has changed: ages have
)

// events tells a page when it should be renewed, until its reader goes or its session
// ends. There are only so many places.
func (s *pages) events(w http.ResponseWriter, r *http.Request) {
	select {
	case s.listeners <- struct{}{}:
		defer func() { <-s.listeners }()
	default:
		http.Error(w, s.View.Text("flow.full"), http.StatusServiceUnavailable)
		return
	}
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprint(w, "retry: 5000\n\n")
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var before uint64
	var told time.Time
	for {
		now, err := s.digest(r.Context())
		if err == nil && (now != before || time.Since(told) >= tellEvery) {
			before, told = now, time.Now()
			fmt.Fprint(w, "event: changed\ndata: \n\n")
		}
		if answer.Patience(control) != nil || control.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-answer.Ending(r):
			return
		case <-tick.C:
		}
	}
}

// digest is another one when something that the page shows has changed, ages apart.
func (s *pages) digest(ctx context.Context) (uint64, error) {
	d, err := s.state(ctx)
	if err != nil {
		return 0, err
	}
	h := fnv.New64a()
	fmt.Fprint(h, d.Level, d.Says, d.Objects, d.Associations, d.Held, d.Spooled, d.Attention, len(d.Bypass))
	for _, a := range d.Archives {
		fmt.Fprint(h, a.Name, a.Up, a.Queued)
	}
	for _, v := range d.Rows {
		fmt.Fprint(h, v.Title, v.Objects, v.State.Word, v.Studies)
	}
	return h.Sum64(), nil
}
