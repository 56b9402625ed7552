package incident

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cordon/custody"
	"cordon/ledger"
	"cordon/store"
)

var byAble = custody.Request{By: "A. Able", Reason: "a worm, says the alarm"}

type site struct {
	t      *testing.T
	dir    string
	db     *store.DB
	ledger *ledger.Ledger
	*Incidents
	stop func()
	late chan []Overdue
}

// begin opens a site in a directory, again perhaps.
func begun(t *testing.T, dir string) *site {
	t.Helper()
	db, err := store.OpenDB(t.Context(), filepath.Join(dir, "cordon.db"), []store.Migrations{ledger.Migrations(), Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(t.Context(), db, filepath.Join(dir, "ledger.key"), "example")
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, dir: dir, db: db, ledger: l, late: make(chan []Overdue, 100)}
	if s.Incidents, err = Open(t.Context(), db, l); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { // ends with ctx
		done <- s.Run(ctx, func(_ context.Context, all []Overdue) { s.late <- all }, slog.New(slog.DiscardHandler))
	}()
	stopped := false
	s.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := errors.Join(<-done, db.Close()); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(s.stop)
	return s
}

func (s *site) record(kind string, body map[string]any) {
	s.t.Helper()
	if err := s.ledger.Record(s.t.Context(), kind, body); err != nil {
		s.t.Fatal(err)
	}
}

// settle waits until the follower has read all there is.
func (s *site) settle() {
	s.t.Helper()
	size, err := s.ledger.Size(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		s.mu.Lock()
		read := s.read
		s.mu.Unlock()
		if read >= size {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("read %d of %d", read, size)
		}
		time.Sleep(time.Millisecond)
	}
}

func (s *site) story(id int64) Story {
	s.t.Helper()
	s.settle()
	story, err := s.Show(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return story
}

func (s *site) image(kind, device, instance string) {
	s.record(kind, map[string]any{"device": device, "sop_instance_uid": instance, "study_instance_uid": "1.2.840.1"})
}

func alert(first time.Time) map[string]any {
	return map[string]any{"device": "us-1", "rule": "NET-003", "detail": "12 addresses in 1 s", "first": first.UTC().Format(time.RFC3339Nano)}
}

func kindsOf(s Story) (out []string) {
	for _, e := range s.Events {
		out = append(out, e.Kind)
	}
	return out
}

// The story begins with the first packet, though it was no incident then.
func TestStoryBeginsWithTheFirstPacket(t *testing.T) {
	s := begun(t, t.TempDir())
	first := time.Now().Add(-2 * time.Second).Truncate(time.Microsecond)
	s.image("object.delivered", "us-1", "1.1") // before: not of the incident
	s.record("network.alert", alert(first))
	s.record("network.alert", map[string]any{"device": "us-2", "rule": "NET-001", "detail": "of another device"})
	s.record("containment.applied", map[string]any{"device": "us-1", "level": "image_only", "by": []string{"policy"}, "reason": "NET-003"})
	for n, kind := range []string{"object.delivered", "object.held", "object.spooled", "object.spooled"} {
		s.image(kind, "us-1", fmt.Sprint("2.", n))
	}
	s.image("object.delivered", "us-1", "2.2")
	s.image("object.delivered", "us-2", "3.1")
	s.record("containment.restored", map[string]any{"device": "us-1", "by": []string{"A. Able", "B. Best"}, "reason": "scanned from a boot disk"})

	got := s.story(1)
	if got.Device != "us-1" || !got.First.Equal(first) || got.Contained.IsZero() || got.Restored.Before(got.Contained) || !got.Closed.IsZero() {
		t.Errorf("%+v", got.Incident)
	}
	if k := strings.Join(kindsOf(got), " "); k != "network.alert containment.applied containment.restored" {
		t.Error(k)
	}
	if want := (Images{Studies: 1, Made: 4, Delivered: 2, Spooled: 1, Held: 1}); got.Images != want || !got.Images.AllThere() || len(got.Of) != 1 || got.Of[0].Made != 4 {
		t.Errorf("%+v, %+v", got.Images, got.Of)
	}
	if says := got.Events[2].Says; says != "restored by A. Able and B. Best: scanned from a boot disk" {
		t.Error(says)
	}
	if all, err := s.List(t.Context(), Filter{}); err != nil || len(all) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
}

// What is on the ledger is read once, whatever ends in between.
func TestNothingIsCountedTwice(t *testing.T) {
	dir := t.TempDir()
	s := begun(t, dir)
	s.record("containment.applied", map[string]any{"device": "us-1"})
	for n := range 300 {
		s.image("object.delivered", "us-1", fmt.Sprint("2.", n))
	}
	s.settle()
	_ = s.db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE ledger_cursors SET next = 0 WHERE name = 'incident'`) // as if it had not been written
		return err
	})
	s.stop()
	s = begun(t, dir)
	s.image("object.delivered", "us-1", "2.300")
	if got := s.story(1); got.Images.Made != 301 || len(got.Events) != 1 {
		t.Errorf("%+v, %d events", got.Images, len(got.Events))
	}
	if all, _ := s.List(t.Context(), Filter{}); len(all) != 1 {
		t.Errorf("%d incidents", len(all))
	}
}

func TestPeopleTellTheStory(t *testing.T) {
	s := begun(t, t.TempDir())
	if err := s.Begin(t.Context(), "ct-1", byAble); err != nil {
		t.Fatal(err)
	}
	s.settle()
	if err := s.Begin(t.Context(), "ct-1", byAble); !errors.Is(err, ErrState) {
		t.Error(err)
	}
	due := time.Now().AddDate(0, 0, 20)
	for what, err := range map[string]error{
		"told":    s.Told(t.Context(), 1, Telling{"Acme service", "telephone"}, byAble),
		"promise": s.Promise(t.Context(), 1, Promised{Vendor: "Acme", What: "a tested patch", Due: due}, byAble),
		"note":    s.Note(t.Context(), 1, byAble),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, err := range map[string]error{
		"nobody":      s.Note(t.Context(), 1, custody.Request{Reason: "x"}),
		"no whom":     s.Told(t.Context(), 1, Telling{"", "telephone"}, byAble),
		"two lines":   s.Told(t.Context(), 1, Telling{"Acme\nservice", "telephone"}, byAble),
		"no day":      s.Promise(t.Context(), 1, Promised{Vendor: "Acme", What: "x"}, byAble),
		"in 40 years": s.Promise(t.Context(), 1, Promised{Vendor: "Acme", What: "x", Due: due.AddDate(40, 0, 0)}, byAble),
	} {
		if !errors.Is(err, custody.ErrRequest) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := s.Note(t.Context(), 9, byAble); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	got := s.story(1)
	if got.Promise == nil || got.Promise.Vendor != "Acme" || got.Late(time.Now()) || !got.Late(due.Add(time.Hour)) {
		t.Errorf("%+v", got.Promise)
	}
	if err := s.Close(t.Context(), 1, byAble); err != nil {
		t.Fatal(err)
	}
	if err := s.Note(t.Context(), 1, byAble); !errors.Is(err, ErrState) {
		t.Error(err)
	}
	got = s.story(1)
	if kinds := kindsOf(got); len(kinds) != 5 || kinds[4] != "incident.closed" || got.Closed.IsZero() {
		t.Error(kinds)
	}
	if err := s.Begin(t.Context(), "ct-1", byAble); err != nil {
		t.Error(err)
	}
	if got := s.story(2); got.Device != "ct-1" {
		t.Errorf("%+v", got)
	}
}

func TestContainedDeviceKeepsItsIncidentOpen(t *testing.T) {
	s := begun(t, t.TempDir())
	s.record("containment.applied", map[string]any{"device": "us-1"})
	s.settle()
	if err := s.Close(t.Context(), 1, byAble); !errors.Is(err, ErrState) {
		t.Error(err)
	}
	s.record("containment.restored", map[string]any{"device": "us-1"})
	s.settle()
	if err := s.Close(t.Context(), 1, byAble); err != nil {
		t.Error(err)
	}
}

func TestVendorIsLate(t *testing.T) {
	s := begun(t, t.TempDir())
	if err := s.Begin(t.Context(), "us-1", byAble); err != nil {
		t.Fatal(err)
	}
	s.settle()
	for want, at := range map[int]time.Time{0: time.Now(), 1: time.Now().Add(answerWithin + time.Minute)} {
		if all, err := s.overdue(t.Context(), at); err != nil || len(all) != want {
			t.Errorf("%v: %+v, %v", at, all, err)
		}
	}
	if err := s.Promise(t.Context(), 1, Promised{Vendor: "Acme", What: "a patch", Due: time.Now().AddDate(0, 0, 10)}, byAble); err != nil {
		t.Fatal(err)
	}
	for want, days := range map[int]int{0: 9, 1: 11} {
		if all, err := s.overdue(t.Context(), time.Now().AddDate(0, 0, days)); err != nil || len(all) != want {
			t.Errorf("after %d days: %+v, %v", days, all, err)
		}
	}
	select {
	case all := <-s.late: // Run asked at its start
		if len(all) != 0 {
			t.Errorf("%+v", all)
		}
	case <-time.After(10 * time.Second):
		t.Error("never asked")
	}
}

// Anybody can make alerts; what is kept of them is bounded.
func TestSignsAreBounded(t *testing.T) {
	s := begun(t, t.TempDir())
	for range 300 {
		s.ledger.Note("network.alert", alert(time.Now()))
	}
	s.record("containment.applied", map[string]any{"device": "us-1"})
	if got := s.story(1); len(got.Events) != maxSigns+1 {
		t.Errorf("%d events", len(got.Events))
	}
}

func TestExportCanBeVerified(t *testing.T) {
	s := begun(t, t.TempDir())
	s.record("network.alert", map[string]any{"device": "us-1", "rule": "NET-003", "detail": "12 addresses"})
	s.record("containment.applied", map[string]any{"device": "us-1"})
	s.image("object.held", "us-1", "2.1")
	if err := s.Begin(t.Context(), "=cmd|calc", byAble); err != nil {
		t.Fatal(err)
	}
	s.settle()
	if _, err := s.ledger.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := s.Export(t.Context(), 1, &out, byAble); err != nil {
		t.Fatal(err)
	}
	files := unzip(t, out.Bytes())
	got, err := ledger.VerifyProof(bytes.NewReader(files["records.proof"]), ledger.VerifyOptions{Key: s.ledger.Key()})
	if err != nil {
		t.Error(err)
	}
	var story Story
	if err := json.Unmarshal(files["story.json"], &story); err != nil || story.Images.Held != 1 || len(story.Events) != 2 {
		t.Errorf("%+v, %v, %+v", story, err, got)
	}
	if !strings.Contains(string(files["studies.csv"]), "1.2.840.1,1,0,0,1") {
		t.Error(string(files["studies.csv"]))
	}
	if got := s.story(1); kindsOf(got)[2] != "incident.exported" {
		t.Error(kindsOf(got))
	}
	if cell("=1+1") != "'=1+1" || cell("1.2") != "1.2" {
		t.Error("formulas")
	}
}

func unzip(t *testing.T, data []byte) map[string][]byte {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, f := range r.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if out[f.Name], err = io.ReadAll(in); err != nil {
			t.Fatal(err)
		}
		in.Close()
	}
	return out
}
