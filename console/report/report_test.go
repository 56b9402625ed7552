package report

import (
	"errors"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"cordon/ledger"
	"cordon/ledger/search"
	"cordon/store"
)

func TestPeriodsFollowOneAnother(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.Local)
	for query, want := range map[string][3]string{
		"":                              {"2025-12", "2026-01", "2026-02"},
		"month=2026-03":                 {"2026-02", "2026-03", "2026-04"},
		"quarter=2026-Q1":               {"2025-Q4", "2026-Q1", "2026-Q2"},
		"from=2026-01-05&to=2026-01-11": {"2025-12-29_2026-01-04", "2026-01-05_2026-01-11", "2026-01-12_2026-01-18"},
	} {
		v, _ := url.ParseQuery(query)
		p, err := readPeriod(v, now)
		if got := [3]string{p.before().ID, p.ID, p.after().ID}; err != nil || got != want {
			t.Errorf("%q: %v, want %v; %v", query, got, want, err)
		}
		back, err := url.ParseQuery(p.Query())
		if again, err2 := readPeriod(back, now); err != nil || err2 != nil || again != p {
			t.Errorf("%q: %v after %v", query, again, p)
		}
		if b := p.before(); !b.To.Equal(p.From) {
			t.Errorf("%q: a gap before it", query)
		}
	}
	for _, query := range []string{"month=2026-13", "quarter=2026-Q5", "from=2026-01-05", "from=2026-02-01&to=2026-01-01", "from=1900-01-01&to=2026-01-01"} {
		v, _ := url.ParseQuery(query)
		if _, err := readPeriod(v, now); err == nil {
			t.Errorf("%q is a period", query)
		}
	}
}

func TestWhilesThatOverlapCountOnce(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 1, 1, 0, minute, 0, 0, time.UTC) }
	p := Period{From: at(10), To: at(100)}
	for _, c := range []struct {
		all  []while
		want time.Duration
	}{
		{nil, 0},
		{[]while{{at(20), at(30)}}, 10 * time.Minute},
		{[]while{{at(0), at(20)}, {at(90), at(200)}}, 15 * time.Minute}, // cut at the beginning, and at now
		{[]while{{at(20), at(40)}, {at(30), at(50)}, {at(35), at(36)}}, 30 * time.Minute},
		{[]while{{at(60), time.Time{}}}, 35 * time.Minute}, // it lasts
		{[]while{{at(0), at(5)}, {at(120), at(130)}}, 0},
	} {
		if got := within(c.all, p, at(95)); got != c.want {
			t.Errorf("%v: %v, want %v", c.all, got, c.want)
		}
	}
}

// A report that would have to read an old ledger record by record is not made before
// the ledger is indexed; that is said at once.
func TestNoReportBeforeTheIndex(t *testing.T) {
	dir := t.TempDir()
	db, err := store.OpenDB(t.Context(), filepath.Join(dir, "cordon.db"), []store.Migrations{ledger.Migrations(), search.Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	l, err := ledger.Open(t.Context(), db, filepath.Join(dir, "ledger.key"), "test")
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`WITH RECURSIVE n(i) AS (SELECT MAX(seq) + 1 FROM ledger_records UNION ALL SELECT i + 1 FROM n WHERE i < 70000)
			INSERT INTO ledger_records (seq, data) SELECT i, data FROM n, (SELECT data FROM ledger_records WHERE seq = 0)`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	period, err := readPeriod(url.Values{}, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (Parts{Ledger: l, Search: search.Open(db)}).Make(t.Context(), period, "A. Able", now); !errors.Is(err, search.ErrIndexing) {
		t.Error(err)
	}
}
