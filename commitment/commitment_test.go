package commitment_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"cordon/commitment"
	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/commit"
	"cordon/dicom/dimse"
	"cordon/ledger"
	"cordon/store"
)

// site is one data directory.
type site struct {
	dir string
	db  *store.DB
	l   *ledger.Ledger
	cu  *custody.Custody
	c   *commitment.Commitment
}

var patience = commitment.Config{RetryMin: 5 * time.Millisecond, RetryMax: 20 * time.Millisecond, Poll: 5 * time.Millisecond, Pause: time.Millisecond, Restart: time.Hour}

func open(t *testing.T, dir string, config commitment.Config) site {
	t.Helper()
	db, err := store.OpenDB(t.Context(), filepath.Join(dir, "cordon.db"),
		[]store.Migrations{ledger.Migrations(), custody.Migrations(), commitment.Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := store.MakeDir(filepath.Join(dir, "keys")); err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(t.Context(), db, filepath.Join(dir, "keys", "ledger.key"), "test")
	if err != nil {
		t.Fatal(err)
	}
	cu, err := custody.Open(t.Context(), db, dir, l, custody.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := commitment.Open(t.Context(), config, commitment.Parts{DB: db, Custody: cu, Journal: l, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return site{dir, db, l, cu, c}
}

// keep puts an object of ct-1 into custody.
func (s site) keep(t *testing.T, instance string, state custody.State) custody.Object {
	t.Helper()
	b := s.cu.NewBuffer()
	defer b.Discard()
	fmt.Fprint(b, "object ", instance)
	o, err := s.cu.Keep(t.Context(), b, custody.Object{State: state, Archive: "pacs", Device: "ct-1", CallingAE: "CT1", SOPClassUID: string(dicom.CTImageStorage), SOPInstanceUID: instance})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// people let two of them decide.
func people(t *testing.T, id string, decide func(context.Context, string, custody.Request) (custody.Decision, error)) {
	t.Helper()
	for _, name := range []string{"Ada Ashe", "Bob Birch"} {
		if _, err := decide(t.Context(), id, custody.Request{By: name, Reason: "test"}); err != nil {
			t.Fatal(err)
		}
	}
}

var ct1 = commitment.Requestor{Association: "a1", Device: "ct-1", Calling: "CT1", Called: "CORDON", Address: netip.MustParseAddr("127.0.0.21"), Archives: []string{"pacs"}}

func refs(instances ...string) (all []commit.Reference) {
	for _, uid := range instances {
		all = append(all, commit.Reference{SOPClassUID: dicom.CTImageStorage, SOPInstanceUID: dicom.UID(uid)})
	}
	return all
}

// want asks for commitment as a device does.
func (s site) want(t *testing.T, who commitment.Requestor, transaction string, instances ...string) dimse.Status {
	t.Helper()
	var b bytes.Buffer
	if err := (commit.Action{TransactionUID: dicom.UID(transaction), References: refs(instances...)}).Write(&b, dicom.ExplicitVRLittleEndian); err != nil {
		t.Fatal(err)
	}
	status, _ := s.c.Action(t.Context(), who, &b, dicom.ExplicitVRLittleEndian)
	return status
}

// answer is an archive's N-EVENT-REPORT.
func (s site) answer(t *testing.T, archive string, r commit.Report) dimse.Status {
	t.Helper()
	var b bytes.Buffer
	if err := r.Write(&b, dicom.ImplicitVRLittleEndian); err != nil {
		t.Fatal(err)
	}
	status, _ := s.c.Reported(t.Context(), archive, r.EventType(), &b, dicom.ImplicitVRLittleEndian)
	return status
}

// hospital is a scripted network: archives that answer as told, devices that
// note what they hear.
type hospital struct {
	ask    func(archive string, a commit.Action) (dimse.Status, error) // nil: success
	device func(r commit.Report) (dimse.Status, error)                 // nil: success

	mu      sync.Mutex
	asked   []commit.Action
	asks    map[string]int // by archive
	reports []commit.Report
	to      []commitment.Requestor
}

func (h *hospital) Ask(_ context.Context, archive string, actions []commit.Action, _ <-chan struct{}, answered func(int, dimse.Status)) error {
	for i, a := range actions {
		h.mu.Lock()
		h.asked = append(h.asked, a)
		if h.asks == nil {
			h.asks = map[string]int{}
		}
		h.asks[archive]++
		h.mu.Unlock()
		status, err := dimse.Success, error(nil)
		if h.ask != nil {
			status, err = h.ask(archive, a)
		}
		if err != nil {
			return err
		}
		answered(i, status)
	}
	return nil
}

func (h *hospital) Report(_ context.Context, to commitment.Requestor, r commit.Report) (dimse.Status, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.to, h.reports = append(h.to, to), append(h.reports, r)
	if h.device != nil {
		return h.device(r)
	}
	return dimse.Success, nil
}

// run works until stop, or the test's end.
func (s site) run(t *testing.T, h *hospital) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.c.Run(ctx, h) }() // ends with stop
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// await waits until the hospital is as it should be.
func (h *hospital) await(t *testing.T, what string, is func() bool) {
	t.Helper()
	growing(t, what, 1, func() (n int) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if is() {
			n = 1
		}
		return n
	})
}

// growing waits until there are n, as long as they become more.
func growing(t *testing.T, what string, n int, count func() int) {
	t.Helper()
	most := 0
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		is := count()
		if is >= n {
			return
		}
		if is > most {
			most, end = is, time.Now().Add(10*time.Second)
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %d of %d, and no more within 10 s", what, is, n)
		}
	}
}

func (h *hospital) awaitAsked(t *testing.T, n int) []commit.Action {
	t.Helper()
	growing(t, "questions", n, func() int {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.asked)
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.asked)
}

func (h *hospital) awaitReports(t *testing.T, n int) []commit.Report {
	t.Helper()
	growing(t, "reports", n, func() int {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.reports)
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.reports)
}

// never checks that no more than n reports were made, nor are for a while.
func (h *hospital) never(t *testing.T, n int, why string) {
	t.Helper()
	time.Sleep(100 * time.Millisecond)
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.reports) > n {
		t.Fatalf("%s: reported %+v", why, h.reports[n:])
	}
}

func reasons(r commit.Report) map[dicom.UID]uint16 {
	out := map[dicom.UID]uint16{}
	for _, f := range r.Failed {
		out[f.SOPInstanceUID] = f.Reason
	}
	return out
}

func (s site) kinds(t *testing.T) (all []string) {
	t.Helper()
	err := s.db.View(t.Context(), func(tx *store.Tx) error {
		rows, err := tx.Query(`SELECT data FROM ledger_records ORDER BY seq`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var line []byte
			if err := rows.Scan(&line); err != nil {
				return err
			}
			_, rest, _ := bytes.Cut(line, []byte(`"kind":"commitment.`))
			if kind, _, ok := bytes.Cut(rest, []byte(`"`)); ok {
				all = append(all, string(kind))
			}
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// endTerms is as if the terms of all requests had passed.
func (s site) endTerms(t *testing.T) {
	t.Helper()
	err := s.db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE commitment_requests SET until = ?1, next_attempt = min(next_attempt, ?1)`, time.Now().Add(-time.Second).UnixMicro())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// awaitKinds waits until n records of a kind are on the ledger.
func (s site) awaitKinds(t *testing.T, kind string, n int) {
	t.Helper()
	growing(t, "records of "+kind, n, func() (found int) {
		for _, k := range s.kinds(t) {
			if k == kind {
				found++
			}
		}
		return found
	})
}

func TestSuccessOnlyAfterTheArchiveHasCommitted(t *testing.T) {
	s := open(t, t.TempDir(), patience)
	h := &hospital{}
	s.run(t, h)
	if status := s.want(t, ct1, "2.25.1", "1.1", "1.2"); status != dimse.Success {
		t.Fatalf("status %04X", uint16(status))
	}
	asked := h.awaitAsked(t, 1)[0]
	if asked.TransactionUID == "2.25.1" || len(asked.References) != 2 {
		t.Errorf("asked the archive %+v", asked)
	}
	s.awaitKinds(t, "forwarded", 1)
	h.never(t, 0, "the archive has only taken the question")
	if status := s.answer(t, "pacs", commit.Report{TransactionUID: asked.TransactionUID, Committed: asked.References}); status != dimse.Success {
		t.Fatalf("status %04X", uint16(status))
	}
	got := h.awaitReports(t, 1)[0]
	if got.TransactionUID != "2.25.1" || len(got.Committed) != 2 || got.EventType() != commit.Successful || h.to[0].Called != "CORDON" || h.to[0].Calling != "CT1" {
		t.Errorf("%+v to %+v", got, h.to[0])
	}
	s.awaitKinds(t, "reported", 1)
	h.never(t, 1, "reported twice")
	if k := s.kinds(t); !slices.Equal(k, []string{"asked", "forwarded", "answered", "reported"}) {
		t.Errorf("ledger: %q", k)
	}
}

func TestHeldFailsAtOnceAndIsToldTheTruthAfterItsRelease(t *testing.T) {
	s := open(t, t.TempDir(), patience)
	held := s.keep(t, "1.1", custody.Held)
	h := &hospital{}
	s.run(t, h)
	s.want(t, ct1, "2.25.1", "1.1", "1.2")
	asked := h.awaitAsked(t, 1)[0]
	if len(asked.References) != 1 || asked.References[0].SOPInstanceUID != "1.2" {
		t.Fatalf("the archive was asked for %+v", asked.References)
	}
	// The archive says more than it was asked for.
	s.answer(t, "pacs", commit.Report{TransactionUID: asked.TransactionUID, Committed: refs("1.1", "1.2", "1.3")})
	got := h.awaitReports(t, 1)[0]
	if len(got.Committed) != 1 || reasons(got)["1.1"] != 0x0110 || got.EventType() != commit.FailuresExist {
		t.Fatalf("%+v", got)
	}

	people(t, held.ID, s.cu.Release)
	s.want(t, ct1, "2.25.2", "1.1")
	h.never(t, 1, "released, and not delivered yet")
	if err := s.cu.InFlight(t.Context(), held.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.cu.Delivered(t.Context(), held.ID, 0); err != nil {
		t.Fatal(err)
	}
	asked = h.awaitAsked(t, 2)[1]
	s.answer(t, "pacs", commit.Report{TransactionUID: asked.TransactionUID, Committed: asked.References})
	if got := h.awaitReports(t, 2)[1]; len(got.Committed) != 1 || len(got.Failed) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestSpooledWaitsAndRefusedFails(t *testing.T) {
	s := open(t, t.TempDir(), patience)
	waits, refused := s.keep(t, "1.1", custody.Spooled), s.keep(t, "1.2", custody.Spooled)
	gone := s.keep(t, "1.3", custody.Held)
	people(t, gone.ID, s.cu.Destroy)
	if err := s.cu.Failed(t.Context(), refused.ID, custody.Failure{Err: errors.New("no"), Status: 0x0122, Permanent: true}); err != nil {
		t.Fatal(err)
	}
	h := &hospital{}
	s.run(t, h)
	s.want(t, ct1, "2.25.1", "1.1", "1.2", "1.3")
	h.never(t, 0, "one waits in the spool")
	if err := s.cu.InFlight(t.Context(), waits.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.cu.Delivered(t.Context(), waits.ID, 0); err != nil {
		t.Fatal(err)
	}
	asked := h.awaitAsked(t, 1)[0]
	s.answer(t, "pacs", commit.Report{TransactionUID: asked.TransactionUID, Committed: asked.References})
	got := h.awaitReports(t, 1)[0]
	if len(got.Committed) != 1 || got.Committed[0].SOPInstanceUID != "1.1" || reasons(got)["1.2"] != 0x0122 || reasons(got)["1.3"] != 0x0112 {
		t.Errorf("%+v", got)
	}
}

func TestWhatAnotherDeviceSentIsNotLookedUp(t *testing.T) {
	s := open(t, t.TempDir(), patience)
	s.keep(t, "1.1", custody.Held)
	h := &hospital{}
	s.run(t, h)
	other := ct1
	other.Device, other.Calling = "us-3", "US3"
	s.want(t, other, "2.25.1", "1.1")
	asked := h.awaitAsked(t, 1)[0]
	s.answer(t, "pacs", commit.Report{TransactionUID: asked.TransactionUID, Failed: []commit.Failure{{Reference: asked.References[0], Reason: 0x0112}}})
	if got := h.awaitReports(t, 1)[0]; reasons(got)["1.1"] != 0x0112 {
		t.Errorf("%+v", got)
	}
}

// What is held on its way out of an archive says nothing about what the device
// sent: the archive has its copy.
func TestHeldOnItsWayToTheDeviceIsAskedOfTheArchive(t *testing.T) {
	s := open(t, t.TempDir(), patience)
	b := s.cu.NewBuffer()
	defer b.Discard()
	fmt.Fprint(b, "object 1.1")
	if _, err := s.cu.Keep(t.Context(), b, custody.Object{
		State: custody.Held, Archive: "device/ct-1", Device: "ct-1", CallingAE: "PACS", CalledAE: "CT1",
		SOPClassUID: string(dicom.CTImageStorage), SOPInstanceUID: "1.1",
	}); err != nil {
		t.Fatal(err)
	}
	h := &hospital{}
	s.run(t, h)
	s.want(t, ct1, "2.25.1", "1.1")
	asked := h.awaitAsked(t, 1)[0]
	s.answer(t, "pacs", commit.Report{TransactionUID: asked.TransactionUID, Committed: asked.References})
	if got := h.awaitReports(t, 1)[0]; len(got.Committed) != 1 {
		t.Errorf("%+v", got)
	}
}

func TestAnswersThatWereNotAskedForChangeNothing(t *testing.T) {
	s := open(t, t.TempDir(), patience)
	h := &hospital{}
	s.run(t, h)
	s.want(t, ct1, "2.25.1", "1.1", "1.2")
	asked := h.awaitAsked(t, 1)[0]
	for name, try := range map[string]struct {
		archive string
		report  commit.Report
	}{
		"another transaction":      {"pacs", commit.Report{TransactionUID: "2.25.99", Committed: asked.References}},
		"the device's transaction": {"pacs", commit.Report{TransactionUID: "2.25.1", Committed: asked.References}},
		"another archive":          {"vna", commit.Report{TransactionUID: asked.TransactionUID, Committed: asked.References}},
	} {
		if status := s.answer(t, try.archive, try.report); status != dimse.InvalidArgumentValue {
			t.Errorf("%s: status %04X", name, uint16(status))
		}
	}
	if status, _ := s.c.Reported(t.Context(), "pacs", 3, bytes.NewReader(nil), dicom.ImplicitVRLittleEndian); status != dimse.NoSuchEventType {
		t.Errorf("event type 3: status %04X", uint16(status))
	}
	if status, _ := s.c.Reported(t.Context(), "pacs", 1, bytes.NewReader([]byte("rubbish!")), dicom.ImplicitVRLittleEndian); status != dimse.InvalidArgumentValue {
		t.Errorf("rubbish: status %04X", uint16(status))
	}
	s.answer(t, "pacs", commit.Report{TransactionUID: asked.TransactionUID, Committed: refs("1.7", "1.1")})
	h.never(t, 0, "a subset was answered")
	wrong := commit.Reference{SOPClassUID: dicom.MRImageStorage, SOPInstanceUID: "1.2"}
	s.answer(t, "pacs", commit.Report{TransactionUID: asked.TransactionUID, Committed: []commit.Reference{wrong}})
	got := h.awaitReports(t, 1)[0]
	if len(got.Committed) != 1 || reasons(got)["1.2"] != 0x0119 {
		t.Errorf("%+v", got)
	}
	// The same again, and later: it is taken, and changes nothing.
	if status := s.answer(t, "pacs", commit.Report{TransactionUID: asked.TransactionUID, Committed: asked.References}); status != dimse.Success {
		t.Errorf("again: status %04X", uint16(status))
	}
}

func TestAnswerCountsForItsOwnTransactionAlone(t *testing.T) {
	config := patience
	config.Batch = 1
	s := open(t, t.TempDir(), config)
	h := &hospital{}
	s.run(t, h)
	s.want(t, ct1, "2.25.1", "1.1", "1.2")
	asked := h.awaitAsked(t, 2)
	s.answer(t, "pacs", commit.Report{TransactionUID: asked[0].TransactionUID, Committed: refs("1.1", "1.2")})
	h.never(t, 0, "1.2 was asked for in another transaction")
	s.answer(t, "pacs", commit.Report{TransactionUID: asked[1].TransactionUID, Failed: []commit.Failure{{Reference: asked[1].References[0], Reason: 0x0112}}})
	if got := h.awaitReports(t, 1)[0]; len(got.Committed) != 1 || len(got.Failed) != 1 {
		t.Errorf("%+v", got)
	}
}

func TestFailureOutweighsSuccessInOneReport(t *testing.T) {
	s := open(t, t.TempDir(), patience)
	h := &hospital{}
	s.run(t, h)
	s.want(t, ct1, "2.25.1", "1.1")
	asked := h.awaitAsked(t, 1)[0]
	s.answer(t, "pacs", commit.Report{TransactionUID: asked.TransactionUID, Committed: asked.References,
		Failed: []commit.Failure{{Reference: asked.References[0], Reason: 0x0213}}})
	if got := h.awaitReports(t, 1)[0]; len(got.Committed) != 0 || reasons(got)["1.1"] != 0x0213 {
		t.Errorf("%+v", got)
	}
}

// What is held while its report waits for the device is not committed any more.
func TestHeldMeanwhileIsNoSuccess(t *testing.T) {
	s := open(t, t.TempDir(), patience)
	gone := true
	h := &hospital{}
	h.device = func(commit.Report) (dimse.Status, error) {
		if gone { // guarded by h.mu
			return 0, errors.New("connection refused")
		}
		return dimse.Success, nil
	}
	s.run(t, h)
	s.want(t, ct1, "2.25.1", "1.1", "1.2")
	asked := h.awaitAsked(t, 1)[0]
	s.answer(t, "pacs", commit.Report{TransactionUID: asked.TransactionUID, Committed: asked.References})
	h.awaitReports(t, 1)
	s.keep(t, "1.2", custody.Held)
	h.mu.Lock()
	gone = false
	n := len(h.reports)
	h.mu.Unlock()
	all := h.awaitReports(t, n+1)
	if got := all[len(all)-1]; len(got.Committed) != 1 || reasons(got)["1.2"] != 0x0110 {
		t.Errorf("%+v", got)
	}
}

func TestEveryArchiveMustCommit(t *testing.T) {
	s := open(t, t.TempDir(), patience)
	h := &hospital{}
	s.run(t, h)
	who := ct1
	who.Archives = []string{"pacs", "vna"}
	s.want(t, who, "2.25.1", "1.1", "1.2")
	h.await(t, "both archives", func() bool { return h.asks["pacs"] == 1 && h.asks["vna"] == 1 })
	for _, a := range h.awaitAsked(t, 2) {
		for _, archive := range []string{"pacs", "vna"} { // one of them was asked in this transaction
			r := commit.Report{TransactionUID: a.TransactionUID, Committed: a.References}
			if archive == "vna" {
				r.Committed, r.Failed = refs("1.1"), []commit.Failure{{Reference: refs("1.2")[0], Reason: 0x0112}}
			}
			s.answer(t, archive, r)
		}
	}
	got := h.awaitReports(t, 1)[0]
	if len(got.Committed) != 1 || reasons(got)["1.2"] != 0x0112 {
		t.Errorf("%+v", got)
	}
}

func TestArchiveThatDoesNotDoIt(t *testing.T) {
	for name, ask := range map[string]func(string, commit.Action) (dimse.Status, error){
		"context refused": func(string, commit.Action) (dimse.Status, error) { return 0, commitment.ErrUnsupported },
		"0211H":           func(string, commit.Action) (dimse.Status, error) { return dimse.UnrecognizedOperation, nil },
	} {
		s := open(t, t.TempDir(), patience)
		h := &hospital{ask: ask}
		s.run(t, h)
		s.want(t, ct1, "2.25.1", "1.1", "1.2")
		got := h.awaitReports(t, 1)[0]
		if len(got.Committed) != 0 || reasons(got)["1.1"] != 0x0110 || reasons(got)["1.2"] != 0x0110 {
			t.Errorf("%s: %+v", name, got)
		}
		if st, err := s.c.Status(t.Context()); err != nil || len(st.Troubles) != 1 || !st.Troubles[0].Refuses {
			t.Errorf("%s: %+v, %v", name, st, err)
		}
	}
}

func TestArchiveThatIsAwayIsWaitedFor(t *testing.T) {
	s := open(t, t.TempDir(), patience)
	var away sync.Mutex
	down := true
	h := &hospital{ask: func(string, commit.Action) (dimse.Status, error) {
		away.Lock()
		defer away.Unlock()
		if down {
			return 0, errors.New("connection refused")
		}
		return dimse.Success, nil
	}}
	s.run(t, h)
	s.want(t, ct1, "2.25.1", "1.1")
	first := h.awaitAsked(t, 3)
	h.never(t, 0, "the archive is away")
	away.Lock()
	down = false
	away.Unlock()
	h.await(t, "a question that is taken", func() bool { return len(h.asked) > len(first) })
	time.Sleep(50 * time.Millisecond)
	all := h.awaitAsked(t, 1)
	// Even the answer to a question whose own answer was lost counts.
	s.answer(t, "pacs", commit.Report{TransactionUID: all[0].TransactionUID, Committed: all[0].References})
	if got := h.awaitReports(t, 1)[0]; len(got.Committed) != 1 {
		t.Errorf("%+v", got)
	}
}

func TestArchiveThatNeverReports(t *testing.T) {
	config := patience
	config.Answer = 30 * time.Millisecond
	s := open(t, t.TempDir(), config)
	h := &hospital{}
	s.run(t, h)
	s.want(t, ct1, "2.25.1", "1.1")
	asked := h.awaitAsked(t, 2)
	if asked[0].TransactionUID == asked[1].TransactionUID {
		t.Error("asked again in the same transaction")
	}
	s.endTerms(t)
	if got := h.awaitReports(t, 1)[0]; reasons(got)["1.1"] != 0x0110 {
		t.Errorf("%+v", got)
	}
}

func TestNoArchiveTakesPart(t *testing.T) {
	s := open(t, t.TempDir(), patience)
	h := &hospital{}
	s.run(t, h)
	who := ct1
	who.Archives = nil
	s.want(t, who, "2.25.1", "1.1")
	if got := h.awaitReports(t, 1)[0]; reasons(got)["1.1"] != 0x0110 {
		t.Errorf("%+v", got)
	}
}
