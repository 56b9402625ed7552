package silence

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cordon/ledger"
	"cordon/store"
)

// monday is a Monday at nine, in a place whose clock moves.
func place(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func TestRules(t *testing.T) {
	zone := place(t)
	monday := time.Date(2026, 11, 23, 9, 0, 0, 0, zone)
	weeks := func(ks ...int) []time.Time {
		var out []time.Time
		for _, k := range ks {
			out = append(out, monday.AddDate(0, 0, -7*k))
		}
		return out
	}
	days := func(n int) []time.Time {
		var out []time.Time
		for k := 1; k <= n; k++ {
			out = append(out, monday.AddDate(0, 0, -k))
		}
		return out
	}
	for name, c := range map[string]struct {
		heard []time.Time
		want  bool
	}{
		"never heard":            {nil, false},
		"every one of four":      {weeks(1, 2, 3, 4), true},
		"three of four":          {weeks(1, 3, 4), true},
		"two of four":            {weeks(2, 4), false},
		"five weeks ago":         {weeks(3, 4, 5), false},
		"another hour":           {[]time.Time{monday.AddDate(0, 0, -7).Add(time.Hour), monday.AddDate(0, 0, -14).Add(time.Hour), monday.AddDate(0, 0, -21).Add(time.Hour)}, false},
		"every day of a week":    {days(7), true},
		"six days of a week":     {days(6), false},
		"across the winter time": {weeks(1, 2, 4), true}, // 26 October 2026 is four weeks ago
	} {
		heard := map[int64]bool{}
		for _, h := range c.heard {
			heard[h.Unix()] = true
		}
		if _, got := expected(monday, func(h time.Time) bool { return heard[h.Unix()] }); got != c.want {
			t.Errorf("%s: expected %v", name, got)
		}
	}
	if says := (Rule{7, 4, 3}).describe(monday); says != "heard on 3 of the last 4 Mondays from 09:00 to 10:00" {
		t.Error(says)
	}
	across := time.Date(2026, 10, 25, 12, 0, 0, 0, zone)
	if h := (Rule{Days: 1}).comparable(across, 1); h.Hour() != 12 {
		t.Errorf("noon the day before the clock moves is %v", h)
	}
}

// world is Sources over a ledger, with a clock that the test moves.
type world struct {
	*Sources
	t    *testing.T
	zone *time.Location
	seq  int64
	now  time.Time
}

func newWorld(t *testing.T, begin time.Time) *world {
	t.Helper()
	dir := t.TempDir()
	db, err := store.OpenDB(t.Context(), filepath.Join(dir, "cordon.db"), []store.Migrations{ledger.Migrations(), Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	l, err := ledger.Open(t.Context(), db, filepath.Join(dir, "ledger.key"), "test")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Sources: Open(db, l, begin.Location()), t: t, zone: begin.Location(), now: begin}
	w.begun = begin
	return w
}

// talk has a source open an association at a time.
func (w *world) talk(at time.Time, device string) {
	w.t.Helper()
	w.seq++
	body, _ := json.Marshal(map[string]any{"association": fmt.Sprint(w.seq), "device": device, "calling_ae": strings.ToUpper(device), "address": "127.0.0.21"})
	err := w.learn(context.Background(), []ledger.Record{{Seq: w.seq, Time: at, Kind: "association.begin", Body: body}})
	if err != nil {
		w.t.Fatal(err)
	}
}

// weeks has a source talk on weekdays from nine to five, for so many weeks before
// begin.
func (w *world) weeks(n int, begin time.Time, device string) {
	for day := begin.AddDate(0, 0, -7*n); day.Before(begin); day = day.AddDate(0, 0, 1) {
		if day.Weekday() == time.Saturday || day.Weekday() == time.Sunday {
			continue
		}
		for hour := 9; hour < 17; hour++ {
			w.talk(time.Date(day.Year(), day.Month(), day.Day(), hour, 17, 0, 0, w.zone), device)
		}
	}
}

// to moves the clock forward minute by minute, checking as Run does, and returns
// when somebody was first missed.
func (w *world) to(until time.Time) (since time.Time) {
	w.t.Helper()
	for ; w.now.Before(until); w.now = w.now.Add(5 * time.Minute) {
		if err := w.Check(context.Background(), w.now); err != nil {
			w.t.Fatal(err)
		}
		if since.IsZero() && len(w.missed()) > 0 {
			since = w.now
		}
	}
	return since
}

func (w *world) missed() []Missed {
	w.t.Helper()
	all, err := w.Missed(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

func (w *world) recorded(kind string) (n int) {
	w.t.Helper()
	err := w.ledger.Tail(context.Background(), 1000, func(r ledger.Record) error {
		if r.Kind == kind {
			n++
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func TestSourceThatAlwaysTalksIsMissed(t *testing.T) {
	zone := place(t)
	monday := time.Date(2026, 11, 23, 0, 0, 0, 0, zone)
	w := newWorld(t, monday)
	w.weeks(4, monday, "ct-1")
	w.weeks(4, monday, "us-3")
	w.talk(monday.Add(9*time.Hour+20*time.Minute), "us-3")
	w.talk(monday.Add(10*time.Hour+20*time.Minute), "us-3")
	since := w.to(monday.Add(12 * time.Hour))
	if want := monday.Add(11 * time.Hour); !since.Equal(want) { // nine and ten were expected, and are over
		t.Errorf("missed at %v, want %v", since, want)
	}
	all := w.missed()
	if len(all) != 1 || all[0].Name != "ct-1" || !all[0].Declared || all[0].CallingAE != "CT-1" || !strings.Contains(all[0].Rule, "Mondays from 10:00") {
		t.Fatalf("%+v", all)
	}
	w.to(monday.Add(13 * time.Hour))
	if n := w.recorded("source.silent"); n != 2 && n != 1 { // us-3 is silent from eleven on, which is over at one
		t.Errorf("%d records of silence", n)
	}
	w.talk(monday.Add(13*time.Hour+30*time.Minute), "ct-1")
	for _, m := range w.missed() {
		if m.Name == "ct-1" {
			t.Errorf("it talks and is missed: %+v", m)
		}
	}
	if n := w.recorded("source.heard"); n != 1 {
		t.Errorf("%d records that it was heard", n)
	}
}

func TestNightsWeekendsAndNewcomersAreNotMissed(t *testing.T) {
	zone := place(t)
	friday := time.Date(2026, 11, 20, 17, 0, 0, 0, zone)
	w := newWorld(t, friday)
	w.weeks(4, friday, "ct-1")
	w.weeks(1, friday, "new")
	if since := w.to(friday.Add(64 * time.Hour)); !since.IsZero() { // to Monday at nine
		t.Errorf("missed at %v: %+v", since, w.missed())
	}
}

// A house that was not listening cannot say that nobody talked.
func TestOwnAbsenceIsNoSilence(t *testing.T) {
	zone := place(t)
	monday := time.Date(2026, 11, 23, 0, 0, 0, 0, zone)
	w := newWorld(t, monday.Add(10*time.Hour+time.Minute)) // started after ten
	w.weeks(4, monday, "ct-1")
	if since := w.to(monday.Add(12*time.Hour + 55*time.Minute)); !since.IsZero() {
		t.Errorf("missed at %v, with one whole hour observed", since)
	}
	if since := w.to(monday.Add(13*time.Hour + 10*time.Minute)); since.IsZero() {
		t.Error("not missed after two whole hours")
	}
}

func TestClockThatIsSetIsNoSilence(t *testing.T) {
	for _, c := range []struct {
		wall, monotonic time.Duration
		want            bool
	}{{time.Hour, time.Hour, false}, {time.Hour, time.Hour + time.Second, false}, {3 * time.Hour, time.Hour, true}, {-time.Hour, time.Hour, true}} {
		if got := wasSet(c.wall, c.monotonic); got != c.want {
			t.Errorf("%v on the wall, %v passed: %v", c.wall, c.monotonic, got)
		}
	}
}

func TestLongSilenceIsForgotten(t *testing.T) {
	zone := place(t)
	monday := time.Date(2026, 11, 23, 0, 0, 0, 0, zone)
	w := newWorld(t, monday)
	w.weeks(4, monday, "ct-1")
	w.to(monday.Add(12 * time.Hour))
	if len(w.missed()) != 1 {
		t.Fatal("not missed")
	}
	w.now = monday.AddDate(0, 0, 30)
	if err := w.Check(t.Context(), w.now); err != nil {
		t.Fatal(err)
	}
	if len(w.missed()) != 0 || w.recorded("source.forgotten") != 1 {
		t.Errorf("%+v", w.missed())
	}
}

// One association that stays open all day talks with each object.
func TestObjectsOfAnOpenAssociationAreHeard(t *testing.T) {
	zone := place(t)
	monday := time.Date(2026, 11, 23, 9, 0, 0, 0, zone)
	w := newWorld(t, monday)
	w.talk(monday.Add(time.Minute), "ct-1")
	body := json.RawMessage(fmt.Sprintf(`{"association":"%d"}`, w.seq))
	if err := w.learn(t.Context(), []ledger.Record{{Time: monday.Add(3 * time.Hour), Kind: "object.delivered", Body: body}}); err != nil {
		t.Fatal(err)
	}
	heard, err := w.heardBy(t.Context(), "ct-1")
	if err != nil || len(heard) != 2 || !heard[monday.Add(3*time.Hour).Unix()] {
		t.Errorf("%v, %v", heard, err)
	}
}

func TestSourcesAreBounded(t *testing.T) {
	w := newWorld(t, time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC))
	var batch []ledger.Record
	for i := range maxSources + 100 {
		body, _ := json.Marshal(map[string]any{"association": fmt.Sprint(i), "calling_ae": fmt.Sprint("AE", i)})
		batch = append(batch, ledger.Record{Time: w.now, Kind: "association.begin", Body: body})
	}
	if err := w.learn(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	all, err := w.sources(t.Context())
	if err != nil || len(all) != maxSources || len(w.open) > maxOpen {
		t.Errorf("%d sources, %v", len(all), err)
	}
}
