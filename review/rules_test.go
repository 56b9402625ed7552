package review

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"cordon/ledger"
)

// week is a Monday; the history is the four weeks before it.
var week = time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)

// event is a record to be.
type event struct {
	at   time.Time
	kind string
	body map[string]any
}

// on is a time of the week: 0 is Monday.
func on(day, hour int) time.Time { return week.AddDate(0, 0, day).Add(time.Duration(hour) * time.Hour) }

func ev(at time.Time, kind string, pairs ...any) event {
	body := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		body[pairs[i].(string)] = pairs[i+1]
	}
	return event{at, kind, body}
}

// many is n events of a kind, a minute apart.
func many(n int, at time.Time, kind string, pairs ...any) []event {
	var out []event
	for i := range n {
		out = append(out, ev(at.Add(time.Duration(i)*time.Minute), kind, pairs...))
	}
	return out
}

// call is an association of a device with so many objects.
func call(at time.Time, device string, objects int) []event {
	id := device + at.String()
	return []event{
		ev(at, "association.begin", "association", id, "device", device),
		ev(at.Add(time.Minute), "association.end", "association", id, "device", device, "received", objects, "held", 0, "refused", 0),
	}
}

// habit is a device that calls at nine on every working day of the history.
func habit(device string, objects int) []event {
	var out []event
	for day := -28; day < 0; day++ {
		if at := on(day, 9); at.Weekday() != time.Saturday && at.Weekday() != time.Sunday {
			out = append(out, call(at, device, objects)...)
		}
	}
	return out
}

// analysed plays events, sorted by time except where they say otherwise, as a
// review reads them.
func analysed(events []event) []Item {
	a := newAnalysis(time.UTC, true)
	end := week.AddDate(0, 0, -21)
	for i, e := range events {
		for ; !e.at.Before(end) && end.Before(week.AddDate(0, 0, 7)); end = end.AddDate(0, 0, 7) {
			a.turn()
		}
		a.add(recordOf(int64(i), e))
	}
	for ; !end.After(week); end = end.AddDate(0, 0, 7) {
		a.turn()
	}
	return a.items(week.AddDate(0, 0, 7))
}

func recordOf(seq int64, e event) ledger.Record {
	text, err := json.Marshal(e.body)
	if err != nil {
		panic(err) // the test's own
	}
	return ledger.Record{Seq: seq, Time: e.at, Kind: e.kind, Body: text, Version: 1}
}

// A vector shows one rule at work: events that it finds, and a near miss.
type vector struct {
	rule      string
	name      string
	count     int64
	history   []event
	hit, miss []event
}

func join(parts ...[]event) []event { return slices.Concat(parts...) }

var (
	monday   = on(0, 10)
	released = func(at time.Time, id string, pairs ...any) event {
		return ev(at, "object.released", append([]any{"id", id, "device", "ct-1"}, pairs...)...)
	}
)

