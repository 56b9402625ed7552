package evidence

import (
	"slices"
	"strings"
	"time"

	"cordon/ledger"
)

// maxKept bounds what waits for a later record, and names.
const maxKept = 10000

// facts is what single counts cannot say: records that belong together.
type facts struct {
	from, to time.Time

	emergencies map[string]*emergency // by object
	bypasses    []bypassed
	lateHits    map[string]bool // of objects that nobody has recalled
	engines     map[string]*engine
	acts        int64
	kept        int64 // objects spooled or held
	names       map[string]bool
	end         time.Time // of the last record
	unread      int64     // records of the period that add would look into and whose bodies are gone
}

// emergency is a release by one person, and its review.
type emergency struct {
	by, reason, reviewer string
	at, reviewed         time.Time
}

// inTime reports whether it was reviewed within a day.
func (e emergency) inTime() bool {
	return !e.reviewed.IsZero() && !e.reviewed.After(e.at.Add(24*time.Hour))
}

// bypassed is a bypass of inspection.
type bypassed struct {
	device, by, reason  string
	since, until, ended time.Time
}

// engine is what is known of a scanner at a moment.
type engine struct {
	up        bool
	known     bool
	since     time.Time
	upFor, of time.Duration
}

func newFacts(from, to time.Time) facts {
	return facts{
		from: from, to: to,
		emergencies: map[string]*emergency{}, lateHits: map[string]bool{}, engines: map[string]*engine{}, names: map[string]bool{},
	}
}

// looksAt reports whether add wants the body of such a record.
func (f *facts) looksAt(kind string) bool {
	part, _, _ := strings.Cut(kind, ".")
	if kind == "object.delivered" {
		return false // there are too many
	}
	return slices.Contains([]string{"object", "bypass", "engine", "recall", "exception", "device", "review", "pki", "ledger"}, part)
}

func (f *facts) add(r ledger.Record, b body, inside bool) {
	f.end = r.Time
	if inside && r.Body == nil && f.looksAt(r.Kind) {
		f.unread++
	}
	if by := b.by(); inside && len(by) > 0 {
		f.acts++
		for _, name := range by {
			if len(f.names) < maxKept {
				f.names[name] = true
			}
		}
	}
	switch r.Kind {
	case "object.released":
		if b["emergency"] == true && inside && len(f.emergencies) < maxKept {
			f.emergencies[b.text("id")] = &emergency{by: strings.Join(b.by(), ", "), reason: b.text("reason"), at: r.Time}
		}
	case "object.reviewed":
		if e := f.emergencies[b.text("id")]; e != nil && e.reviewed.IsZero() {
			e.reviewed, e.reviewer = r.Time, strings.Join(b.by(), ", ")
		}
	case "object.spooled", "object.held":
		if inside {
			f.kept++
		}
	case "object.late_hit":
		if inside && len(f.lateHits) < maxKept {
			f.lateHits[b.text("id")] = true
		}
	case "recall.done":
		delete(f.lateHits, b.text("id"))
	case "bypass.started", "bypass.ended":
		f.bypass(r, b)
	case "engine.state":
		f.engine(r.Time, b.text("engine")).set(b["up"] == true, r.Time, f)
	case "ledger.stop", "ledger.start":
		for _, e := range f.engines {
			e.forget(r.Time, f)
		}
	}
}

func (f *facts) bypass(r ledger.Record, b body) {
	if r.Kind == "bypass.started" {
		until, err := time.Parse(time.RFC3339, b.text("until"))
		if err == nil && len(f.bypasses) < maxKept {
			f.bypasses = append(f.bypasses, bypassed{device: b.text("device"), by: strings.Join(b.by(), ", "), reason: b.text("reason"), since: r.Time, until: until})
		}
		return
	}
	for i := range f.bypasses {
		if one := &f.bypasses[i]; one.ended.IsZero() && one.device == b.text("device") && one.since.Truncate(time.Second).Format(time.RFC3339) == b.text("since") {
			one.ended = r.Time
		}
	}
}

// end is when it was over.
func (b bypassed) end() time.Time {
	if !b.ended.IsZero() && b.ended.Before(b.until) {
		return b.ended
	}
	return b.until
}

// within is how much of a span of time lies in the period.
func (f *facts) within(since, until time.Time) time.Duration {
	if since.Before(f.from) {
		since = f.from
	}
	if until.After(f.to) {
		until = f.to
	}
	return max(0, until.Sub(since))
}

// bypassedFor is for how long inspection was bypassed for somebody; bypasses at
// the same time count once each.
func (f *facts) bypassedFor() (d time.Duration) {
	for _, b := range f.bypasses {
		d += f.within(b.since, b.end())
	}
	return d
}

func (f *facts) engine(at time.Time, name string) *engine {
	e := f.engines[name]
	if e == nil {
		e = &engine{}
		if len(f.engines) < maxKept {
			f.engines[name] = e
		}
	}
	return e
}

// set notes the engine's state from now on.
func (e *engine) set(up bool, at time.Time, f *facts) {
	e.forget(at, f)
	e.known, e.up, e.since = true, up, at
}

// forget counts the state that ends now; what follows is not known, since Cordon
// did not run or asks anew.
func (e *engine) forget(at time.Time, f *facts) {
	if e.known {
		d := f.within(e.since, at)
		e.of += d
		if e.up {
			e.upFor += d
		}
	}
	e.known = false
}

// enginesUp is the worst engine's share of time, in seconds.
func (f *facts) enginesUp() (up, of int64, name string) {
	for _, n := range sortedKeys(f.engines) {
		e := f.engines[n]
		e.forget(f.end, f)
		u, o := int64(e.upFor/time.Second), int64(e.of/time.Second)
		if o > 0 && (of == 0 || float64(u)/float64(o) < float64(up)/float64(of)) {
			up, of, name = u, o, n
		}
	}
	return up, of, name
}
