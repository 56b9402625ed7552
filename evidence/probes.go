package evidence

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cordon/exception"
	"cordon/ledger"
	"cordon/review"
)

// A probe is a figure that needs more than a count of records.
type probe struct {
	name  string
	what  string // for docs/evidence.md
	value func(*making, context.Context) (Figure, error)
}

// probes is every one, in the order of the documentation.
var probes = [...]probe{
	{"records", "records of the period", func(m *making, _ context.Context) (Figure, error) { return amount(m.collected.records), nil }},
	{"ledger-intact", "1 if the whole ledger verifies: every record, hash and signature", (*making).ledgerIntact},
	{"history-days", "days from the first record to the end of the period", (*making).historyDays},
	{"reviews-in-time", "activity reviews due in the period that were signed in time, in percent", (*making).reviewsInTime},
	{"reviews-overdue", "activity reviews that are overdue now", (*making).reviewsOverdue},
	{"emergencies-in-time", "emergency releases of the period that somebody else reviewed within 24 hours, in percent", (*making).emergenciesInTime},
	{"bypass-hours", "hours in which inspection was bypassed for a device or for all", (*making).bypassHours},
	{"exceptions-alone", "exceptions approved in the period by the one who proposed them", (*making).exceptionsAlone},
	{"engines-up", "time that the engine which was away most answered, in percent", (*making).enginesUp},
	{"recalls-open", "objects found harmful after delivery in the period that nobody has recalled", func(m *making, _ context.Context) (Figure, error) {
		return amount(len(m.collected.facts.lateHits)), nil
	}},
	{"spool-waiting", "objects that wait for an archive or a person now", (*making).spoolWaiting},
	{"kept-intact", "objects spooled or held in the period, less those whose copy is missing or damaged now, in percent", (*making).keptIntact},
	{"encrypted-at-rest", "of the latest kept objects, those whose file is encrypted, in percent", (*making).encryptedAtRest},
	{"people-acts", "records of the period that name a person", func(m *making, _ context.Context) (Figure, error) { return amount(m.collected.facts.acts), nil }},
	{"people-names", "names that they give", func(m *making, _ context.Context) (Figure, error) { return amount(len(m.collected.facts.names)), nil }},
}

// fromBodies are the probes that rest on what the bodies of records say; the rest
// knows as much when these have been pruned.
var fromBodies = []string{"emergencies-in-time", "bypass-hours", "engines-up", "recalls-open", "people-acts", "people-names"}

func knownProbe(name string) bool { return slices.Contains(probeNames(), name) }

func probeNames() []string {
	var names []string
	for _, p := range probes {
		names = append(names, p.name)
	}
	return names
}

func findProbe(name string) probe {
	i := slices.IndexFunc(probes[:], func(p probe) bool { return p.name == name })
	return probes[i] // check has found it
}

func amount[N int | int64](n N) Figure { return Figure{Value: float64(n)} }

func share(part, of int64) Figure { return Figure{Share: true, Part: part, Of: of} }

func (m *making) ledgerIntact(_ context.Context) (Figure, error) {
	f := Figure{Detail: m.intact.says}
	if m.intact.ok {
		f.Value = 1
	}
	return f, nil
}

func (m *making) historyDays(_ context.Context) (Figure, error) {
	const day = 24 * time.Hour
	return amount(int64(max(0, m.to.Sub(m.first)) / day)), nil
}

func (m *making) reviewsInTime(ctx context.Context) (Figure, error) {
	var f Figure
	f.Share = true
	err := m.eachReview(ctx, func(r review.Review) {
		if r.Due.Before(m.from) || !r.Due.Before(m.to) || r.Due.After(m.now) {
			return
		}
		f.Of++
		if !r.SignedAt.IsZero() && !r.SignedAt.After(r.Due) {
			f.Part++
		}
	})
	return f, err
}

func (m *making) reviewsOverdue(ctx context.Context) (Figure, error) {
	s, err := m.parts.Reviews.Status(ctx, m.now)
	return amount(s.Overdue), err
}

func (m *making) eachReview(ctx context.Context, fn func(review.Review)) error {
	all, err := m.parts.Reviews.List(ctx)
	for _, r := range all {
		fn(r)
	}
	return err
}

func (m *making) emergenciesInTime(_ context.Context) (Figure, error) {
	var in, of int64
	for _, e := range m.collected.facts.emergencies {
		if e.reviewed.IsZero() && m.now.Before(e.at.Add(24*time.Hour)) {
			continue // there is still time
		}
		of++
		if e.inTime() {
			in++
		}
	}
	return share(in, of), nil
}

func (m *making) bypassHours(_ context.Context) (Figure, error) {
	const tenth = 6 * time.Minute
	tenths := int64((m.collected.facts.bypassedFor() + tenth - 1) / tenth) // begun ones count
	return Figure{Value: float64(tenths) / 10}, nil
}

func (m *making) exceptionsAlone(ctx context.Context) (Figure, error) {
	n := 0
	err := m.eachException(ctx, func(e exception.Exception) {
		in := !e.DecidedAt.Before(m.from) && e.DecidedAt.Before(m.to)
		if in && e.State != exception.Revoked && slices.Equal(e.DecidedBy, []string{e.ProposedBy}) {
			n++
		}
	})
	return amount(n), err
}

func (m *making) eachException(ctx context.Context, fn func(exception.Exception)) error {
	all, err := m.parts.Exceptions.List(ctx)
	for _, e := range all {
		fn(e)
	}
	return err
}

func (m *making) enginesUp(_ context.Context) (Figure, error) {
	up, of, name := m.collected.facts.enginesUp()
	f := share(up, of)
	if of > 0 {
		f.Detail = fmt.Sprintf("%s, in seconds", name)
	} else {
		f.Detail = "no engine is configured, or none was asked"
	}
	return f, nil
}

func (m *making) spoolWaiting(ctx context.Context) (Figure, error) {
	s, err := m.parts.Custody.Stats(ctx)
	return amount(s.Spooled), err
}

func (m *making) keptIntact(ctx context.Context) (Figure, error) {
	s, err := m.parts.Custody.Stats(ctx)
	kept := m.collected.facts.kept
	return share(max(0, kept-int64(s.Alarms)), kept), err
}

// lookedAt is how many files the probe of encryption opens.
const lookedAt = 200

func (m *making) encryptedAtRest(ctx context.Context) (Figure, error) {
	looked, encrypted, err := m.parts.Custody.Encrypted(ctx, lookedAt)
	f := share(int64(encrypted), int64(looked))
	if looked == 0 {
		f.Detail = "nothing is kept now"
	}
	return f, err
}

// verified is what a verification of the whole ledger said.
type verified struct {
	ok   bool
	says string
}

func verify(ctx context.Context, p Parts) verified {
	r, err := ledger.VerifyLive(ctx, p.DB, ledger.VerifyOptions{})
	if err != nil {
		return verified{says: err.Error()}
	}
	says, _, _ := strings.Cut(r.Proves, "; whose key") // it is this ledger's own
	return verified{true, strings.TrimSuffix(says, ".") + "."}
}

// sortedKeys returns a map's keys in order.
func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