var vectors = []vector{
	{rule: "bypass", name: "Ann", count: 1,
		hit:  []event{ev(monday, "bypass.started", "by", "Ann", "device", "")},
		miss: []event{ev(monday, "bypass.ended", "by", "Ann", "device", "")}},
	{rule: "emergency-release", name: "Ann", count: 1,
		hit:  []event{released(monday, "1", "by", []string{"Ann"}, "emergency", true)},
		miss: []event{released(monday, "1", "by", []string{"Ann", "Bob"})}},
	{rule: "emergency-unreviewed", name: "Ann", count: 1,
		hit:  []event{released(monday, "1", "by", []string{"Ann"}, "emergency", true), ev(monday.Add(25*time.Hour), "object.reviewed", "id", "1", "by", "Bob")},
		miss: []event{released(monday, "1", "by", []string{"Ann"}, "emergency", true), ev(monday.Add(24*time.Hour), "object.reviewed", "id", "1", "by", "Bob")}},
	{rule: "emergency-unreviewed", name: "Ann", count: 1, // never, and the time is over; or it is not over yet
		hit:  []event{released(on(5, 23), "1", "by", []string{"Ann"}, "emergency", true)},
		miss: []event{released(on(6, 1), "1", "by", []string{"Ann"}, "emergency", true)}},
	{rule: "emergency-unreviewed", name: "Ann", count: 1, // of the week before
		history: []event{released(on(-1, 12), "1", "by", []string{"Ann"}, "emergency", true)},
		hit:     []event{ev(on(0, 13), "object.reviewed", "id", "1", "by", "Bob")},
		miss:    []event{ev(on(0, 11), "object.reviewed", "id", "1", "by", "Bob")}},
	{rule: "released", name: "Bob", count: 1,
		hit:  []event{released(monday, "1", "by", []string{"Ann", "Bob"})},
		miss: []event{ev(monday, "object.asked", "id", "1", "by", "Bob")}},
	{rule: "exported", name: "Ann", count: 1,
		hit:  []event{ev(monday, "object.exported", "id", "1", "by", "Ann")},
		miss: []event{ev(monday, "object.retried", "id", "1", "by", "Ann")}},
	{rule: "destroyed", name: "Ann", count: 1,
		hit:  []event{ev(monday, "object.destroyed", "id", "1", "by", []string{"Ann", "Bob"})},
		miss: []event{ev(monday, "object.asked", "id", "1", "by", "Ann", "action", "destroy")}},
	{rule: "exception", name: "Ann", count: 1,
		hit:  []event{ev(monday, "exception.approved", "id", "x", "by", []string{"Ann"})},
		miss: []event{ev(monday, "exception.revoked", "id", "x", "by", []string{"Ann"})}},
	{rule: "exception-alone", name: "Ann", count: 1,
		history: []event{ev(on(-3, 10), "exception.proposed", "id", "x", "by", "Ann")},
		hit:     []event{ev(monday, "exception.approved", "id", "x", "by", []string{"Ann"})},
		miss:    []event{ev(monday, "exception.approved", "id", "x", "by", []string{"Bob"})}},
	{rule: "device-decision", name: "Ann", count: 1,
		hit:  []event{ev(monday, "device.approved", "device", "ct-1", "by", "Ann")},
		miss: []event{ev(monday, "device.proposed", "device", "ct-1")}},
	{rule: "night", name: "Ann", count: 1,
		hit:  []event{ev(on(0, 5).Add(59*time.Minute), "object.exported", "id", "1", "by", "Ann")},
		miss: []event{ev(on(0, 6), "object.exported", "id", "1", "by", "Ann"), ev(on(0, 3), "object.held", "id", "2", "device", "ct-1")}},
	{rule: "night", name: "Ann", count: 1, // Saturday noon, Friday noon
		hit:  []event{ev(on(5, 12), "bypass.started", "by", "Ann")},
		miss: []event{ev(on(4, 12), "bypass.started", "by", "Ann")}},

	{rule: "held", name: "ct-1", count: 2,
		hit:  []event{ev(monday, "object.held", "id", "1", "device", "ct-1"), ev(monday, "object.held_again", "id", "1", "device", "ct-1")},
		miss: []event{ev(monday, "object.spooled", "id", "1", "device", "ct-1")}},
	{rule: "held", name: "CT9@10.0.0.9", count: 1, // not declared: named by its association
		hit: []event{ev(monday, "association.begin", "association", "a", "calling_ae", "CT9", "address", "10.0.0.9"),
			ev(monday, "object.held", "id", "1", "association", "a")},
		miss: []event{ev(monday, "association.begin", "association", "a", "calling_ae", "CT9", "address", "10.0.0.9"),
			ev(monday, "association.end", "association", "a", "calling_ae", "CT9", "address", "10.0.0.9"),
			ev(monday, "object.held", "id", "1", "association", "a")}},
	{rule: "held", name: "CT9@10.0.0.9", count: 1, // by its AE title
		hit:  append(call(monday, "ct-1", 1), ev(monday, "association.begin", "association", "a", "calling_ae", "CT9", "address", "10.0.0.9"), ev(monday, "object.held", "id", "1", "calling_ae", "CT9")),
		miss: []event{ev(monday, "association.begin", "association", "a", "calling_ae", "CT9", "address", "10.0.0.9"), ev(monday, "object.held", "id", "1", "calling_ae", "CT8")}},
	{rule: "held", name: "CT8", count: 1, // which nobody has called by
		hit:  []event{ev(monday, "object.held", "id", "1", "calling_ae", "CT8")},
		miss: []event{ev(monday, "object.spooled", "id", "1", "calling_ae", "CT8")}},
	{rule: "late-hit", name: "ct-1", count: 1,
		hit:  []event{ev(monday, "object.late_hit", "id", "1", "device", "ct-1")},
		miss: []event{ev(monday, "object.rescanned", "id", "1", "device", "ct-1")}},
	{rule: "new-device", name: "us-1", count: 1,
		history: habit("ct-1", 10),
		hit:     call(monday, "us-1", 1),
		miss:    call(monday, "ct-1", 1)},
	{rule: "unusual-hours", name: "ct-1", count: 3,
		history: habit("ct-1", 10),
		hit:     many(3, on(1, 3), "association.begin", "device", "ct-1"),
		miss: join(many(2, on(1, 3), "association.begin", "device", "ct-1"), // too few
			many(9, on(2, 10), "association.begin", "device", "ct-1"))}, // an hour later than ever
	{rule: "unusual-hours", name: "ct-1", count: 3, // at nine, but on Saturday; another has no habit yet
		history: join(habit("ct-1", 10), call(on(-7, 9), "us-1", 1)),
		hit:     many(3, on(5, 9), "association.begin", "device", "ct-1"),
		miss:    many(3, on(1, 3), "association.begin", "device", "us-1")},
	{rule: "volume-high", name: "ct-1", count: 1501,
		history: habit("ct-1", 100), // 500 a week
		hit:     call(monday, "ct-1", 1501),
		miss:    call(monday, "ct-1", 1500)},
	{rule: "volume-high", name: "ct-1", count: 151,
		history: habit("ct-1", 10), // 50 a week
		hit:     call(monday, "ct-1", 151),
		miss:    call(monday, "ct-1", 150)}, // three times, but not a hundred more
	{rule: "volume-low", name: "ct-1", count: 99,
		history: habit("ct-1", 100),
		hit:     call(monday, "ct-1", 99),
		miss:    call(monday, "ct-1", 100)},
	{rule: "volume-low", name: "ct-1", count: 0, // nothing at all; one that never sent much
		history: habit("ct-1", 20),
		hit:     nil,
		miss:    call(monday, "ct-1", 20)},
	{rule: "rejected", name: "CT9@10.0.0.9", count: 10,
		hit:  many(10, monday, "association.rejected", "association", "a", "calling_ae", "CT9", "address", "10.0.0.9"),
		miss: many(9, monday, "association.rejected", "association", "a", "calling_ae", "CT9", "address", "10.0.0.9")},
	{rule: "rejected", name: "10.0.0.9", count: 12,
		hit:  many(12, monday, "association.failed", "address", "10.0.0.9"),
		miss: join(many(9, monday, "association.failed", "address", "10.0.0.9"), many(9, monday, "association.failed", "address", "10.0.0.8"))},
	{rule: "refused", name: "ct-1", count: 5,
		hit:  join(many(3, monday, "object.refused", "device", "ct-1"), many(2, monday.Add(time.Hour), "object.refused_by_archive", "device", "ct-1")),
		miss: many(4, monday, "object.refused", "device", "ct-1")},
	{rule: "query-refused", name: "ws-1", count: 5,
		hit:  many(5, monday, "query.refused", "device", "ws-1"),
		miss: join(many(4, monday, "query.refused", "device", "ws-1"), many(9, monday.Add(time.Hour), "query.answered", "device", "ws-1"))},
	{rule: "tls-failed", name: "10.0.0.9", count: 3,
		hit:  many(3, monday, "tls.failed", "address", "10.0.0.9"),
		miss: many(2, monday, "tls.failed", "address", "10.0.0.9")},
	{rule: "would-refuse", name: "ct-1", count: 1,
		hit:  []event{ev(monday, "admission.would_refuse", "device", "ct-1")},
		miss: []event{ev(monday, "admission.learned", "device", "ct-1")}},
	{rule: "unscanned", name: "ct-1", count: 1,
		hit:  join(call(monday, "ct-1", 1)[:1], many(1, monday, "object.delivered", "association", "ct-1"+monday.String(), "alarm", true)),
		miss: join(call(monday, "ct-1", 1)[:1], many(1, monday, "object.delivered", "association", "ct-1"+monday.String(), "alarm", false))},
	{rule: "unfinished", name: "CT9@10.0.0.9", count: 1,
		hit:  []event{ev(monday, "association.unfinished", "association", "a", "calling_ae", "CT9", "address", "10.0.0.9")},
		miss: []event{ev(monday, "association.end", "association", "a", "calling_ae", "CT9", "address", "10.0.0.9")}},

	{rule: "engine-away", name: "clamd", count: 1,
		hit:  []event{ev(monday, "engine.state", "engine", "clamd", "up", false)},
		miss: []event{ev(monday, "engine.state", "engine", "clamd", "up", true)}},
	{rule: "commitment-given-up", count: 1,
		hit:  []event{ev(monday, "commitment.given_up")},
		miss: []event{ev(monday, "commitment.reported")}},
	{rule: "configuration", count: 1,
		history: []event{ev(on(-28, 0), "config.applied", "sha256", "aa"), ev(on(-14, 0), "config.applied", "sha256", "bb")},
		hit:     []event{ev(monday, "config.applied", "sha256", "aa"), ev(monday, "config.applied", "sha256", "aa")},
		miss:    []event{ev(monday, "config.applied", "sha256", "bb")}},
	{rule: "configuration", count: 1,
		hit:  []event{ev(monday, "config.applied", "sha256", ""), ev(monday, "config.applied", "sha256", "aa")},
		miss: []event{ev(monday, "config.applied", "sha256", "aa")}}, // the first ever
	{rule: "keys", count: 1,
		hit:  []event{ev(monday, "pki.revoked")},
		miss: []event{ev(monday, "config.applied", "sha256", "")}},
	{rule: "verification-failed", count: 1,
		hit:  []event{ev(monday, "ledger.verified", "intact", false)},
		miss: []event{ev(monday, "ledger.verified", "intact", true)}},
	{rule: "ledger-cut", count: 1,
		hit:  []event{ev(monday, "ledger.start", "intact", false, "clean", true)},
		miss: []event{ev(monday, "ledger.start", "intact", true, "clean", true)}},
	{rule: "ledger-lost", count: 1,
		hit:  []event{ev(monday, "ledger.lost", "records", 3)},
		miss: []event{ev(monday, "ledger.stop", "records", 3)}},
	{rule: "damaged", count: 1,
		hit:  []event{ev(monday, "object.alarm", "id", "1")},
		miss: []event{ev(monday, "object.back", "id", "1")}},
	{rule: "unclean-stop", count: 1,
		hit:  []event{ev(monday, "ledger.start", "intact", true, "clean", false)},
		miss: []event{ev(monday, "ledger.start", "intact", true, "clean", true)}},
	{rule: "clock", count: 1,
		hit:  []event{ev(monday, "ledger.clock", "seconds", -60)},
		miss: []event{ev(monday, "ledger.start"), ev(monday.Add(-time.Hour), "ledger.stop")}},
	{rule: "another-history", count: 1,
		hit:  []event{ev(monday, "witness.refused", "witness", "w")},
		miss: []event{ev(monday, "witness.late", "witness", "w")}},
	{rule: "audit-lost", count: 1,
		hit:  []event{ev(monday, "audit.skipped", "repository", "a", "records", 3)},
		miss: []event{ev(monday, "audit.repository", "repository", "a", "up", false)}},
	{rule: "silent", name: "ct-1", count: 1,
		hit:  []event{ev(monday, "source.silent", "device", "ct-1")},
		miss: []event{ev(monday, "source.heard", "device", "ct-1")}},
	{rule: "flood", count: 1,
		hit:  []event{ev(monday, "refusals.omitted", "omitted", 9)},
		miss: []event{ev(monday, "association.rejected", "address", "10.0.0.9")}},
	{rule: "erased", count: 1,
		hit:  []event{ev(monday, "ledger.erased", "records", 3)},
		miss: []event{ev(monday, "ledger.start")}},
	{rule: "signed-late", name: "Ann", count: 1,
		hit:  []event{ev(monday, "review.signed", "by", "Ann", "late", true)},
		miss: []event{ev(monday, "review.signed", "by", "Ann", "late", false)}},
}

