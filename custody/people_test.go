package custody_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"cordon/custody"
	"cordon/finding"
	"cordon/store"
)

func by(name string) custody.Request { return custody.Request{By: name, Reason: "because"} }

func emergency(name string) custody.Request {
	return custody.Request{By: name, Reason: "patient on the table", Emergency: true}
}

func TestReleaseNeedsTwoPeople(t *testing.T) {
	s := open(t, t.TempDir())
	o := s.keep(t, noise(100), held(malicious))
	d, err := s.c.Release(t.Context(), o.ID, by("Ann Able"))
	if err != nil || d.Done || !strings.Contains(d.Waiting, "second person") {
		t.Fatalf("%+v, %v", d, err)
	}
	asked, err := s.c.Asked(t.Context(), o.ID)
	if err != nil || len(asked) != 1 || asked[0].By != "Ann Able" || asked[0].Action != "release" {
		t.Errorf("%+v, %v", asked, err)
	}
	for _, same := range []string{"Ann Able", "ann able", "  ANN\tABLE ", "AnnAble", "Ann\u00a0Able", "Ann\u200b Able", "Ａnn Able",
		"Ann Able.", "Ann\ufe0f Able", "Ann\u3164Able", "Ann\u2800Able", "Ánn Able"} {
		if d, err := s.c.Release(t.Context(), o.ID, by(same)); !errors.Is(err, custody.ErrSamePerson) {
			t.Errorf("%q: %+v, %v", same, d, err)
		}
	}
	if o := s.get(t, o.ID); o.State != custody.Held {
		t.Fatalf("%+v", o)
	}
	s = s.reopen(t) // the first person is remembered
	d, err = s.c.Release(t.Context(), o.ID, by("Bob Baker"))
	if err != nil || !d.Done || fmt.Sprint(d.By) != "[Ann Able Bob Baker]" || !d.ReviewDue.IsZero() {
		t.Fatalf("%+v, %v", d, err)
	}
	o = s.get(t, o.ID)
	if o.State != custody.Spooled || o.ReleasedAt.IsZero() || o.VaultItem().State != custody.Released {
		t.Errorf("%+v", o)
	}
	if got := fmt.Sprint(s.kinds(t, o.ID)); got != "[object.held object.asked object.released]" {
		t.Error(got)
	}
	due, err := s.c.Due(t.Context(), "pacs", time.Now(), 10)
	if err != nil || len(due) != 1 || due[0].ID != o.ID {
		t.Errorf("not due: %v, %v", due, err)
	}
	if _, err := s.c.Release(t.Context(), o.ID, by("Cy")); !errors.Is(err, custody.ErrState) {
		t.Errorf("released twice: %v", err)
	}
	if err := s.c.Delivered(t.Context(), o.ID, 0); err != nil {
		t.Fatal(err)
	}
	if v := s.get(t, o.ID).VaultItem(); v.State != custody.Released || v.DeliveredAt.IsZero() {
		t.Errorf("%+v", v)
	}
}

