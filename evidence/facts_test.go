package evidence

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"cordon/ledger"
)

// The page of the documentation has every probe, as it is.
func TestProbesAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/evidence.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range probes {
		if row := "| `" + p.name + "` | " + p.what + " |\n"; !strings.Contains(string(page), row) {
			t.Errorf("docs/evidence.md lacks %q", row)
		}
	}
}

var (
	begin = time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	end   = time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
)

// played is a making whose collector has read some records.
type played struct {
	*making
	seq int64
}

func play(t *testing.T, now time.Time) *played {
	m, err := ReadMapping(hipaa)
	if err != nil {
		t.Fatal(err)
	}
	return &played{making: &making{from: begin, to: end, now: now, collected: newCollector(m, begin, end, now, "seed")}}
}

func (p *played) at(at time.Time, kind string, pairs ...any) *played {
	body := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		body[pairs[i].(string)] = pairs[i+1]
	}
	text, err := json.Marshal(body)
	if err != nil {
		panic(err) // the test's own
	}
	p.collected.add(ledger.Record{Seq: p.seq, Time: at, Kind: kind, Body: text, Version: 2})
	p.seq++
	return p
}

func (p *played) probe(t *testing.T, name string) Figure {
	t.Helper()
	f, err := findProbe(name).value(p.making, t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestBypassHoursAreThoseOfThePeriod(t *testing.T) {
	p := play(t, end)
	stamp := func(at time.Time) string { return at.Format(time.RFC3339) }
	start := func(at time.Time, device string, hours int) {
		p.at(at, "bypass.started", "device", device, "since", stamp(at), "until", stamp(at.Add(time.Duration(hours)*time.Hour)))
	}
	start(begin.Add(-time.Hour), "", 3)      // two hours of it
	start(begin.AddDate(0, 1, 0), "ct-1", 8) // ended after half an hour
	p.at(begin.AddDate(0, 1, 0).Add(30*time.Minute), "bypass.ended", "device", "ct-1", "since", stamp(begin.AddDate(0, 1, 0)))
	start(begin.AddDate(0, -1, 0), "us-1", 8) // long before
	start(end.Add(-time.Hour), "mr-1", 8)     // an hour of it
	if f := p.probe(t, "bypass-hours"); f.Value != 3.5 {
		t.Errorf("%v hours", f.Value)
	}
	if all := p.bypasses(); len(all) != 3 {
		t.Errorf("%+v", all)
	}
}

func TestEnginesUpIsTheWorstEngine(t *testing.T) {
	p := play(t, end)
	if f := p.probe(t, "engines-up"); f.Of != 0 || f.judge() != Fact {
		t.Errorf("without an engine: %+v", f)
	}
	p.at(begin.Add(-time.Hour), "engine.state", "engine", "clamd", "up", true)
	p.at(begin.Add(-time.Hour), "engine.state", "engine", "icap", "up", true)
	p.at(begin.Add(6*time.Hour), "engine.state", "engine", "icap", "up", false)
	p.at(begin.Add(8*time.Hour), "engine.state", "engine", "icap", "up", true)
	p.at(begin.Add(10*time.Hour), "ledger.stop") // Cordon does not run: nobody asks the engines
	p.at(begin.Add(500*time.Hour), "ledger.start")
	f := p.probe(t, "engines-up")
	if f.Part != 8*3600 || f.Of != 10*3600 || !strings.HasPrefix(f.Detail, "icap") {
		t.Errorf("%+v", f)
	}
}

func TestEmergenciesAreReviewedInTime(t *testing.T) {
	now := begin.AddDate(0, 1, 0)
	p := play(t, now)
	release := func(at time.Time, id string) {
		p.at(at, "object.released", "id", id, "by", []string{"Bob"}, "emergency", true)
	}
	release(begin, "in time")
	p.at(begin.Add(24*time.Hour), "object.reviewed", "id", "in time", "by", "Ann")
	release(begin, "late")
	p.at(begin.Add(24*time.Hour+time.Second), "object.reviewed", "id", "late", "by", "Ann")
	release(begin, "never")
	release(now.Add(-time.Hour), "there is time")
	release(begin.Add(-time.Hour), "before the period")
	p.at(begin, "object.released", "id", "by two", "by", []string{"Ann", "Bob"})
	if f := p.probe(t, "emergencies-in-time"); f.Part != 1 || f.Of != 3 {
		t.Errorf("%+v", f)
	}
	if all := p.emergencies(); len(all) != 4 {
		t.Errorf("%+v", all)
	}
}

func TestRecallsStayOpenUntilDone(t *testing.T) {
	p := play(t, end)
	p.at(begin.AddDate(0, 0, -1), "object.late_hit", "id", "before")
	p.at(begin, "object.late_hit", "id", "a").at(begin, "object.late_hit", "id", "b")
	p.at(end.AddDate(0, 0, 3), "recall.done", "id", "a", "by", "Ann") // after the period, and still done
	if f := p.probe(t, "recalls-open"); f.Value != 1 {
		t.Errorf("%+v", f)
	}
}

func TestPeopleAreCountedByName(t *testing.T) {
	p := play(t, end)
	p.at(begin, "object.destroyed", "by", []string{"Ann", "Bob"}).at(begin, "exception.approved", "by", []string{"Ann"}).at(begin, "object.held")
	p.at(end, "object.asked", "by", "Cid")
	if acts, names := p.probe(t, "people-acts"), p.probe(t, "people-names"); acts.Value != 2 || names.Value != 2 {
		t.Errorf("%v acts, %v names", acts.Value, names.Value)
	}
}

func TestFiguresAreNeverRoundedUp(t *testing.T) {
	asked := 99.0
	for _, c := range []struct {
		part, of int64
		text     string
		outcome  Outcome
	}{
		{98999999, 100000000, "98.99 %", NotMet},
		{99, 100, "99.00 %", Met},
		{99999999, 100000000, "99.99 %", Met},
		{100, 100, "100 %", Met},
		{0, 0, "none", NoCase},
		{0, 7, "0.00 %", NotMet},
	} {
		f := Figure{Share: true, Part: c.part, Of: c.of, AtLeast: &asked}
		if f.valueText() != c.text || f.judge() != c.outcome || f.askedText() != "≥ 99 %" {
			t.Errorf("%d of %d: %s, %s, asked %s", c.part, c.of, f.valueText(), f.judge(), f.askedText())
		}
	}
}

// A control is what its figures are; the first that is asked for says whether
// there was a case.
func TestControlsAreJudgedByTheirFigures(t *testing.T) {
	one := 1.0
	met, not, fact := Figure{AtMost: &one, Outcome: Met}, Figure{AtMost: &one, Outcome: NotMet}, Figure{Outcome: Fact}
	none := Figure{Share: true, AtLeast: &one, Outcome: NoCase}
	for _, c := range []struct {
		figures []Figure
		want    Outcome
	}{
		{nil, NotEvidenced},
		{[]Figure{fact}, NotEvidenced},
		{[]Figure{fact, met}, Met},
		{[]Figure{met, none}, Met},
		{[]Figure{none, met}, NoCase},
		{[]Figure{none, not}, NotMet},
		{[]Figure{met, not}, NotMet},
	} {
		if got := (Result{Figures: c.figures}).judge(1); got != c.want {
			t.Errorf("%+v: %s, want %s", c.figures, got, c.want)
		}
		if got := (Result{Figures: c.figures}).judge(0); got == Met {
			t.Errorf("%+v: met in a period without a record", c.figures)
		}
	}
}

// Samples are spread over the kinds, are the same for the same seed, and others
// for another.
func TestSamplesFollowTheSeed(t *testing.T) {
	choose := func(seed string) string {
		s := chosen{[]string{"a.*", "b.one"}, map[string][]candidate{}}
		c := collector{seed: seed}
		for n := range int64(300) {
			s.consider(c.key(n), ledger.Record{Seq: n, Kind: []string{"a.x", "a.y", "b.one"}[n%3]})
		}
		out := ""
		for _, r := range s.take() {
			out += r.Kind[:1]
		}
		if strings.Count(out, "a") != perKind || strings.Count(out, "b") != perKind {
			t.Errorf("chosen %q", out)
		}
		numbers, _ := json.Marshal(s.take())
		return string(numbers)
	}
	first, again, other := choose("one"), choose("one"), choose("two")
	if first != again || first == other {
		t.Error("the choice does not follow the seed")
	}
}