func TestEachRuleFindsItsVectorAndNotTheNearMiss(t *testing.T) {
	for i, v := range vectors {
		t.Run(fmt.Sprintf("%s/%d", v.rule, i), func(t *testing.T) {
			items := found(analysed(join(v.history, v.hit)), v.rule)
			i := slices.IndexFunc(items, func(i Item) bool { return i.Name == v.name })
			if i < 0 || items[i].Count != v.count || items[i].Says == "" {
				t.Errorf("hit: got %+v", items)
			}
			missed := found(analysed(join(v.history, v.miss)), v.rule)
			if slices.ContainsFunc(missed, func(i Item) bool { return i.Name == v.name }) {
				t.Errorf("near miss: got %+v", missed)
			}
		})
	}
}

func found(items []Item, rule string) []Item {
	return slices.DeleteFunc(items, func(i Item) bool { return i.Rule != rule })
}

func TestEveryRuleIsCompleteAndHasAVector(t *testing.T) {
	id := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	seen := map[string]bool{}
	for _, r := range Rules() {
		if !id.MatchString(r.ID) || seen[r.ID] || r.About == "" || len(r.Kinds) == 0 || r.Test == "" || r.Threshold < 1 || r.What == "" || r.Why == "" {
			t.Errorf("%+v", r)
		}
		seen[r.ID] = true
		if !slices.ContainsFunc(vectors, func(v vector) bool { return v.rule == r.ID }) {
			t.Errorf("%s has no vector", r.ID)
		}
		if (r.Within > 0 && r.Answer != "") != (r.Test == unanswered) || (r.Factor > 0) != (r.Test == above || r.Test == below) {
			t.Errorf("%s: %s, within %v, factor %d", r.ID, r.Test, r.Within, r.Factor)
		}
	}
}

