package custody_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"cordon/custody"
	"cordon/finding"
	"cordon/store"
)

// hold keeps an object of a study with findings of some kinds.
func (s site) hold(t testing.TB, study, device string, content string, kinds ...string) custody.Object {
	t.Helper()
	o := custody.Object{State: custody.Held, StudyInstanceUID: study, Device: device, CallingAE: "CT1", Archive: "pacs", SOPInstanceUID: study + ".9"}
	for _, k := range kinds {
		o.Findings = append(o.Findings, finding.New(k, "(0009,1010)", 1, ""))
	}
	b := s.c.NewBuffer()
	defer b.Discard()
	if _, err := b.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	o, err := s.c.Keep(t.Context(), b, o)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestHeldIsListedByStudyTheLatestFirst(t *testing.T) {
	s := open(t, t.TempDir())
	a := s.hold(t, "1.1", "ct-1", "a", "eicar")
	s.hold(t, "1.2", "", "b", "executable", "eicar")
	s.hold(t, "1.3", "mr-1", "c", "overlay-size")
	last := s.hold(t, "1.1", "ct-1", "d", "eicar")
	studies := func(f custody.HeldFilter) string {
		all, err := s.c.HeldStudies(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, st := range all {
			out = append(out, fmt.Sprint(st.StudyInstanceUID, "×", st.Objects))
		}
		return strings.Join(out, " ")
	}
	for _, c := range []struct {
		f    custody.HeldFilter
		want string
	}{
		{custody.HeldFilter{}, "1.1×2 1.3×1 1.2×1"},
		{custody.HeldFilter{Limit: 2}, "1.1×2 1.3×1"},
		{custody.HeldFilter{Before: last.ID}, "1.3×1 1.2×1"},
		{custody.HeldFilter{From: "CT1"}, "1.2×1"},
		{custody.HeldFilter{From: "ct-1"}, "1.1×2"},
		{custody.HeldFilter{Archive: "other"}, ""},
		{custody.HeldFilter{Findings: []string{"executable", "overlay-size"}}, "1.3×1 1.2×1"},
		{custody.HeldFilter{Findings: []string{}}, ""},
		{custody.HeldFilter{Since: time.Now().Add(time.Hour)}, ""},
		{custody.HeldFilter{StudyInstanceUID: "1.3"}, "1.3×1"},
	} {
		if got := studies(c.f); got != c.want {
			t.Errorf("%+v: %q, want %q", c.f, got, c.want)
		}
	}
	of, err := s.c.Held(t.Context(), custody.HeldFilter{StudyInstanceUID: "1.1"})
	if err != nil || len(of) != 2 || of[0].ID != last.ID || of[1].ID != a.ID {
		t.Error(of, err)
	}
	if kinds, err := s.c.HeldFindings(t.Context()); err != nil || fmt.Sprint(kinds) != "[eicar executable overlay-size]" {
		t.Error(kinds, err)
	}
}

func TestWhatIsDecidedIsNoLongerListed(t *testing.T) {
	s := open(t, t.TempDir())
	o := s.hold(t, "1.1", "ct-1", "same", "eicar")
	twin := s.hold(t, "1.2", "ct-1", "same", "eicar")
	for _, name := range []string{"ann", "bob"} {
		if _, err := s.c.Destroy(t.Context(), o.ID, by(name)); err != nil {
			t.Fatal(err)
		}
	}
	if kinds, err := s.c.HeldFindings(t.Context()); err != nil || fmt.Sprint(kinds) != "[eicar]" {
		t.Error(kinds, err)
	}
	if all, err := s.c.Held(t.Context(), custody.HeldFilter{Findings: []string{"eicar"}}); err != nil || len(all) != 1 || all[0].ID != twin.ID {
		t.Error(all, err)
	}
	alike, err := s.c.Alike(t.Context(), twin, 10)
	if err != nil || len(alike) != 1 || alike[0].ID != o.ID || alike[0].State != custody.Destroyed {
		t.Error(alike, err)
	}
	if again, err := s.c.SameHabit(t.Context(), twin, "eicar", 10); err != nil || len(again) != 0 {
		t.Error(again, err)
	}
	third := s.hold(t, "1.3", "ct-1", "other", "eicar")
	if again, err := s.c.SameHabit(t.Context(), twin, "eicar", 10); err != nil || len(again) != 1 || again[0].ID != third.ID {
		t.Error(again, err)
	}
}

// A page of what is held is read in a blink however much there is.
func TestHundredThousandHeldAreListedAtOnce(t *testing.T) {
	s := open(t, t.TempDir())
	n, rounds := 100_000, 10
	if testing.Short() {
		n = 2_000
	}
	for r := range rounds {
		err := s.db.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(`WITH RECURSIVE i(n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM i WHERE n + 1 < ?2)
				INSERT INTO custody_objects (id, state, received_at, bytes, sha256, device, calling_ae, called_ae, archive, lane, sop_class_uid, sop_instance_uid,
					study_instance_uid, series_instance_uid, transfer_syntax_uid, findings, engines, priority, move_originator_ae, move_originator_id, held_at)
				SELECT printf('%026d', n), 'held', n, 1000, zeroblob(32), 'ct-' || (n % 7), 'CT1', 'CORDON', 'pacs', '1', '1.2', '1.2.3.' || n,
					'1.2.' || (n / 50), '1.2.1', '1.2', '[{"id":"eicar","severity":"malicious","where":"(0009,1010)","offset":1,"detail":"' || hex(zeroblob(300)) || '"}]', '[]', 0, '', 0, n FROM i`,
				r*n/rounds, (r+1)*n/rounds)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, f := range map[string]custody.HeldFilter{
		"first page": {Limit: 25}, "middle": {Limit: 25, Before: fmt.Sprintf("%026d", n/2)}, "device": {Limit: 25, From: "ct-3"}, "finding": {Limit: 25, Findings: []string{"eicar"}},
	} {
		began := time.Now()
		all, err := s.c.HeldStudies(t.Context(), f)
		took := time.Since(began)
		if err != nil || len(all) != 25 {
			t.Fatal(name, len(all), err)
		}
		t.Logf("%d held, %s: studies in %v", n, name, took)
		if took > 5*time.Second {
			t.Errorf("%s: studies took %v", name, took)
		}
		began = time.Now()
		if all, err := s.c.Held(t.Context(), f); err != nil || len(all) != 25 {
			t.Fatal(name, len(all), err)
		}
		t.Logf("%d held, %s: objects in %v", n, name, time.Since(began))
	}
	for study := range 25 { // as a page that is narrowed to a finding does
		began := time.Now()
		all, err := s.c.Held(t.Context(), custody.HeldFilter{StudyInstanceUID: fmt.Sprint("1.2.", study), Findings: []string{"eicar"}, Limit: 10})
		if took := time.Since(began); err != nil || len(all) != 10 || took > time.Second {
			t.Fatal(len(all), err, took)
		}
	}
	began := time.Now()
	if _, err := s.c.HeldFindings(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("kinds in %v", time.Since(began))
}
