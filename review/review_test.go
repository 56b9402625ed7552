package review_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cordon/custody"
	"cordon/ledger"
	"cordon/review"
	"cordon/store"
)

// site is a data directory with a ledger and reviews.
type site struct {
	t       *testing.T
	db      *store.DB
	ledger  *ledger.Ledger
	reviews *review.Reviews
}

// open opens one. In a synctest bubble its clock begins on Saturday, 1 January
// 2000, at midnight.
func open(t *testing.T, dir string) *site {
	t.Helper()
	db, err := store.OpenDB(t.Context(), filepath.Join(dir, "cordon.db"), []store.Migrations{ledger.Migrations(), review.Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(t.Context(), db, filepath.Join(dir, "keys", "ledger.key"), "test")
	if err != nil {
		t.Fatal(err)
	}
	parts := review.Parts{DB: db, Ledger: l, Log: slog.New(slog.DiscardHandler)}
	return &site{t, db, l, review.New(review.Config{Days: 7, Owner: "Ann Able"}, parts)}
}

func (s *site) record(kind string, body map[string]any) {
	s.t.Helper()
	if err := s.ledger.Record(s.t.Context(), kind, body); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) make() int {
	s.t.Helper()
	n, err := s.reviews.Make(s.t.Context(), time.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func (s *site) list() []review.Review {
	s.t.Helper()
	all, err := s.reviews.List(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	for i, outline := range all {
		if all[i], err = s.reviews.Get(s.t.Context(), outline.ID); err != nil || outline.Items != nil || outline.Unusual != len(all[i].Items) || outline.End != all[i].End {
			s.t.Fatalf("%+v, listed as %+v, %v", all[i], outline, err)
		}
	}
	return all
}

func (s *site) status() review.Status {
	s.t.Helper()
	st, err := s.reviews.Status(s.t.Context(), time.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	return st
}

func request(by, reason string) custody.Request { return custody.Request{By: by, Reason: reason} }

const day = 24 * time.Hour

// A review is made when its week is over, waits, is signed once, and the next
// one begins where it ended.
func TestLifeOfAReview(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, t.TempDir())
		defer s.db.Close()
		s.record("bypass.started", map[string]any{"by": "Bob", "device": ""})
		time.Sleep(2*day - time.Second) // to Monday, less a second
		if n := s.make(); n != 0 || len(s.list()) != 0 {
			t.Fatalf("%d made before the week was over", n)
		}
		if st := s.status(); st.Waiting != 0 || st.Overdue != 0 || !st.Next.Equal(time.Now().Add(time.Second)) {
			t.Errorf("%+v, at %v", st, time.Now())
		}
		time.Sleep(time.Second)
		if n := s.make(); n != 1 {
			t.Fatalf("%d made", n)
		}
		if n := s.make(); n != 0 {
			t.Fatalf("%d made again", n)
		}
		one := s.list()[0]
		if one.ID != "1999-12-27" || one.First != 0 || one.Owner != "Ann Able" || !has(one, "bypass", "Bob") || one.Due != time.Now().Add(7*day).UTC() {
			t.Errorf("%+v", one)
		}
		if st := s.status(); st.Waiting != 1 || st.Overdue != 0 || st.Oldest != one.ID {
			t.Errorf("%+v", st)
		}

		time.Sleep(7*day + time.Second)
		s.make()
		if st := s.status(); st.Waiting != 2 || st.Overdue != 1 {
			t.Errorf("%+v", st)
		}
		if _, err := s.reviews.Sign(t.Context(), one.ID, request("Ann Able", "")); !errors.Is(err, custody.ErrRequest) {
			t.Errorf("signed without a note: %v", err)
		}
		if _, err := s.reviews.Sign(t.Context(), one.ID, request(" bob", "it was me")); !errors.Is(err, review.ErrOwn) {
			t.Errorf("signed by whom it names: %v", err)
		}
		signed, err := s.reviews.Sign(t.Context(), one.ID, request("Ann Able", "a drill, announced"))
		if err != nil || signed.SignedBy != "Ann Able" || signed.Note != "a drill, announced" || signed.SignedAt.IsZero() {
			t.Errorf("%+v, %v", signed, err)
		}
		if _, err := s.reviews.Sign(t.Context(), one.ID, request("Bob", "I too")); !errors.Is(err, review.ErrState) {
			t.Errorf("signed twice: %v", err)
		}
		if _, err := s.reviews.Sign(t.Context(), "1999-12-28", request("Bob", "which?")); !errors.Is(err, review.ErrNotFound) {
			t.Errorf("signed nothing: %v", err)
		}
		if st := s.status(); st.Waiting != 1 || st.Overdue != 0 {
			t.Errorf("%+v", st)
		}
		second := s.list()[0]
		if second.First != one.End || has(second, "bypass", "Bob") {
			t.Errorf("%+v follows %+v", second, one)
		}
		time.Sleep(7 * day)
		s.make()
		if third := s.list()[0]; !has(third, "signed-late", "Ann Able") {
			t.Errorf("%+v", third.Items)
		}
	})
}

func has(r review.Review, rule, name string) bool {
	return slices.ContainsFunc(r.Items, func(i review.Item) bool { return i.Rule == rule && i.Name == name })
}

// What was due while Cordon did not run is made afterwards, each its own week,
// with empty ones in between; an alarm says meanwhile that it was not.
func TestMissedReviewsAreMadeLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, t.TempDir())
		defer s.db.Close()
		time.Sleep(20 * day) // to Friday of the third week after
		if st := s.status(); st.Overdue != 1 || st.Error == "" {
			t.Errorf("%+v", st)
		}
		s.record("bypass.started", map[string]any{"by": "Bob", "device": ""})
		time.Sleep(5 * day)
		if n := s.make(); n != 4 {
			t.Fatalf("%d made", n)
		}
		all := s.list()
		slices.Reverse(all)
		for i, want := range []string{"1999-12-27", "2000-01-03", "2000-01-10", "2000-01-17"} {
			if all[i].ID != want || has(all[i], "bypass", "Bob") != (i == 3) {
				t.Errorf("%+v", all[i])
			}
			if i > 0 && (all[i].First != all[i-1].End || !all[i].From.Equal(all[i-1].To)) {
				t.Errorf("%+v does not follow %+v", all[i], all[i-1])
			}
		}
		if st := s.status(); st.Waiting != 4 || st.Overdue != 0 || st.Error != "" {
			t.Errorf("%+v", st)
		}
	})
}