// The same ledger makes the same review, whatever the order of maps.
func TestSameLedgerSameReview(t *testing.T) {
	var events []event
	for _, v := range vectors {
		events = append(events, v.history...)
	}
	slices.SortStableFunc(events, func(a, b event) int { return a.at.Compare(b.at) })
	for _, v := range vectors {
		events = append(events, v.hit...)
	}
	first := analysed(events)
	if len(first) < len(rules) {
		t.Fatalf("%d items of %d rules", len(first), len(rules))
	}
	for range 20 {
		if again := analysed(events); !reflect.DeepEqual(first, again) {
			t.Fatalf("got\n%+v\nthen\n%+v", first, again)
		}
	}
}

// A million records of as many devices as anybody cares to make up take memory
// for maxNames of them.
func TestMemoryIsBounded(t *testing.T) {
	records := 1_000_000
	if testing.Short() {
		records = 100_000
	}
	a := newAnalysis(time.UTC, true)
	begin := heap()
	for i := range records {
		at := week.Add(time.Duration(i) * 500 * time.Millisecond)
		device := fmt.Sprint("device-", i)
		switch i % 4 {
		case 0:
			a.add(recordOf(int64(i), ev(at, "association.begin", "association", fmt.Sprint("never-ends-", i), "device", device)))
		case 1:
			a.add(recordOf(int64(i), ev(at, "object.released", "id", fmt.Sprint(i), "by", device, "emergency", true)))
		case 2:
			a.add(recordOf(int64(i), ev(at, "exception.proposed", "id", fmt.Sprint(i), "by", device)))
		case 3:
			a.add(recordOf(int64(i), ev(at, "engine.state", "engine", device, "up", false)))
		}
	}
	if len(a.devices) > maxNames+1 || len(a.people) > maxNames+1 || len(a.tallies) > maxTallies+len(rules) {
		t.Errorf("%d devices, %d people, %d tallies", len(a.devices), len(a.people), len(a.tallies))
	}
	if used := heap() - begin; used > 64<<20 {
		t.Errorf("%d MiB", used>>20)
	}
	items := a.items(week.AddDate(0, 0, 7))
	total := int64(0)
	for _, i := range found(items, "emergency-release") {
		total += i.Count
	}
	if n := len(items); n > len(rules)*(maxItems+1) {
		t.Errorf("%d items", n)
	}
	if total != int64(records/4) {
		t.Errorf("%d of %d emergency releases", total, records/4)
	}
	runtime.KeepAlive(a)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Rules look at kinds that are written, and at keys that these have.
func TestRulesLookAtWhatIsWritten(t *testing.T) {
	for _, r := range rules {
		for _, pattern := range append(slices.Clone(r.Kinds), r.Answer) {
			found := pattern == ""
			for _, k := range ledger.Kinds() {
				if !Match(pattern, k.Name) || pattern == "" {
					continue
				}
				found = true
				for key := range r.Where {
					if pattern != r.Answer && !slices.Contains(strings.Fields(k.Keys), key) {
						t.Errorf("%s: %s has no key %s", r.ID, k.Name, key)
					}
				}
			}
			if !found {
				t.Errorf("%s: nobody writes %s", r.ID, pattern)
			}
		}
	}
}

func TestReviewsNameNoPatients(t *testing.T) {
	known := map[string]bool{}
	for _, r := range rules {
		known[r.About] = true
	}
	if got := slices.Sorted(maps.Keys(known)); !slices.Equal(got, []string{"device", "engine", "person", "site"}) {
		t.Errorf("rules are about %q", got)
	}
}
