package reconcile_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/commit"
	"cordon/dicom/dimse"
	"cordon/ledger"
	"cordon/reconcile"
	"cordon/store"
)

// site is a data directory, and an archive that answers for what is in has.
type site struct {
	t       *testing.T
	dir     string
	db      *store.DB
	ledger  *ledger.Ledger
	custody *custody.Custody
	archive *archive
	config  reconcile.Config
}

func open(t *testing.T) *site {
	t.Helper()
	dir := t.TempDir()
	db, err := store.OpenDB(t.Context(), filepath.Join(dir, "cordon.db"), []store.Migrations{ledger.Migrations(), custody.Migrations(), reconcile.Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	l, err := ledger.Open(t.Context(), db, filepath.Join(dir, "keys", "ledger.key"), "test")
	if err != nil {
		t.Fatal(err)
	}
	c, err := custody.Open(t.Context(), db, dir, l, custody.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &site{t, dir, db, l, c, &archive{has: map[string]bool{}}, reconcile.Config{
		Calling: "CORDON", Settle: time.Millisecond, Archives: []reconcile.Archive{{Name: "pacs", Query: true, Commit: true}},
	}}
}

func (s *site) reconciler() *reconcile.Reconciler {
	return reconcile.New(s.config, reconcile.Parts{DB: s.db, Ledger: s.ledger, Custody: s.custody, Find: s.archive, Confirm: s.archive, Log: slog.New(slog.DiscardHandler)})
}

func (s *site) now() reconcile.Report {
	s.t.Helper()
	r, err := s.reconciler().Now(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s *site) record(kind string, body map[string]any) {
	s.t.Helper()
	if err := s.ledger.Record(s.t.Context(), kind, body); err != nil {
		s.t.Fatal(err)
	}
}

// delivered records that the archive has answered success for an instance.
func (s *site) delivered(uid string) {
	s.t.Helper()
	series := uid[:strings.LastIndexByte(uid, '.')]
	s.record("object.delivered", map[string]any{
		"association": "A1", "archive": "pacs", "sop_instance_uid": uid, "sop_class_uid": string(dicom.CTImageStorage),
		"series_instance_uid": series, "study_instance_uid": series[:strings.LastIndexByte(series, '.')], "sha256": strings.Repeat("ab", 32),
	})
}

// kinds are the records of some kinds, in order.
func (s *site) kinds(wanted ...string) (all []map[string]any) {
	s.t.Helper()
	end, err := s.ledger.Size(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	err = s.ledger.Scan(s.t.Context(), 0, end, func(r ledger.Record) error {
		if err := ledger.Listed(r); err != nil && !strings.HasPrefix(r.Kind, "test.") {
			s.t.Error(err)
		}
		if slices.Contains(wanted, r.Kind) {
			var body map[string]any
			if err := json.Unmarshal(r.Body, &body); err != nil {
				return err
			}
			all = append(all, body)
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// archive answers C-FIND, and storage commitment. Instances are named SERIES.N, series STUDY.N.
type archive struct {
	has     map[string]bool
	away    error        // instead of an answer to C-FIND
	status  dimse.Status // of its final response
	refuses error        // instead of a commitment
	blind   int          // questions whose answer is nothing
	asked   int
	slow    time.Duration // an answer takes
}

func (a *archive) Find(_ context.Context, name string, calling dicom.AETitle, class dicom.UID, identifier []byte, match func([]byte, dicom.UID) error) (dimse.Command, error) {
	a.asked++
	time.Sleep(a.slow)
	if a.away != nil || a.status != 0 {
		return dimse.Command{Status: a.status}, a.away
	}
	if name != "pacs" || calling != "CORDON" || class != dicom.StudyRootQueryRetrieveInformationModelFind {
		return dimse.Command{}, fmt.Errorf("asked as %s for %s of %s", calling, class, name)
	}
	ts, _ := dicom.LookupTransferSyntax(dicom.ExplicitVRLittleEndian)
	elements, err := dicom.ReadElements(identifier, ts, 10)
	if err != nil {
		return dimse.Command{}, err
	}
	rq := map[dicom.Tag]string{}
	for _, e := range elements {
		rq[e.Tag] = strings.TrimRight(string(e.Value), " \x00")
	}
	told := map[string]bool{}
	for uid := range a.has {
		if a.asked <= a.blind {
			break
		}
		series := uid[:strings.LastIndexByte(uid, '.')]
		study := series[:strings.LastIndexByte(series, '.')]
		if study != rq[dicom.TagStudyInstanceUID] || rq[dicom.TagQueryRetrieveLevel] == "IMAGE" && series != rq[dicom.TagSeriesInstanceUID] {
			continue
		}
		if rq[dicom.TagQueryRetrieveLevel] == "SERIES" {
			uid = ""
		}
		if told[series+uid] {
			continue
		}
		told[series+uid] = true
		var b bytes.Buffer
		w := dicom.NewWriter(&b, ts)
		w.String(dicom.TagSOPInstanceUID, dicom.UI, uid)
		w.String(dicom.TagStudyInstanceUID, dicom.UI, study)
		w.String(dicom.TagSeriesInstanceUID, dicom.UI, series)
		w.Close()
		if err := match(b.Bytes(), dicom.ExplicitVRLittleEndian); err != nil {
			return dimse.Command{}, err
		}
	}
	return dimse.Command{}, nil
}

func (a *archive) Confirm(_ context.Context, _ string, refs []commit.Reference) (failed []commit.Failure, err error) {
	if a.refuses != nil {
		return nil, a.refuses
	}
	for _, r := range refs {
		if !a.has[string(r.SOPInstanceUID)] {
			failed = append(failed, commit.Failure{Reference: r, Reason: 0x0112})
		}
	}
	return failed, nil
}

func TestWhatAnArchiveHasIsAskedAboutOnce(t *testing.T) {
	s := open(t)
	for n := range 25 {
		uid := fmt.Sprintf("1.2.3.%d.%d", n%3, n)
		s.archive.has[uid] = true
		s.delivered(uid)
	}
	s.config.Window = 10
	r := s.now()
	if !r.Well() || r.Archives[0].Instances != 25 || r.Archives[0].Present != 25 || r.Archives[0].How != "C-FIND" {
		t.Errorf("%+v", r)
	}
	if r = s.now(); !r.Well() || r.Archives[0].Instances != 0 {
		t.Errorf("again: %+v", r)
	}
	if done := s.kinds("reconcile.done"); len(done) != 1 {
		t.Errorf("%v", done)
	}
}

func TestWhatAnArchiveLostIsAnAlarmUntilItIsThere(t *testing.T) {
	s := open(t)
	s.delivered("1.2.3.1.1")
	s.delivered("1.2.3.1.2")
	s.archive.has["1.2.3.1.2"] = true
	for range 2 { // told once
		if r := s.now(); r.Well() || !r.Alarming() || r.Missing != 1 {
			t.Errorf("%+v", r)
		}
	}
	if told := s.kinds("object.missing"); len(told) != 1 || told[0]["sop_instance_uid"] != "1.2.3.1.1" {
		t.Errorf("%v", told)
	}
	s.archive.has["1.2.3.1.1"] = true
	if r := s.now(); !r.Well() || r.Archives[0].Back != 1 {
		t.Errorf("%+v", r)
	}
	if told := s.kinds("object.there_again"); len(told) != 1 {
		t.Errorf("%v", told)
	}
}

// An archive may list what it took a moment later than it answers.
func TestWhatAnArchiveListsLateIsNoAlarm(t *testing.T) {
	s := open(t)
	s.delivered("1.2.3.1.1")
	s.archive.has["1.2.3.1.1"] = true
	s.archive.blind = 1
	if r := s.now(); !r.Well() || len(s.kinds("object.missing")) != 0 {
		t.Errorf("%+v", r)
	}
}

func TestAPersonGivesUpWhatIsMissing(t *testing.T) {
	s := open(t)
	s.delivered("1.2.3.1.1")
	r := s.reconciler()
	if _, err := r.Now(t.Context()); err != nil || !r.Last().Alarming() {
		t.Fatal(err)
	}
	if _, err := r.GiveUp(t.Context(), custody.Request{By: "Ann"}); err == nil {
		t.Error("without a reason")
	}
	if n, err := r.GiveUp(t.Context(), custody.Request{By: "Ann", Reason: "deleted on purpose"}); n != 1 || err != nil || r.Last().Alarming() {
		t.Errorf("%d, %v", n, err)
	}
	if r := s.now(); !r.Well() {
		t.Errorf("%+v", r)
	}
	if told := s.kinds("reconcile.given_up"); len(told) != 1 || told[0]["by"] != "Ann" {
		t.Errorf("%v", told)
	}
}

// One that is away is asked in the next run, from where it was.
func TestAnArchiveThatIsAwayIsNoLoss(t *testing.T) {
	s := open(t)
	s.delivered("1.2.3.1.1")
	s.archive.away = fmt.Errorf("%w: for now", dimse.ErrAway)
	s.archive.refuses = s.archive.away
	if r := s.now(); r.Well() || r.Alarming() || r.Archives[0].Error == "" || r.Archives[0].Instances != 0 || !strings.HasPrefix(r.Says()[0], "Nothing") {
		t.Errorf("%+v: %q", r, r.Says())
	}
	s.archive.away = nil
	s.archive.has["1.2.3.1.1"] = true
	if r := s.now(); !r.Well() || r.Archives[0].Present != 1 {
		t.Errorf("%+v", r)
	}
}

func TestAnArchiveWithoutQueriesIsAskedForCommitment(t *testing.T) {
	for name, prepare := range map[string]func(*site){
		"not configured": func(s *site) { s.config.Archives[0].Query = false },
		"not accepted":   func(s *site) { s.archive.away = dimse.ErrNotAccepted },
		"refused":        func(s *site) { s.archive.status = 0xA900 },
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			prepare(s)
			s.archive.has["1.2.3.1.1"] = true
			s.delivered("1.2.3.1.1")
			s.delivered("1.2.3.1.2")
			if r := s.now(); r.Missing != 1 || r.Archives[0].Present != 1 {
				t.Errorf("%+v", r)
			}
		})
	}
}

// Where nothing can be asked, the archive's word is all there is: that is said, and no alarm.
func TestAnArchiveThatCanBeAskedNothing(t *testing.T) {
	s := open(t)
	s.archive.away, s.archive.refuses = dimse.ErrNotAccepted, dimse.ErrNotAccepted
	s.delivered("1.2.3.1.1")
	r := s.now()
	if !r.Well() || r.Archives[0].Unasked != 1 || r.Archives[0].Why == "" {
		t.Errorf("%+v", r)
	}
}

// Of an association that a crash cut short, the archive's instances without a record get one.
func TestAnAssociationCutShortIsAccountedFor(t *testing.T) {
	s := open(t)
	began := time.Now().UTC()
	s.record("association.begin", map[string]any{"association": "A1"})
	s.record("transfer.begin", map[string]any{"association": "A1", "direction": "sent", "peer": "pacs", "study": "1.2.3"})
	s.delivered("1.2.3.1.1")
	for _, uid := range []string{"1.2.3.1.1", "1.2.3.1.2", "1.2.3.2.1", "9.9.9.1.1"} {
		s.archive.has[uid] = true
	}
	s.record("association.unfinished", map[string]any{"association": "A1", "archive": "pacs", "began": began.Format(time.RFC3339Nano)})
	s.archive.away = dimse.ErrAway
	if r := s.now(); r.Cut.Open != 1 || r.Well() {
		t.Errorf("away: %+v", r)
	}
	s.archive.away = nil
	r := s.now()
	if !r.Well() || r.Cut.Associations != 1 || r.Cut.Studies != 1 || r.Cut.Instances != 3 || r.Cut.Unrecorded != 2 {
		t.Errorf("%+v", r)
	}
	told := s.kinds("association.accounted")
	if len(told) != 1 || told[0]["unrecorded"] != 2.0 || len(told[0]["sop_instance_uids"].([]any)) != 2 {
		t.Errorf("%v", told)
	}
	if r := s.now(); r.Cut.Associations != 0 {
		t.Errorf("again: %+v", r)
	}
}

// A visit over the web is asked about as an association is.
func TestAVisitCutShortIsAccountedFor(t *testing.T) {
	s := open(t)
	s.record("transfer.begin", map[string]any{"visit": "V1", "direction": "sent", "peer": "pacs", "study": "1.2.3"})
	s.archive.has["1.2.3.1.1"] = true
	s.record("visit.unfinished", map[string]any{"visit": "V1", "archive": "pacs", "began": time.Now().UTC().Format(time.RFC3339Nano)})
	if r := s.now(); !r.Well() || r.Cut.Unrecorded != 1 {
		t.Errorf("%+v", r)
	}
	if told := s.kinds("association.accounted"); len(told) != 1 || told[0]["visit"] != "V1" || told[0]["association"] != nil {
		t.Errorf("%v", told)
	}
}

// keep puts an object into the spool of an archive.
func (s *site) keep(uid, archive string) custody.Object {
	s.t.Helper()
	b := s.custody.NewBuffer()
	defer b.Discard()
	fmt.Fprint(b, "the bytes of "+uid)
	o, err := s.custody.Keep(s.t.Context(), b, custody.Object{
		State: custody.Spooled, Archive: archive, CallingAE: "CT1", SOPInstanceUID: uid, SOPClassUID: string(dicom.CTImageStorage),
		StudyInstanceUID: "1.2.3", SeriesInstanceUID: "1.2.3.1", TransferSyntaxUID: string(dicom.ExplicitVRLittleEndian),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return o
}

// What an archive has lost is delivered again, where the same bytes still wait for another archive.
func TestWhatIsStillHereIsDueAgain(t *testing.T) {
	s := open(t)
	first := s.keep("1.2.3.1.1", "pacs")
	s.keep("1.2.3.1.1", "teaching")
	if err := s.custody.InFlight(t.Context(), first.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.custody.Delivered(t.Context(), first.ID, 0); err != nil {
		t.Fatal(err)
	}
	r := s.now()
	if !r.Well() || r.Archives[0].Requeued != 1 {
		t.Errorf("%+v", r)
	}
	all, err := s.custody.List(t.Context(), custody.Filter{States: []custody.State{custody.Spooled}, Archive: "pacs"})
	if err != nil || len(all) != 1 {
		t.Fatalf("%v, %v", all, err)
	}
	blob, err := s.custody.OpenBlob(t.Context(), all[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	defer blob.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(blob); err != nil || text.String() != "the bytes of 1.2.3.1.1" {
		t.Errorf("%q, %v", text.String(), err)
	}
}

func TestAnObjectOnTheLedgerThatCustodyDoesNotKnow(t *testing.T) {
	s := open(t)
	s.keep("1.2.3.1.1", "pacs")
	s.record("object.held", map[string]any{"id": "06gzzzzzzzzzzzzzzzzzzzzzzz", "archive": "pacs", "sop_instance_uid": "1.2.3.1.9"})
	s.record("object.spooled", map[string]any{"id": "06gyyyyyyyyyyyyyyyyyyyyyyy", "archive": "other", "sop_instance_uid": "1.2.3.1.8"})
	s.record("object.delivered", map[string]any{"id": "06gyyyyyyyyyyyyyyyyyyyyyyy", "archive": "other", "sop_instance_uid": "1.2.3.1.8"}) // its row was pruned
	if r := s.now(); r.Custody.Unaccounted != 1 || !r.Alarming() {
		t.Errorf("%+v", r)
	}
	if told := s.kinds("object.unaccounted"); len(told) != 1 || told[0]["sop_instance_uid"] != "1.2.3.1.9" {
		t.Errorf("%v", told)
	}
}

// A run that is not done in its time goes on in the next, and asks nothing twice.
func TestARunIsBoundedInTime(t *testing.T) {
	s := open(t)
	for n := range 30 {
		uid := fmt.Sprintf("1.2.%d.1.1", n)
		s.archive.has[uid] = true
		s.delivered(uid)
	}
	s.config.Window = 3
	s.config.Limit = time.Nanosecond
	if r := s.now(); !r.Unfinished || r.Well() {
		t.Errorf("%+v", r)
	}
	s.config.Limit = 0
	if r := s.now(); !r.Well() || s.archive.asked != 30 {
		t.Errorf("%d questions: %+v", s.archive.asked, r)
	}
}

// An archive that answers too slowly for a window of the ledger in one run is
// asked about fewer records at a time, and what was missing before has its turn
// in each run.
func TestASlowArchiveIsAccountedForInTheEnd(t *testing.T) {
	s := open(t)
	s.delivered("1.1.1.1") // lost
	s.now()
	if n := len(s.kinds("object.missing")); n != 1 {
		t.Fatalf("%d alarms", n)
	}
	s.archive.has["1.1.1.1"] = true // and sent again
	for n := range 100 {
		uid := fmt.Sprintf("1.2.%d.1.1", n)
		s.archive.has[uid] = true
		s.delivered(uid)
	}
	s.archive.slow, s.config.Limit = 10*time.Millisecond, 1600*time.Millisecond // some 40 questions in half of it
	r := s.reconciler()
	first, err := r.Now(t.Context())
	if err != nil || !first.Unfinished || first.Archives[0].Back != 1 {
		t.Errorf("%+v, %v", first, err)
	}
	for range 10 {
		if next, err := r.Now(t.Context()); err != nil || next.Well() {
			return
		}
	}
	t.Error("it never comes to an end")
}
