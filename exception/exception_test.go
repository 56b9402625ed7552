package exception_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"cordon/custody"
	"cordon/dicom"
	"cordon/exception"
	"cordon/finding"
	"cordon/policy"
	"cordon/store"
)

// notebook is a journal that a test can read.
type notebook struct {
	kinds  []string
	bodies []string
	full   error
}

func (n *notebook) Append(_ *store.Tx, kind string, body any) error {
	text, err := json.Marshal(body)
	if err != nil || n.full != nil {
		return errors.Join(err, n.full)
	}
	n.kinds, n.bodies = append(n.kinds, kind), append(n.bodies, string(text))
	return nil
}

type shelf struct {
	*exception.Exceptions
	db      *store.DB
	journal *notebook
	dir     string
}

func open(t *testing.T, dir string) *shelf {
	t.Helper()
	db, err := store.OpenDB(t.Context(), filepath.Join(dir, "cordon.db"), []store.Migrations{exception.Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	s := &shelf{db: db, journal: &notebook{}, dir: dir}
	if s.Exceptions, err = exception.Open(t.Context(), db, s.journal); err != nil {
		t.Fatal(err)
	}
	return s
}

// notice has the gateway notice a finding, and waits for it to be written.
func (s *shelf) notice(t *testing.T, o policy.Origin, held string, fs ...finding.Finding) {
	t.Helper()
	s.Noticed(o, held, fs, func(err error) { t.Error(err) })
	if err := s.db.Update(t.Context(), func(*store.Tx) error { return nil }); err != nil { // in order behind it
		t.Fatal(err)
	}
}

func (s *shelf) all(t *testing.T) []exception.Exception {
	t.Helper()
	all, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

const habit = "container-mismatch"

var (
	ct1     = policy.Origin{Device: "ct-1", CallingAE: "CT1", Address: netip.MustParseAddr("10.0.0.21")}
	learned = policy.Origin{CallingAE: "NEW", Address: netip.MustParseAddr("10.9.9.9")}
)

func by(name string) custody.Request { return custody.Request{By: name, Reason: "vendor confirms"} }

func TestLifeOfAnException(t *testing.T) {
	s := open(t, t.TempDir())
	for i, item := range []int{2, 7} {
		s.notice(t, ct1, fmt.Sprint("held", i), finding.New(habit, fmt.Sprintf("(0040,A730)[%d].(0009,1001)", item), 0, ""))
	}
	all := s.all(t)
	if len(all) != 1 || all[0].Seen != 2 || all[0].Example != "held1" || all[0].Place != "(0040,A730).(0009,1001)" || all[0].State != exception.Proposed {
		t.Fatalf("%+v", all)
	}
	id := all[0].ID
	if got := s.For(ct1, time.Now()); got != nil {
		t.Fatalf("a proposal applies: %v", got)
	}

	e, err := s.Approve(t.Context(), id, by("Ann Able"), 0)
	if err != nil || e.State != exception.Approved || fmt.Sprint(e.DecidedBy) != "[Ann Able]" || e.DecidedAt.IsZero() {
		t.Fatalf("%+v, %v", e, err)
	}
	if left := time.Until(e.Expires); left < exception.MaxTerm-time.Minute || left > exception.MaxTerm {
		t.Errorf("lasts for %v", left)
	}
	if got := s.For(ct1, time.Now()); len(got) != 1 || got[0].ID != id || got[0].Finding != habit {
		t.Errorf("%v", got)
	}
	if got := s.For(ct1, e.Expires); got != nil {
		t.Errorf("after it expired: %v", got)
	}
	for _, other := range []policy.Origin{{}, learned, {Device: "ct-2"}, {CallingAE: "CT1", Address: ct1.Address}, {Device: "CT-1"}} {
		if got := s.For(other, time.Now()); got != nil {
			t.Errorf("%+v: %v", other, got)
		}
	}

	again := open(t, s.dir) // what is approved is on disk
	if got := again.For(ct1, time.Now()); len(got) != 1 {
		t.Errorf("after a restart: %v", got)
	}

	if e, err = s.Revoke(t.Context(), id, by("Ben Birk")); err != nil || e.State != exception.Revoked || !e.Expires.IsZero() {
		t.Fatalf("%+v, %v", e, err)
	}
	if got := s.For(ct1, time.Now()); got != nil {
		t.Errorf("after it was revoked: %v", got)
	}
	if _, err := s.Revoke(t.Context(), id, by("Ben Birk")); !errors.Is(err, exception.ErrState) {
		t.Errorf("revoked twice: %v", err)
	}
	s.notice(t, ct1, "held3", finding.New(habit, "(0040,A730)[0].(0009,1001)", 0, ""))
	if all := s.all(t); len(all) != 1 || all[0].State != exception.Revoked || all[0].Seen != 3 {
		t.Errorf("what people declined is proposed again: %+v", all)
	}
	if e, err = s.Approve(t.Context(), id, by("Ann Able"), time.Millisecond); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Millisecond)
	if all := s.all(t); all[0].State != exception.Expired || s.For(ct1, time.Now()) != nil {
		t.Errorf("%+v", all)
	}
	if want := []string{"exception.proposed", "exception.approved", "exception.revoked", "exception.approved"}; !slices.Equal(s.journal.kinds, want) {
		t.Errorf("journal: %v", s.journal.kinds)
	}
}

// What the journal cannot take does not happen.
func TestNothingAppliesThatIsNotOnTheRecord(t *testing.T) {
	s := open(t, t.TempDir())
	e, err := s.Propose(t.Context(), ct1, habit, "(0009,1001)", by("Ann Able"))
	if err != nil {
		t.Fatal(err)
	}
	s.journal.full = errors.New("ledger is full")
	if _, err := s.Approve(t.Context(), e.ID, by("Ann Able"), 0); err == nil {
		t.Error("approved")
	}
	if s.For(ct1, time.Now()) != nil || s.all(t)[0].State != exception.Proposed {
		t.Error("applies without a record")
	}
}

func TestRequestsThatCannotBe(t *testing.T) {
	s := open(t, t.TempDir())
	for _, c := range []struct {
		name           string
		origin         policy.Origin
		finding, place string
		request        custody.Request
		want           error
	}{
		{"nobody asks", ct1, habit, "", custody.Request{Reason: "r"}, custody.ErrRequest},
		{"no reason", ct1, habit, "", custody.Request{By: "Ann"}, custody.ErrRequest},
		{"no device", policy.Origin{}, habit, "", by("Ann"), custody.ErrRequest},
		{"a title without an address", policy.Origin{CallingAE: "NEW"}, habit, "", by("Ann"), custody.ErrRequest},
		{"an unknown finding", ct1, "no-such-kind", "", by("Ann"), custody.ErrRequest},
		{"a finding that holds nothing", ct1, "odd-length", "", by("Ann"), custody.ErrRequest},
		{"a program", ct1, "executable", "", by("Ann"), exception.ErrNotExceptable},
		{"a script", ct1, "script-text", "", by("Ann"), exception.ErrNotExceptable},
		{"a detection", ct1, finding.EngineDetection, "", by("Ann"), exception.ErrNotExceptable},
		{"a listed digest", ct1, "hash-listed", "", by("Ann"), exception.ErrNotExceptable},
		{"a size that overflows", ct1, "geometry-overflow", "", by("Ann"), exception.ErrNotExceptable},
		{"a macro", ct1, "office-macro", "", by("Ann"), exception.ErrNotExceptable},
		{"another instance", ct1, finding.AnnouncedMismatch, "", by("Ann"), exception.ErrNotExceptable},
		{"a place that cannot be", ct1, habit, "anywhere", by("Ann"), custody.ErrRequest},
		{"a place with a wildcard", ct1, habit, "(0009,10xx)", by("Ann"), custody.ErrRequest},
	} {
		if _, err := s.Propose(t.Context(), c.origin, c.finding, c.place, c.request); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
	e, err := s.Propose(t.Context(), learned, habit, "(0040,A730)[3].(0009,1001)!member[2]", by("Ann"))
	if err != nil || e.Place != "(0040,A730).(0009,1001)!member" || e.ProposedBy != "Ann" || e.Address != "10.9.9.9" {
		t.Fatalf("%+v, %v", e, err)
	}
	for _, term := range []time.Duration{-time.Hour, exception.MaxTerm + time.Hour} {
		if _, err := s.Approve(t.Context(), e.ID, by("Ann"), term); !errors.Is(err, custody.ErrRequest) {
			t.Errorf("for %v: %v", term, err)
		}
	}
	if _, err := s.Approve(t.Context(), e.ID, custody.Request{By: "Ann"}, 0); !errors.Is(err, custody.ErrRequest) {
		t.Errorf("without a reason: %v", err)
	}
	for _, id := range []string{"", "nosuch", "../x"} {
		if _, err := s.Approve(t.Context(), id, by("Ann"), 0); !errors.Is(err, exception.ErrNotFound) {
			t.Errorf("%q: %v", id, err)
		}
		if _, err := s.Revoke(t.Context(), id, by("Ann")); !errors.Is(err, exception.ErrNotFound) {
			t.Errorf("%q: %v", id, err)
		}
	}
	if _, err := s.Approve(t.Context(), e.ID, by("Ann"), time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Propose(t.Context(), learned, habit, e.Place, by("Ann")); !errors.Is(err, exception.ErrState) {
		t.Errorf("proposed what is approved: %v", err)
	}
}

// A row that somebody wrote past this package excepts nothing: policy asks the
// catalogue again.
func TestForgedRowExceptsNothing(t *testing.T) {
	s := open(t, t.TempDir())
	e, err := s.Propose(t.Context(), ct1, habit, "", by("Ann"))
	if err == nil {
		_, err = s.Approve(t.Context(), e.ID, by("Ann"), 0)
	}
	if err == nil {
		err = s.db.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(`UPDATE exception SET finding = 'executable'`)
			return err
		})
	}
	if err == nil {
		err = s.Refresh(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	fs := policy.Except([]finding.Finding{finding.New("executable", "(0009,1001)", 0, "")}, ct1, s.For(ct1, time.Now()))
	if d := policy.DefaultRules().Decide(finding.Report{Findings: fs}); d.Verdict != finding.Hold {
		t.Errorf("%+v", d)
	}
	if _, err := s.Approve(t.Context(), e.ID, by("Ann"), 0); !errors.Is(err, exception.ErrNotExceptable) {
		t.Errorf("approved: %v", err)
	}
}

// If what is approved cannot be read, nothing is excepted.
func TestUnreadableExceptionsExceptNothing(t *testing.T) {
	s := open(t, t.TempDir())
	e, err := s.Propose(t.Context(), ct1, habit, "", by("Ann"))
	if err == nil {
		_, err = s.Approve(t.Context(), e.ID, by("Ann"), 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Refresh(ended); err == nil {
		t.Fatal("read all the same")
	}
	if got := s.For(ct1, time.Now()); got != nil {
		t.Errorf("%v", got)
	}
	if err := s.Refresh(t.Context()); err != nil || len(s.For(ct1, time.Now())) != 1 {
		t.Errorf("not back: %v", err)
	}
}

// Anybody can make up AE titles and places.
func TestProposalsAreBounded(t *testing.T) {
	s := open(t, t.TempDir())
	for i := range 50 {
		s.notice(t, ct1, "", finding.New(habit, fmt.Sprintf("(0009,%04X)", 0x1000+i), 0, ""))
	}
	if n := len(s.all(t)); n != 32 {
		t.Errorf("%d proposals for one device", n)
	}
	for i := range 1100 {
		o := learned
		o.CallingAE = dicom.AETitle(fmt.Sprint("AE", i))
		s.Noticed(o, "", []finding.Finding{finding.New(habit, "(0009,1001)", 0, "")}, func(err error) { t.Error(err) })
	}
	s.notice(t, policy.Origin{Device: "ct-2"}, "", finding.New(habit, "(0009,1001)", 0, ""))
	if n := len(s.all(t)); n != 32+1000+1 {
		t.Errorf("%d proposals", n)
	}
	if _, err := s.Propose(t.Context(), ct1, habit, "(0011,1001)", by("Ann")); err != nil {
		t.Errorf("a person cannot propose: %v", err)
	}
	for _, f := range []finding.Finding{
		finding.New("executable", "(0009,1001)", 0, ""),
		finding.New(habit, "somewhere else", 0, ""),
	} {
		s.notice(t, policy.Origin{Device: "ct-3"}, "", f)
	}
	s.notice(t, policy.Origin{}, "", finding.New(habit, "(0009,1001)", 0, ""))
	for _, e := range s.all(t) {
		if e.Device == "ct-3" || e.Device == "" && e.CallingAE == "" {
			t.Errorf("proposed: %+v", e)
		}
	}
}

func TestProposalThatNothingBearsOutIsForgotten(t *testing.T) {
	s := open(t, t.TempDir())
	s.notice(t, ct1, "", finding.New(habit, "(0009,1001)", 0, ""))
	s.notice(t, ct1, "", finding.New(habit, "(0009,1002)", 0, ""))
	err := s.db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE exception SET last_seen = 1 WHERE place = '(0009,1001)'`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if all := open(t, s.dir).all(t); len(all) != 1 || all[0].Place != "(0009,1002)" {
		t.Errorf("%+v", all)
	}
}

func TestReleasedTogetherWithItsException(t *testing.T) {
	s := open(t, t.TempDir())
	held := func(device string, ids ...string) custody.Object {
		o := custody.Object{ID: "held", Device: device, CallingAE: "NEW"}
		for _, id := range ids {
			o.Findings = append(o.Findings, finding.New(id, "(0009,1001)[4]!member[1]", 0, ""))
		}
		return o
	}
	release := func(o custody.Object) error {
		err := s.db.Update(t.Context(), func(tx *store.Tx) error {
			return s.Released(tx, o, []string{"Ann Able", "Ben Birk"}, "vendor confirms")
		})
		return errors.Join(err, s.Refresh(t.Context()))
	}
	if err := release(held("ct-1", habit, "odd-length")); err != nil {
		t.Fatal(err)
	}
	all := s.all(t)
	if len(all) != 1 || all[0].State != exception.Approved || fmt.Sprint(all[0].DecidedBy) != "[Ann Able Ben Birk]" || all[0].Place != "(0009,1001)!member" {
		t.Fatalf("%+v", all)
	}
	for _, ids := range [][]string{{"executable"}, {habit, "executable"}, {habit, "geometry-overflow"}} {
		if err := release(held("ct-2", ids...)); !errors.Is(err, exception.ErrNotExceptable) {
			t.Errorf("%v: %v", ids, err)
		}
	}
	if err := release(held("ct-2", "odd-length")); !errors.Is(err, custody.ErrRequest) {
		t.Errorf("nothing to except: %v", err)
	}

	// A learned device is known by the proposal that was made when it was held.
	if err := release(held("", habit)); !errors.Is(err, exception.ErrState) {
		t.Errorf("from an address that nobody knows: %v", err)
	}
	s.notice(t, learned, "held", held("", habit).Findings...)
	if err := release(held("", habit)); err != nil || len(s.For(learned, time.Now())) != 1 {
		t.Errorf("%v", err)
	}
	other := learned
	other.Address = netip.MustParseAddr("10.9.9.8")
	s.notice(t, other, "held", held("", habit).Findings...)
	if err := release(held("", habit)); !errors.Is(err, exception.ErrState) {
		t.Errorf("from either of two addresses: %v", err)
	}
	if got := s.For(other, time.Now()); got != nil {
		t.Errorf("%v", got)
	}
}