func TestDestroyNeedsTwoPeopleAlways(t *testing.T) {
	s := open(t, t.TempDir())
	o := s.keep(t, noise(100_000), held(suspicious))
	if _, err := s.c.Destroy(t.Context(), o.ID, emergency("Ann")); err == nil {
		t.Error("destroyed in an emergency")
	}
	if d, err := s.c.Destroy(t.Context(), o.ID, by("Ann")); err != nil || d.Done {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := s.c.Destroy(t.Context(), o.ID, by("ANN")); !errors.Is(err, custody.ErrSamePerson) {
		t.Error(err)
	}
	// Asking for one thing is not asking for the other.
	if d, err := s.c.Release(t.Context(), o.ID, by("Bob")); err != nil || d.Done {
		t.Errorf("%+v, %v", d, err)
	}
	path := s.blob(t, o.ID)
	if d, err := s.c.Destroy(t.Context(), o.ID, by("Bob")); err != nil || !d.Done {
		t.Fatalf("%+v, %v", d, err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the blob is still there: %v", err)
	}
	if _, err := s.read(t, o.ID); !errors.Is(err, custody.ErrState) {
		t.Error(err)
	}
	if asked, _ := s.c.Asked(t.Context(), o.ID); len(asked) != 0 {
		t.Errorf("still asked for: %+v", asked)
	}
	if _, err := s.c.Release(t.Context(), o.ID, by("Cy")); !errors.Is(err, custody.ErrState) {
		t.Errorf("released after it was destroyed: %v", err)
	}
	if o := s.get(t, o.ID); o.State != custody.Destroyed || fmt.Sprint(o.DecidedBy) != "[Ann Bob]" {
		t.Errorf("%+v", o)
	}
}

func TestEmergencyReleaseIsForOnePersonAndReviewed(t *testing.T) {
	s := open(t, t.TempDir())
	o := s.keep(t, noise(100), held(suspicious))
	d, err := s.c.Release(t.Context(), o.ID, emergency("Ann"))
	if err != nil || !d.Done || time.Until(d.ReviewDue) > 24*time.Hour || time.Until(d.ReviewDue) < 23*time.Hour {
		t.Fatalf("%+v, %v", d, err)
	}
	if st, err := s.c.Stats(t.Context()); err != nil || st.ReviewsDue != 1 || st.ReviewsLate != 0 {
		t.Errorf("%+v, %v", st, err)
	}
	if err := s.c.Review(t.Context(), o.ID, by("ann ")); !errors.Is(err, custody.ErrSamePerson) {
		t.Errorf("reviewed by herself: %v", err)
	}
	if err := s.c.Review(t.Context(), o.ID, by("Bob")); err != nil {
		t.Error(err)
	}
	if err := s.c.Review(t.Context(), o.ID, by("Bob")); !errors.Is(err, custody.ErrState) {
		t.Error(err)
	}
	if got := fmt.Sprint(s.kinds(t, o.ID)); got != "[object.held object.released object.reviewed]" {
		t.Error(got)
	}
}

func TestMaliciousIsNeverReleasedInAnEmergency(t *testing.T) {
	s := open(t, t.TempDir())
	byEngine := held(suspicious)
	byEngine.Engines = []finding.EngineResult{{Name: "clamd", Result: finding.ResultMalicious}}
	for _, o := range []custody.Object{held(malicious), byEngine} {
		o := s.keep(t, noise(100), o)
		if _, err := s.c.Release(t.Context(), o.ID, emergency("Ann")); !errors.Is(err, custody.ErrNotEmergency) {
			t.Error(err)
		}
		if d, err := s.c.Release(t.Context(), o.ID, by("Ann")); err != nil || d.Done {
			t.Errorf("%+v, %v", d, err)
		}
		if _, err := s.c.Release(t.Context(), o.ID, emergency("Ann")); !errors.Is(err, custody.ErrNotEmergency) {
			t.Error(err)
		}
		if got := s.get(t, o.ID).State; got != custody.Held {
			t.Error(got)
		}
		if d, err := s.c.Release(t.Context(), o.ID, emergency("Bob")); err != nil || !d.Done || !d.ReviewDue.IsZero() {
			t.Errorf("the second of two in a hurry: %+v, %v", d, err)
		}
	}
}

func TestRequestsSayWhoAndWhy(t *testing.T) {
	s := open(t, t.TempDir())
	o := s.keep(t, noise(100), held(suspicious))
	for _, r := range []custody.Request{
		{}, {By: "Ann"}, {Reason: "x"}, {By: " \t", Reason: "x"}, {By: "\u200b", Reason: "x"}, {By: "Ann", Reason: " "},
		{By: strings.Repeat("A", 300), Reason: "x"}, {By: "Ann", Reason: strings.Repeat("x", 3000)}, {By: "A\x07n", Reason: "x"},
	} {
		if _, err := s.c.Release(t.Context(), o.ID, r); err == nil {
			t.Errorf("%+v: released", r)
		}
		if _, err := s.c.Destroy(t.Context(), o.ID, r); err == nil {
			t.Errorf("%+v: destroyed", r)
		}
		if err := s.c.Export(t.Context(), o.ID, r, &bytes.Buffer{}); err == nil {
			t.Errorf("%+v: exported", r)
		}
	}
	if _, err := s.c.Release(t.Context(), "nothing", by("Ann")); !errors.Is(err, custody.ErrNotFound) {
		t.Error(err)
	}
}

func TestExportIsJournalledFirst(t *testing.T) {
	s := open(t, t.TempDir())
	data := noise(100_000)
	o := s.keep(t, data, held(malicious))
	w := &watcher{first: func() {
		if kinds := s.kinds(t, o.ID); kinds[len(kinds)-1] != "object.exported" {
			t.Errorf("bytes before the record: %v", kinds)
		}
	}}
	if err := s.c.Export(t.Context(), o.ID, by("Ann"), w); err != nil || !bytes.Equal(w.Bytes(), data) {
		t.Errorf("%d bytes, %v", w.Len(), err)
	}
}

// watcher calls first before the first byte.
type watcher struct {
	bytes.Buffer
	first func()
}

func (w *watcher) Write(p []byte) (int, error) {
	if w.first != nil {
		w.first()
		w.first = nil
	}
	return w.Buffer.Write(p)
}

// What shall happen with a release happens in its transaction, once it is
// complete, or the object is not released.
func TestReleaseIsOneWithWhatGoesWithIt(t *testing.T) {
	s := open(t, t.TempDir())
	o := s.keep(t, noise(100), held(suspicious))
	var ran [][]string
	var fails error
	with := func(name string) custody.Request {
		r := by(name)
		r.Then = func(_ *store.Tx, what custody.Object, by []string) error {
			if what.ID != o.ID {
				t.Errorf("about %s", what.ID)
			}
			ran = append(ran, by)
			return fails
		}
		return r
	}
	if d, err := s.c.Release(t.Context(), o.ID, with("Ann")); err != nil || d.Done || len(ran) != 0 {
		t.Fatalf("%+v, %v, ran %v", d, err, ran)
	}
	fails = errors.New("no")
	if _, err := s.c.Release(t.Context(), o.ID, with("Bob")); !errors.Is(err, fails) {
		t.Errorf("%v", err)
	}
	if o := s.get(t, o.ID); o.State != custody.Held {
		t.Fatalf("released all the same: %+v", o)
	}
	fails = nil
	if d, err := s.c.Release(t.Context(), o.ID, with("Bob")); err != nil || !d.Done || fmt.Sprint(ran) != "[[Ann Bob] [Ann Bob]]" {
		t.Errorf("%+v, %v, ran %v", d, err, ran)
	}
}