// A clock that was months ahead for a moment has made their reviews: nobody must
// think that what happens until then is reviewed.
func TestAClockThatWasAheadIsAnAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, t.TempDir())
		defer s.db.Close()
		if _, err := s.reviews.Make(t.Context(), time.Now().Add(100*day)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(day)
		if st := s.status(); st.Overdue != 1 || !strings.Contains(st.Error, "the clock was ahead") {
			t.Errorf("%+v", st)
		}
	})
}

// Reviews are the same whether they were made week by week or all at once, by
// the same Cordon or one that was started again.
func TestReviewsDependOnTheLedgerAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		weekly, late := t.TempDir(), t.TempDir()
		for _, dir := range []string{weekly, late} {
			s := open(t, dir)
			for range 6 {
				for n := range 7 {
					s.record("association.begin", map[string]any{"association": fmt.Sprint(n), "device": "ct-1"})
					s.record("association.end", map[string]any{"association": fmt.Sprint(n), "device": "ct-1", "received": 10})
					time.Sleep(day)
				}
				if dir == weekly {
					s.make()
				}
			}
			s.make()
			for _, r := range s.list() {
				if len(r.Devices) != 1 || r.Devices[0].Associations == 0 {
					t.Errorf("%+v", r)
				}
			}
			s.db.Close()
		}
		s := open(t, weekly)
		defer s.db.Close()
		if all := s.list(); len(all) < 6 || all[0].Compare != review.History {
			t.Errorf("%d reviews, the last %+v", len(all), all[0])
		}
	})
}

// Run makes what is due at once, and the next when its time comes.
func TestRunMakesReviewsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, t.TempDir())
		defer s.db.Close()
		time.Sleep(3 * day)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.reviews.Run(ctx) }() // ends with cancel
		time.Sleep(time.Hour)
		if n := len(s.list()); n != 1 {
			t.Errorf("%d reviews", n)
		}
		time.Sleep(7 * day)
		if n := len(s.list()); n != 2 {
			t.Errorf("%d reviews", n)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// What a review says is on the ledger by its digest, before and after a person
// signs it.
func TestTheLedgerKnowsWhatWasSigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, t.TempDir())
		defer s.db.Close()
		time.Sleep(2 * day)
		s.make()
		one := s.list()[0]
		if _, err := s.reviews.Sign(t.Context(), one.ID, request("Ann Able", "seen")); err != nil {
			t.Fatal(err)
		}
		var kinds []string
		err := s.ledger.Tail(t.Context(), 2, func(r ledger.Record) error {
			kinds = append(kinds, r.Kind)
			if !strings.Contains(string(r.Body), one.SHA256) {
				t.Errorf("%s: %s lacks %s", r.Kind, r.Body, one.SHA256)
			}
			return nil
		})
		if err != nil || !slices.Equal(kinds, []string{"review.made", "review.signed"}) {
			t.Errorf("%v, %v", kinds, err)
		}
	})
}

func TestPageIsUpToDate(t *testing.T) {
	page, err := os.ReadFile("../docs/review.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(page, review.Page()) {
		t.Error("docs/review.md is not what the rules say: go generate ./review")
	}
}
