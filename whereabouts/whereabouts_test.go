package whereabouts

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"cordon/ledger"
	"cordon/store"
)

type house struct {
	*Index
	db *store.DB
	l  *ledger.Ledger
}

func open(t *testing.T) *house {
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
	return &house{New(db, l), db, l}
}

func (h *house) record(t *testing.T, kind string, body map[string]any) {
	t.Helper()
	if err := h.l.Record(t.Context(), kind, body); err != nil {
		t.Fatal(err)
	}
}

func (h *house) object(t *testing.T, kind, study, series, instance, archive string) {
	t.Helper()
	h.record(t, kind, map[string]any{
		"study_instance_uid": study, "series_instance_uid": series, "sop_instance_uid": instance, "archive": archive, "device": "ct-1",
	})
}

// transfer records whom a study is of.
func (h *house) transfer(t *testing.T, study, id, accession string) {
	t.Helper()
	err := h.db.Update(t.Context(), func(tx *store.Tx) error {
		sealed, err := h.l.Seal(tx, ledger.Subject(id, "", study), map[string]string{"id": id, "name": "Able^Anna", "accession": accession})
		if err != nil {
			return err
		}
		return h.l.Append(tx, "transfer.end", map[string]any{"study": study, "direction": "received", "peer": "ct-1", "patient": sealed})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// catchUp has the index learn the whole ledger from its beginning.
func (h *house) catchUp(t *testing.T) {
	t.Helper()
	var all []ledger.Record
	n, err := h.l.Size(t.Context())
	if err == nil {
		err = h.l.Scan(t.Context(), 0, n, func(r ledger.Record) error { all = append(all, r); return nil })
	}
	if err != nil {
		t.Fatal(err)
	}
	var facts []fact
	for _, r := range all {
		if f, ok := h.read(t.Context(), r); ok {
			facts = append(facts, f)
		}
	}
	err = h.db.Update(t.Context(), func(tx *store.Tx) error {
		for _, f := range facts {
			if err := keep(tx, f); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestStudyIsCountedWhereItIs(t *testing.T) {
	h := open(t)
	for i := range 5 {
		h.object(t, "object.delivered", "1.2", "1.2.1", fmt.Sprint("1.2.1.", i), "pacs")
	}
	h.object(t, "object.delivered", "1.2", "1.2.1", "1.2.1.0", "pacs") // sent once more
	h.object(t, "object.held", "1.2", "1.2.2", "1.2.2.1", "pacs")
	h.object(t, "object.spooled", "1.2", "1.2.2", "1.2.2.2", "pacs")
	h.object(t, "object.refused", "1.2", "1.2.2", "1.2.2.3", "")
	h.object(t, "object.refused_by_archive", "1.2", "1.2.1", "1.2.1.1", "pacs") // it has it
	h.catchUp(t)
	s, err := h.Study(t.Context(), "1.2")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(s.Instances, s.Counts); got != "8 [{ refused 1} {pacs delivered 5} {pacs spooled 1} {pacs held 1}]" {
		t.Error(got)
	}
	if len(s.Series) != 2 || s.Device != "ct-1" {
		t.Fatalf("%+v", s)
	}
	for _, series := range s.Series {
		if want := map[string]int{"1.2.1": 5, "1.2.2": 3}[series.UID]; series.Instances != want {
			t.Errorf("%+v", series)
		}
	}
	if n, err := h.Instances(t.Context(), []string{"1.2", "1.3"}); err != nil || len(n) != 1 || n["1.2"] != 8 {
		t.Error(n, err)
	}
}

func TestWhatHappenedLastIsWhereItIs(t *testing.T) {
	h := open(t)
	for _, kind := range []string{"object.held", "object.released", "object.delivered", "object.missing", "object.there_again"} {
		h.object(t, kind, "1.2", "1.2.1", "1.2.1.1", "pacs")
		h.catchUp(t)
		s, err := h.Study(t.Context(), "1.2")
		if err != nil || len(s.Counts) != 1 || s.Counts[0].State != becomes[kind] || s.Instances != 1 {
			t.Errorf("%s: %+v %v", kind, s, err)
		}
	}
}

func TestStudyIsFoundByWhomItIsOf(t *testing.T) {
	h := open(t)
	h.object(t, "object.delivered", "1.2", "1.2.1", "1.2.1.1", "pacs")
	h.transfer(t, "1.2", "P1", "A1")
	h.transfer(t, "1.3", "P1", "A2")
	h.transfer(t, "1.4", "P2", "A3")
	h.catchUp(t)
	for _, c := range []struct {
		q    Query
		want string
	}{
		{Query{PatientID: "P1"}, "1.3 1.2"},
		{Query{PatientID: " P1 ", Accession: "A1"}, "1.2"},
		{Query{Accession: "A3"}, "1.4"},
		{Query{Accession: "P1"}, ""},
		{Query{Study: "1.2"}, "1.2"},
		{Query{Device: "ct-1"}, "1.4 1.3 1.2"},
		{Query{Device: "ct-1", Limit: 2}, "1.4 1.3"},
		{Query{Device: "ct-2"}, ""},
		{Query{From: time.Now().Add(time.Hour)}, ""},
	} {
		got, err := h.Find(t.Context(), c.q)
		if err != nil || uids(got) != c.want {
			t.Errorf("%+v: %q %v, want %q", c.q, uids(got), err, c.want)
		}
	}
	two, err := h.Find(t.Context(), Query{Limit: 2})
	if err != nil || len(two) != 2 {
		t.Fatal(two, err)
	}
	if rest, err := h.Find(t.Context(), Query{Before: two[1].Key}); err != nil || uids(rest) != "1.2" {
		t.Error(uids(rest), err)
	}
	if p, err := h.Patient(t.Context(), "1.2"); err != nil || p.ID != "P1" || p.Name != "Able^Anna" {
		t.Error(p, err)
	}
}

func TestErasedPatientIsNotFound(t *testing.T) {
	h := open(t)
	h.transfer(t, "1.2", "P1", "A1")
	h.catchUp(t)
	if erased, err := h.l.Erase(t.Context(), ledger.Subject("P1", "", "1.2"), "ann", "asked"); err != nil || !erased {
		t.Fatal(erased, err)
	}
	h.catchUp(t)
	for _, q := range []Query{{PatientID: "P1"}, {Accession: "A1"}} {
		if got, err := h.Find(t.Context(), q); err != nil || len(got) != 0 {
			t.Error(q, got, err)
		}
	}
	if p, err := h.Patient(t.Context(), "1.2"); err != nil || p != (Patient{}) {
		t.Error(p, err)
	}
}

func TestStatesAreReadAsTheyAreWritten(t *testing.T) {
	for s := Delivered; s <= Missing; s++ {
		text, _ := s.MarshalText()
		var got State
		if err := got.UnmarshalText(text); err != nil || got != s {
			t.Errorf("%s: %v %v", text, got, err)
		}
	}
	var s State
	if err := s.UnmarshalText([]byte("")); err == nil {
		t.Error("an empty word is a state")
	}
}

func TestUnknownStudy(t *testing.T) {
	if _, err := open(t).Study(t.Context(), "1.9"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}

func TestIndexFollowsTheLedger(t *testing.T) {
	h := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx, nil) }() // ends with cancel
	h.object(t, "object.delivered", "1.2", "1.2.1", "1.2.1.1", "pacs")
	deadline := time.Now().Add(20 * time.Second)
	for {
		if all, err := h.Find(t.Context(), Query{}); err == nil && len(all) == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("not learned")
		}
		time.Sleep(50 * time.Millisecond)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func uids(all []Study) (out string) {
	for i, s := range all {
		if i > 0 {
			out += " "
		}
		out += s.UID
	}
	return out
}
