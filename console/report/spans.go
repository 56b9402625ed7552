package report

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"cordon/ledger"
	"cordon/ledger/search"
)

// while is a time in which something was so.
type while struct{ from, to time.Time }

// within is how long it was so in a period, whiles that overlap counted once.
func within(all []while, p Period, now time.Time) time.Duration {
	end := p.To
	if now.Before(end) {
		end = now
	}
	slices.SortFunc(all, func(a, b while) int { return a.from.Compare(b.from) })
	var sum time.Duration
	counted := p.From // up to here
	for _, w := range all {
		from, to := w.from, w.to
		if to.IsZero() || to.After(end) {
			to = end
		}
		if from.Before(counted) {
			from = counted
		}
		if to.After(from) {
			sum += to.Sub(from)
			counted = to
		}
	}
	return sum
}

// lookback is how long before a period something may have begun that lasts into it.
const lookback = 31 * 24 * time.Hour

// A spans is what a few kinds of records say of how long something was so.
type spans struct {
	stopped []while // Cordon did not run
	away    []while // an archive did not answer, by its alarm
	bypass  []while
	past    []while // images went past Cordon
	engine  []while // an engine did not answer
	starts  int     // of Cordon, in the period
	unclean int     // of these, after a run that did not end in order

	open map[string]time.Time // what has begun, by name
}

// archiveAway is the kind of alarm of an archive that does not answer.
const archiveAway = "archive.away"

// spanKinds are the records that begin or end something.
var spanKinds = []string{
	"ledger.start", "ledger.stop", "alarm.raised", "alarm.ended", "bypass.started", "bypass.ended", "deadman.closed", "engine.state",
}

// spanBody is what such a record says.
type spanBody struct {
	AlarmKind string `json:"alarm_kind"`
	Subject   string
	Device    string
	Engine    string
	Up        bool
	Clean     bool
	Since     time.Time
	Until     time.Time
}

// spans reads how long things were so in a period and the one before.
func (p Parts) spans(ctx context.Context, before, period Period) (*spans, error) {
	s := &spans{open: map[string]time.Time{}}
	q := search.Query{Kinds: spanKinds, From: before.From.Add(-lookback), To: period.To}
	err := p.Search.Each(ctx, q, func(r ledger.Record) error {
		var b spanBody
		if r.Body == nil || json.Unmarshal(r.Body, &b) != nil {
			return nil
		}
		if r.Kind == "ledger.start" {
			return p.started(ctx, s, r, b, period)
		}
		s.add(r, b)
		return nil
	})
	for name, at := range s.open {
		s.end(name, at, time.Time{})
	}
	return s, err
}

// started ends the while in which Cordon did not run. After a run that did not end
// in order it began with that run's last record: it errs towards longer.
func (p Parts) started(ctx context.Context, s *spans, r ledger.Record, b spanBody, period Period) error {
	if !r.Time.Before(period.From) {
		s.starts++
		if !b.Clean {
			s.unclean++
		}
	}
	for name, at := range s.open { // nothing is known of these while Cordon did not run
		s.end(name, at, r.Time)
	}
	clear(s.open)
	if r.Seq == 0 {
		return nil
	}
	return p.Ledger.Scan(ctx, r.Seq-1, r.Seq, func(last ledger.Record) error {
		s.stopped = append(s.stopped, while{last.Time, r.Time})
		return nil
	})
}

// add notes what a record begins or ends.
func (s *spans) add(r ledger.Record, b spanBody) {
	switch r.Kind {
	case "alarm.raised":
		if b.AlarmKind == archiveAway {
			s.begin("away "+b.Subject, r.Time)
		}
	case "alarm.ended":
		if b.AlarmKind == archiveAway {
			s.finish("away "+b.Subject, r.Time)
		}
	case "bypass.started":
		s.bypass = append(s.bypass, while{r.Time, b.Until})
	case "bypass.ended":
		s.cut(b.Since, r.Time)
	case "deadman.closed":
		s.past = append(s.past, while{b.Since, b.Until})
	case "engine.state":
		if b.Up {
			s.finish("engine "+b.Engine, r.Time)
		} else {
			s.begin("engine "+b.Engine, r.Time)
		}
	}
}

func (s *spans) begin(name string, at time.Time) {
	if _, on := s.open[name]; !on {
		s.open[name] = at
	}
}

func (s *spans) finish(name string, at time.Time) {
	if from, on := s.open[name]; on {
		s.end(name, from, at)
		delete(s.open, name)
	}
}

// end notes a while under what it was.
func (s *spans) end(name string, from, to time.Time) {
	if name[0] == 'a' {
		s.away = append(s.away, while{from, to})
	} else {
		s.engine = append(s.engine, while{from, to})
	}
}

// cut ends the bypasses that began with the one that has ended.
func (s *spans) cut(since, at time.Time) {
	for i := range s.bypass {
		b := &s.bypass[i]
		if b.from.Truncate(time.Second).Equal(since.Truncate(time.Second)) && b.to.After(at) {
			b.to = at
		}
	}
}
