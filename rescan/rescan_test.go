package rescan_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"cordon/custody"
	"cordon/dicom"
	"cordon/engine"
	"cordon/finding"
	"cordon/inspect/compose"
	"cordon/judge"
	"cordon/ledger"
	"cordon/policy"
	"cordon/rescan"
	"cordon/store"
)

// fakeEngine calls every piece that begins with "infected" malicious, and can be
// down, or unable to scan.
type fakeEngine struct {
	mu         sync.Mutex
	up         bool
	unable     bool
	signatures string
	scans      int
}

func (e *fakeEngine) set(change func(*fakeEngine)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change(e)
}

func (e *fakeEngine) Name() string { return "fake" }
func (e *fakeEngine) Signatures(context.Context) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.signatures
}
func (e *fakeEngine) State(ctx context.Context) engine.State {
	s := e.Signatures(ctx)
	e.mu.Lock()
	defer e.mu.Unlock()
	return engine.State{Name: "fake", Up: e.up, Signatures: s}
}
func (e *fakeEngine) Scan(ctx context.Context, r io.Reader, size int64) finding.EngineResult {
	piece, _ := io.ReadAll(r)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.scans++
	answer := finding.EngineResult{Name: "fake", Signatures: e.signatures, Result: finding.Clean}
	switch {
	case !e.up || e.unable:
		answer.Result = finding.Unscanned
	case bytes.Contains(piece, []byte("infected")):
		answer.Result, answer.Detail = finding.ResultMalicious, "Test.Virus"
	}
	return answer
}

// site is a data directory with everything open.
type site struct {
	t       *testing.T
	dir     string
	db      *store.DB
	ledger  *ledger.Ledger
	custody *custody.Custody
	judge   *judge.Judge
	engine  *fakeEngine
	rescan  *rescan.Rescan
	paused  func() bool
	monitor bool // the device is in monitor mode
}

func open(t *testing.T, dir string, change ...func(*rescan.Config)) *site {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	s := &site{t: t, dir: dir, engine: &fakeEngine{signatures: "v1"}, paused: func() bool { return false }}
	var err error
	s.db, err = store.OpenDB(t.Context(), filepath.Join(dir, "cordon.db"), []store.Migrations{ledger.Migrations(), custody.Migrations(), rescan.Migrations()})
	must(err)
	t.Cleanup(func() { s.db.Close() })
	s.ledger, err = ledger.Open(t.Context(), s.db, filepath.Join(dir, "ledger.key"), "test")
	must(err)
	s.custody, err = custody.Open(t.Context(), s.db, dir, s.ledger, custody.Options{Memory: 4 << 10, Shared: -1})
	must(err)
	s.judge = judge.New(judge.Config{Rules: policy.DefaultRules(), Engines: []judge.Engine{s.engine}})
	c := rescan.Config{Dir: filepath.Join(dir, "rescan"), Rules: policy.DefaultRules(), Poll: 5 * time.Millisecond}
	for _, f := range change {
		f(&c)
	}
	s.rescan, err = rescan.Open(t.Context(), c, rescan.Parts{DB: s.db, Custody: s.custody, Ledger: s.ledger, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	must(err)
	return s
}

// run rescans until the test, or the function returned, ends it.
func (s *site) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- s.rescan.Run(ctx, rescan.Work{Judge: s.judge, Paused: func() bool { return s.paused() }, Engines: func(ctx context.Context) (string, bool) {
			st := s.engine.State(ctx)
			return st.Signatures, st.Up
		}})
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
	})
	s.t.Cleanup(stop)
	return stop
}

// object is a CT image with a private value, as a message carries it.
func object(value string) (data []byte, o custody.Object) {
	im := compose.CT(32, 32)
	compose.PrivateOB.Put(im, []byte(value))
	return im.DataSet(), custody.Object{
		Device: "ct-1", CallingAE: "CT1", CalledAE: "CORDON", Archive: "pacs",
		SOPClassUID: string(im.SOPClass), SOPInstanceUID: string(im.Instance),
		StudyInstanceUID: string(im.Study), SeriesInstanceUID: string(im.Series),
		TransferSyntaxUID: string(dicom.ExplicitVRLittleEndian),
	}
}

// deliver does with an object what the gateway does: judges it, and leaves a copy.
func (s *site) deliver(value string) custody.Object { return s.pass(value, false) }

