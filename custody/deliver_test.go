package custody_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"cordon/custody"
	"cordon/store"
)

func (s site) due(t testing.TB, archive string, at time.Time) (ids []string) {
	t.Helper()
	all, err := s.c.Due(t.Context(), archive, at, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range all {
		ids = append(ids, o.ID)
	}
	return ids
}

func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAttemptsWhoseOutcomeWasNotRecordedLand(t *testing.T) {
	s := open(t, t.TempDir())
	o := s.keep(t, noise(10), spooled("1"))
	ctx := t.Context()
	if err := s.c.InFlight(ctx, o.ID); err != nil {
		t.Fatal(err)
	}
	for _, archive := range []string{"elsewhere", o.Archive} {
		if err := s.c.Land(ctx, archive); err != nil {
			t.Fatal(err)
		}
		due, err := s.c.Due(ctx, o.Archive, time.Now().Add(time.Minute), 10)
		if err != nil || (len(due) == 1) != (archive == o.Archive) {
			t.Errorf("after landing %s: %d due, %v", archive, len(due), err)
		}
	}
}

func TestWhatFollowsEndsAtAnotherTitle(t *testing.T) {
	s := open(t, t.TempDir())
	of := func(title string, awaits bool) custody.Object {
		o := spooled("a")
		o.CallingAE, o.AwaitsScan = title, awaits
		return o
	}
	for seed, tail := range [][]custody.Object{
		{of("CT1", false), of("CT2", false), of("CT1", false)},
		{of("CT1", false), of("CT1", true), of("CT1", false)},
	} {
		var ids []string
		for i, o := range append([]custody.Object{of("CT1", false)}, tail...) {
			o.SeriesInstanceUID = fmt.Sprint("series ", seed)
			ids = append(ids, s.keep(t, noise(10*seed+i), o).ID)
		}
		following, err := s.c.Following(t.Context(), s.get(t, ids[0]), 10)
		if err != nil || len(following) != 1 || following[0].ID != ids[1] {
			t.Errorf("%v follow, want %s alone, %v", following, ids[1], err)
		}
	}
}

func TestOrderIsKeptWithinASeries(t *testing.T) {
	s := open(t, t.TempDir())
	ctx, at := t.Context(), time.Now()
	a1 := s.keep(t, noise(1), spooled("a"))
	h := s.keep(t, noise(1), func() custody.Object { o := held(malicious); o.SeriesInstanceUID = "a"; return o }())
	a2 := s.keep(t, noise(2), spooled("a"))
	b1 := s.keep(t, noise(3), spooled("b"))
	a3 := s.keep(t, noise(4), spooled("a"))
	n1, n2 := s.keep(t, noise(5), spooled("")), s.keep(t, noise(6), spooled(""))
	elsewhere := spooled("a")
	elsewhere.Archive = "other"
	x := s.keep(t, noise(7), elsewhere)

	same(t, s.due(t, "pacs", at), a1.ID, b1.ID, n1.ID, n2.ID)
	same(t, s.due(t, "other", at), x.ID)
	same(t, s.due(t, "none", at))

	following, err := s.c.Following(ctx, a1, 10)
	if err != nil || len(following) != 2 || following[0].ID != a2.ID || following[1].ID != a3.ID {
		t.Errorf("following: %v, %v", following, err)
	}
	if err := s.c.InFlight(ctx, a2.ID); !errors.Is(err, custody.ErrState) {
		t.Errorf("a2 went before a1: %v", err)
	}
	if err := s.c.InFlight(ctx, h.ID); !errors.Is(err, custody.ErrState) {
		t.Errorf("a held object was sent: %v", err)
	}
	if err := s.c.Delivered(ctx, h.ID, 0); !errors.Is(err, custody.ErrState) {
		t.Errorf("a held object was delivered: %v", err)
	}
	if err := s.c.InFlight(ctx, a1.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.c.InFlight(ctx, a1.ID); !errors.Is(err, custody.ErrState) {
		t.Errorf("in flight twice: %v", err)
	}
	same(t, s.due(t, "pacs", at), b1.ID, n1.ID, n2.ID)

	// Back-off of the first holds up the series, and nothing else.
	if err := s.c.Failed(ctx, a1.ID, custody.Failure{Err: errors.New("archive is away"), RetryAt: at.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	same(t, s.due(t, "pacs", at), b1.ID, n1.ID, n2.ID)
	same(t, s.due(t, "pacs", at.Add(time.Hour+time.Second)), b1.ID, n1.ID, n2.ID, a1.ID)
	if o := s.get(t, a1.ID); o.Attempts != 1 || o.LastError != "archive is away" || o.InFlight || o.NeedsAttention {
		t.Errorf("%+v", o)
	}

	// Refused for good, it stays, is seen, and the next one's turn comes.
	if err := s.c.Failed(ctx, a1.ID, custody.Failure{Err: errors.New("no such class"), Status: 0x0122, Permanent: true}); err != nil {
		t.Fatal(err)
	}
	same(t, s.due(t, "pacs", at), a2.ID, b1.ID, n1.ID, n2.ID)
	attention, err := s.c.List(ctx, custody.Filter{NeedsAttention: true})
	if err != nil || len(attention) != 1 || attention[0].ID != a1.ID || attention[0].Status != 0x0122 || attention[0].State != custody.Spooled {
		t.Errorf("%+v, %v", attention, err)
	}
	if _, err := s.read(t, a1.ID); err != nil {
		t.Errorf("its bytes are gone: %v", err)
	}
	if err := s.c.Delivered(ctx, a2.ID, 0xB000); err != nil {
		t.Fatal(err)
	}
	same(t, s.due(t, "pacs", at), b1.ID, a3.ID, n1.ID, n2.ID)
	if _, err := s.read(t, a2.ID); !errors.Is(err, custody.ErrState) {
		t.Errorf("delivered, and still here: %v", err)
	}
	if o := s.get(t, a2.ID); o.Status != 0xB000 || o.DeliveredAt.IsZero() || o.State != custody.Delivered {
		t.Errorf("%+v", o)
	}

	if err := s.c.Retry(ctx, a1.ID, by("Ann")); err != nil {
		t.Fatal(err)
	}
	same(t, s.due(t, "pacs", at), a1.ID, b1.ID, n1.ID, n2.ID)
	if err := s.c.Retry(ctx, b1.ID, by("Ann")); !errors.Is(err, custody.ErrState) {
		t.Errorf("retried what is not stuck: %v", err)
	}
	if got := fmt.Sprint(s.kinds(t, a1.ID)); got != "[object.spooled object.refused object.retried]" {
		t.Error(got)
	}
	if got := fmt.Sprint(s.kinds(t, a2.ID)); got != "[object.spooled object.delivered]" {
		t.Error(got)
	}
}

func TestUndeliverableIsDestroyedByTwo(t *testing.T) {
	s := open(t, t.TempDir())
	o := s.keep(t, noise(10), spooled("a"))
	if err := s.c.InFlight(t.Context(), o.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.c.Destroy(t.Context(), o.ID, by("Ann")); !errors.Is(err, custody.ErrState) {
		t.Errorf("while it was being delivered: %v", err)
	}
	long := errors.New(strings.Repeat("é", 1000))
	if err := s.c.Failed(t.Context(), o.ID, custody.Failure{Err: long, Permanent: true}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Ann", "Bob"} {
		if _, err := s.c.Destroy(t.Context(), o.ID, by(name)); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.get(t, o.ID); got.State != custody.Destroyed || got.NeedsAttention {
		t.Errorf("%+v", got)
	}
	if err := s.c.Failed(t.Context(), o.ID, custody.Failure{}); !errors.Is(err, custody.ErrState) {
		t.Error(err)
	}
}

func TestInFlightEndsWithTheProcess(t *testing.T) {
	s := open(t, t.TempDir())
	o := s.keep(t, noise(10), spooled("a"))
	if err := s.c.InFlight(t.Context(), o.ID); err != nil {
		t.Fatal(err)
	}
	s = s.reopen(t)
	same(t, s.due(t, "pacs", time.Now()), o.ID)
	if f := s.c.Found(); f.InFlight != 1 {
		t.Errorf("%+v", f)
	}
	if o := s.get(t, o.ID); o.Attempts != 1 {
		t.Errorf("%+v", o)
	}
}

// A backlog of 100,000 images in 200 series, of which none may go yet.
func BenchmarkDue(b *testing.B) {
	s := open(b, b.TempDir())
	s.keep(b, noise(1), spooled("0"))
	err := s.db.Update(b.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO custody_objects (id, state, received_at, bytes, sha256, device, calling_ae, called_ae, archive, lane,
			sop_class_uid, sop_instance_uid, study_instance_uid, series_instance_uid, transfer_syntax_uid, findings, engines,
			priority, move_originator_ae, move_originator_id, next_attempt, turn)
			WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
			SELECT 'id' || i, state, received_at, bytes, sha256, device, calling_ae, called_ae, archive, i / 500,
			sop_class_uid, sop_instance_uid || i, study_instance_uid, i / 500, transfer_syntax_uid, findings, engines,
			priority, move_originator_ae, move_originator_id, ?, i % 500 = 0
			FROM custody_objects, n`, time.Now().Add(time.Hour).UnixMicro())
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.c.Due(b.Context(), "pacs", time.Now(), 16); err != nil {
			b.Fatal(err)
		}
	}
}
