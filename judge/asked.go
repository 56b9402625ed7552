package judge

import (
	"slices"
	"strings"
	"sync"
	"time"

	"cordon/finding"
)

// Asked is what one engine was asked and answered since the start. Pieces that it
// had answered about before are among them.
type Asked struct {
	Engine        string    `json:"engine"`
	Under         int       `json:"under_way"` // pieces that wait for it or are with it now
	Clean         int64     `json:"clean"`
	Malicious     int64     `json:"malicious"`
	Unscanned     int64     `json:"unscanned"`
	Last          time.Time `json:"last,omitzero"` // that it scanned a piece
	LastUnscanned time.Time `json:"last_unscanned,omitzero"`
	Why           string    `json:"why,omitempty"` // of the last that it did not scan
}

// asked counts, by engine.
type asked struct {
	mu  sync.Mutex
	all map[string]*Asked
}

func (a *asked) begin(engine string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all == nil {
		a.all = map[string]*Asked{}
	}
	if a.all[engine] == nil {
		a.all[engine] = &Asked{Engine: engine}
	}
	a.all[engine].Under++
}

func (a *asked) end(r finding.EngineResult) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.all[r.Name]
	if e == nil {
		return
	}
	e.Under--
	now := time.Now().UTC()
	switch r.Result {
	case finding.Clean:
		e.Clean++
		e.Last = now
	case finding.ResultMalicious:
		e.Malicious++
		e.Last = now
	default:
		e.Unscanned++
		e.LastUnscanned, e.Why = now, r.Detail
	}
}

// Asked returns what each engine was asked since the start, by name.
func (j *Judge) Asked() []Asked {
	j.asked.mu.Lock()
	defer j.asked.mu.Unlock()
	var out []Asked
	for _, e := range j.asked.all {
		out = append(out, *e)
	}
	slices.SortFunc(out, func(a, b Asked) int { return strings.Compare(a.Engine, b.Engine) })
	return out
}