func (s *site) pass(value string, bypassed bool) custody.Object {
	s.t.Helper()
	data, o := object(value)
	b := s.custody.NewBuffer()
	defer b.Discard()
	jm := s.judge.Begin(judge.Source{TransferSyntax: dicom.UID(o.TransferSyntaxUID), SOPClassUID: dicom.UID(o.SOPClassUID), SOPInstanceUID: dicom.UID(o.SOPInstanceUID), Monitor: s.monitor, Bypass: bypassed})
	if _, err := io.MultiWriter(b, jm).Write(data); err != nil {
		s.t.Fatal(err)
	}
	report, d := jm.Finish(s.t.Context())
	if d.Verdict != finding.Admit {
		s.t.Fatalf("%+v", d)
	}
	o.ID, o.Bytes, o.SHA256, o.Engines, o.Findings = b.ID(), report.Bytes, report.SHA256, report.Engines, report.Findings
	s.rescan.Keep(b, o, bypassed)
	return o
}

func (s *site) status() rescan.Status {
	s.t.Helper()
	st, err := s.rescan.Status(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return st
}

func (s *site) recorded(kind string) []map[string]any {
	s.t.Helper()
	if err := s.ledger.Record(s.t.Context(), "test.flush", nil); err != nil {
		s.t.Fatal(err)
	}
	var out []map[string]any
	err := s.ledger.Tail(s.t.Context(), 10000, func(r ledger.Record) error {
		if r.Kind != kind {
			return nil
		}
		var body map[string]any
		err := json.Unmarshal(r.Body, &body)
		out = append(out, body)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func (s *site) eventually(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
	}
	s.t.Fatalf("not within 15 s: %s; %+v", what, s.status())
}

func (s *site) files() int {
	s.t.Helper()
	files, err := os.ReadDir(filepath.Join(s.dir, "rescan"))
	if err != nil {
		s.t.Fatal(err)
	}
	return len(files)
}

func TestUnscannedObjectIsRescannedWhenTheEngineIsBack(t *testing.T) {
	s := open(t, t.TempDir())
	s.deliver("harmless value of some length")
	hostile := s.deliver("infected value of some length")
	if st := s.status(); st.Waiting != 2 || s.files() != 2 {
		t.Fatalf("%+v, %d files", st, s.files())
	}
	s.run()
	scans := 0
	time.Sleep(100 * time.Millisecond)
	s.engine.set(func(e *fakeEngine) { scans = e.scans })
	time.Sleep(100 * time.Millisecond)
	s.engine.set(func(e *fakeEngine) {
		if e.scans != scans {
			t.Error("scanned over and over while the engine was down")
		}
		e.up = true
	})
	s.eventually("the end of both copies", func() bool { return s.status().Waiting == 0 })
	if s.files() != 0 || len(s.recorded("object.rescanned")) != 1 {
		t.Errorf("%d files, %v", s.files(), s.recorded("object.rescanned"))
	}
	late := s.recorded("object.late_hit")
	if len(late) != 1 || late[0]["device"] != "ct-1" || late[0]["calling_ae"] != "CT1" || late[0]["archive"] != "pacs" ||
		late[0]["study_instance_uid"] != hostile.StudyInstanceUID || late[0]["sop_instance_uid"] != hostile.SOPInstanceUID {
		t.Errorf("%v", late)
	}
	hits, err := s.rescan.Hits(t.Context(), false)
	if err != nil || len(hits) != 1 || hits[0].ID != hostile.ID || hits[0].Engines[0].Detail != "Test.Virus" {
		t.Fatalf("%+v, %v", hits, err)
	}
	s.evidence(hits[0], hostile)
}

// evidence is in the vault, with the bytes that were delivered.
func (s *site) evidence(h rescan.Hit, o custody.Object) {
	s.t.Helper()
	blob, err := s.custody.OpenBlob(s.t.Context(), h.VaultID)
	if err != nil {
		s.t.Fatal(err)
	}
	defer blob.Close()
	if _, err := io.Copy(io.Discard, blob); err != nil {
		s.t.Error(err)
	}
	if held, err := s.custody.Get(s.t.Context(), h.VaultID); err != nil || held.State != custody.Held || held.SHA256 != o.SHA256 {
		s.t.Errorf("%+v, %v", held, err)
	}
}

func TestRecallIsAcknowledgedByAPerson(t *testing.T) {
	s := open(t, t.TempDir())
	o := s.deliver("infected value of some length")
	s.engine.set(func(e *fakeEngine) { e.up = true })
	s.run()
	s.eventually("a late hit", func() bool { return s.status().Recalls == 1 })
	if err := s.rescan.Done(t.Context(), o.ID, "", "gone"); !errors.Is(err, custody.ErrRequest) {
		t.Errorf("nobody: %v", err)
	}
	if err := s.rescan.Done(t.Context(), o.ID, "Ada Ashe", " "); !errors.Is(err, custody.ErrRequest) {
		t.Errorf("no reason: %v", err)
	}
	if err := s.rescan.Done(t.Context(), "another", "Ada Ashe", "gone"); !errors.Is(err, custody.ErrNotFound) {
		t.Errorf("another: %v", err)
	}
	if err := s.rescan.Done(t.Context(), o.ID, "Ada Ashe", "deleted in the archive"); err != nil {
		t.Fatal(err)
	}
	if err := s.rescan.Done(t.Context(), o.ID, "Ada Ashe", "again"); !errors.Is(err, custody.ErrNotFound) {
		t.Errorf("twice: %v", err)
	}
	hits, err := s.rescan.Hits(t.Context(), true)
	if err != nil || len(hits) != 1 || hits[0].DoneBy != "Ada Ashe" || s.status().Recalls != 0 || len(s.recorded("recall.done")) != 1 {
		t.Errorf("%+v, %v", hits, err)
	}
}

func TestCopiesSurviveARestart(t *testing.T) {
	s := open(t, t.TempDir())
	large := s.deliver("infected" + string(bytes.Repeat([]byte(" and large"), 1000)))
	s.db.Close() // writes what is queued
	s = open(t, s.dir)
	if st := s.status(); st.Waiting != 1 || st.WaitingBytes != large.Bytes {
		t.Fatalf("%+v", st)
	}
	s.engine.set(func(e *fakeEngine) { e.up = true })
	s.run()
	s.eventually("a late hit", func() bool { return s.status().Recalls == 1 })
}

// What a crash takes is said.
func TestCopiesThatACrashTookAreNotRescannable(t *testing.T) {
	s := open(t, t.TempDir())
	gone := s.deliver("harmless value of some length")
	s.db.Close()
	if err := os.Rename(filepath.Join(s.dir, "rescan", gone.ID), filepath.Join(s.dir, "rescan", "00000000000000000000000000")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "rescan", "notes.txt"), nil, 0o600); err != nil { // somebody's own
		t.Fatal(err)
	}
	s = open(t, s.dir)
	if st := s.status(); st.Waiting != 0 || st.NotRescannable != 2 || s.files() != 1 {
		t.Errorf("%+v, %d files", st, s.files())
	}
	if n := len(s.recorded("object.not_rescannable")); n != 2 {
		t.Errorf("%d records", n)
	}
}

func TestOverQuotaIsAnAlarm(t *testing.T) {
	s := open(t, t.TempDir(), func(c *rescan.Config) { c.MaxObjects = 1 })
	s.run()
	s.deliver("harmless value of some length")
	over := s.deliver("harmless value of other length")
	s.eventually("the loss on the ledger", func() bool { return len(s.recorded("object.not_rescannable")) == 1 })
	if r := s.recorded("object.not_rescannable")[0]; r["sop_instance_uid"] != over.SOPInstanceUID || r["reason"] == "" {
		t.Errorf("%v", r)
	}
	if st := s.status(); st.Waiting != 1 || st.NotRescannable != 1 || s.files() != 1 {
		t.Errorf("%+v", st)
	}
	if err := s.rescan.Done(t.Context(), rescan.NotRescannable, "Ada Ashe", "asked the modality to send again"); err != nil || s.status().NotRescannable != 0 {
		t.Errorf("%v, %+v", err, s.status())
	}
	if err := s.rescan.Done(t.Context(), rescan.NotRescannable, "Ada Ashe", "again"); err == nil {
		t.Error("nothing was there to acknowledge")
	}
	bytes := open(t, t.TempDir(), func(c *rescan.Config) { c.MaxBytes = 100 })
	bytes.deliver("harmless value of some length")
	if st := bytes.status(); st.Waiting != 0 || st.NotRescannable != 1 {
		t.Errorf("%+v", st)
	}
}

// An engine that answers and cannot scan an object is not asked about it over
// and over.
func TestWhatAnEngineCannotScanWaits(t *testing.T) {
	s := open(t, t.TempDir())
	s.deliver("value of some length that is over a limit")
	s.engine.set(func(e *fakeEngine) { e.up, e.unable, e.scans = true, true, 0 })
	s.run()
	count := func() (n int) {
		s.engine.set(func(e *fakeEngine) { n = e.scans })
		return n
	}
	s.eventually("an attempt", func() bool { return count() > 0 })
	time.Sleep(100 * time.Millisecond)
	after := count()
	s.engine.set(func(e *fakeEngine) { e.signatures = "v2" }) // flapping signatures make no hot loop either
	time.Sleep(200 * time.Millisecond)
	if count() != after || s.status().Waiting != 1 {
		t.Errorf("%d scans after %d, %+v", count(), after, s.status())
	}
}

func TestNothingIsRescannedDuringABypass(t *testing.T) {
	s := open(t, t.TempDir())
	var mu sync.Mutex
	on := true
	s.paused = func() bool { mu.Lock(); defer mu.Unlock(); return on }
	s.pass("infected value of some length", true)
	s.engine.set(func(e *fakeEngine) { e.up = true })
	s.run()
	time.Sleep(100 * time.Millisecond)
	if st := s.status(); st.Waiting != 1 || st.Recalls != 0 {
		t.Errorf("%+v", st)
	}
	mu.Lock()
	on = false
	mu.Unlock()
	s.eventually("a late hit after the bypass", func() bool { return s.status().Recalls == 1 })
}

// It waits for its archive: it is held, not recalled.
func TestHitInTheSpoolIsHeldInstead(t *testing.T) {
	s := open(t, t.TempDir())
	data, o := object("infected value of some length")
	b := s.custody.NewBuffer()
	b.Write(data)
	o.State = custody.Spooled
	kept, err := s.custody.Keep(t.Context(), b, o)
	if err != nil {
		t.Fatal(err)
	}
	s.rescan.Keep(b, kept, false)
	b.Discard()
	s.engine.set(func(e *fakeEngine) { e.up = true })
	s.run()
	s.eventually("the end of the copy", func() bool { return s.status().Waiting == 0 })
	if got, err := s.custody.Get(t.Context(), kept.ID); err != nil || got.State != custody.Held || s.status().Recalls != 0 {
		t.Errorf("%+v, %v, %+v", got, err, s.status())
	}
}

// Taking the engine out of the configuration scans nothing.
func TestEngineThatIsGoneHasFoundNothingClean(t *testing.T) {
	s := open(t, t.TempDir())
	s.deliver("infected value of some length")
	s.judge = judge.New(judge.Config{Rules: policy.DefaultRules()})
	s.engine.set(func(e *fakeEngine) { e.up = true })
	s.run()
	s.eventually("the loss on the ledger", func() bool { return len(s.recorded("object.not_rescannable")) == 1 })
	if n := len(s.recorded("object.rescanned")); n != 0 {
		t.Error("called clean without a scan")
	}
}

func TestDamagedCopyIsSaid(t *testing.T) {
	s := open(t, t.TempDir())
	o := s.deliver("harmless value of some length")
	if err := os.Truncate(filepath.Join(s.dir, "rescan", o.ID), 300); err != nil {
		t.Fatal(err)
	}
	s.engine.set(func(e *fakeEngine) { e.up = true })
	s.run()
	s.eventually("the loss on the ledger", func() bool { return len(s.recorded("object.not_rescannable")) == 1 })
	if st := s.status(); st.Waiting != 0 || st.NotRescannable != 1 || s.files() != 0 {
		t.Errorf("%+v", st)
	}
}

// What a bypass let through although inspection objects is a late hit; what
// monitor mode delivered knowingly is none.
func TestBypassedObjectIsJudgedInFull(t *testing.T) {
	program := string(compose.WindowsProgram())
	s := open(t, t.TempDir())
	bypassed := s.pass(program, true)
	s.monitor = true
	s.pass(program, false)
	s.engine.set(func(e *fakeEngine) { e.up = true })
	s.run()
	s.eventually("the end of both copies", func() bool { return s.status().Waiting == 0 })
	hits, err := s.rescan.Hits(t.Context(), false)
	if err != nil || len(hits) != 1 || hits[0].ID != bypassed.ID || len(s.recorded("object.rescanned")) != 1 {
		t.Errorf("%+v, %v", hits, err)
	}
}

// However many are lost before any can be recorded, memory is bounded and none
// is forgotten.
func TestLossesAreCountedWhenTheyCannotBeNamed(t *testing.T) {
	s := open(t, t.TempDir(), func(c *rescan.Config) { c.MaxBytes = 1 })
	b := s.custody.NewBuffer()
	defer b.Discard()
	const n = 10_003
	for range n {
		s.rescan.Keep(b, custody.Object{Bytes: 100}, false)
	}
	if st := s.status(); st.NotRescannable != n {
		t.Errorf("%+v", st)
	}
	s.run()
	s.eventually("all on the ledger", func() bool {
		r := s.recorded("object.not_rescannable")
		return len(r) > 0 && r[len(r)-1]["objects"] != nil
	})
	if st := s.status(); st.NotRescannable != n {
		t.Errorf("%+v", st)
	}
}
