package console

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cordon/commitment"
	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/commit"
	"cordon/dicom/dimse"
	"cordon/ledger"
	"cordon/mpps"
	"cordon/store"
)

// refuser is an archive that refuses every step, and does no storage commitment.
type refuser struct{}

func (refuser) Send(context.Context, mpps.Message) (dimse.Status, error) {
	return dimse.DuplicateSOPInstance, nil
}

func (refuser) Ask(context.Context, string, []commit.Action, <-chan struct{}, func(int, dimse.Status)) error {
	return commitment.ErrUnsupported
}

func (refuser) Report(context.Context, commitment.Requestor, commit.Report) (dimse.Status, error) {
	return 0, fmt.Errorf("connection refused")
}

// waitingSite is a console of which a request for commitment and two messages
// about a procedure step wait.
func waitingSite(t *testing.T) (*Console, string) {
	t.Helper()
	ctx, dir := t.Context(), t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	db, err := store.OpenDB(ctx, filepath.Join(dir, "cordon.db"), []store.Migrations{ledger.Migrations(), custody.Migrations(), commitment.Migrations(), mpps.Migrations()})
	must(err)
	t.Cleanup(func() { db.Close() })
	l, err := ledger.Open(ctx, db, filepath.Join(dir, "ledger.key"), "test")
	must(err)
	cu, err := custody.Open(ctx, db, dir, l, custody.Options{})
	must(err)
	log := slog.New(slog.DiscardHandler)
	co, err := commitment.Open(ctx, commitment.Config{RetryMin: time.Millisecond, RetryMax: time.Millisecond, Poll: time.Millisecond, Pause: time.Millisecond},
		commitment.Parts{DB: db, Custody: cu, Journal: l, Log: log})
	must(err)
	steps, err := mpps.Open(ctx, mpps.Config{Poll: time.Millisecond}, mpps.Parts{DB: db, Custody: cu, Journal: l, Log: log})
	must(err)
	var info bytes.Buffer
	must(commit.Action{TransactionUID: "2.25.1", References: []commit.Reference{{SOPClassUID: dicom.CTImageStorage, SOPInstanceUID: "2.25.2"}}}.Write(&info, dicom.ImplicitVRLittleEndian))
	_, err = co.Action(ctx, commitment.Requestor{Device: "ct-1", Calling: "CT1", Called: "CORDON", Address: netip.MustParseAddr("127.0.0.1"), Archives: []string{"pacs"}}, &info, dicom.ImplicitVRLittleEndian)
	must(err)
	for _, create := range []bool{true, false} {
		must(steps.Keep(ctx, mpps.Message{Upstream: "ris", Device: "ct-1", Calling: "CT1", Create: create, SOPInstanceUID: "2.25.3", TransferSyntaxUID: dicom.ImplicitVRLittleEndian, Data: []byte("PLAY^Titania")}))
	}
	run, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- co.Run(run, refuser{}) }()    // ends with cancel
	go func() { done <- steps.Run(run, refuser{}) }() // ends with cancel
	t.Cleanup(func() { cancel(); <-done; <-done })
	c := New(Config{Flow: func(context.Context) (Flow, error) { return Flow{Accepting: true, Since: time.Now()}, nil }},
		Parts{Custody: cu, Ledger: l, Commitment: co, Steps: steps})
	return c, serve(t, ctx, c.API())
}

func TestWhatWaitsForAPeerIsSaidAndDecided(t *testing.T) {
	c, api := waitingSite(t)
	var s Status
	for end := time.Now().Add(10 * time.Second); s.Steps.Stuck == 0 || s.Commitment.Reporting == 0; time.Sleep(5 * time.Millisecond) {
		var err error
		if s, err = c.status(t.Context()); err != nil || time.Now().After(end) {
			t.Fatalf("%+v, %v", s, err)
		}
	}
	if says := strings.Join(s.Says, "\n"); !strings.Contains(says, "Kept until their archive is back: 1 message about procedure steps") {
		t.Errorf("that it waits is not said:\n%s", says)
	}
	s.Says = nil
	s.judge(s.Steps.Oldest) // as long as it took to come here does not matter
	says := strings.Join(s.Says, "\n")
	for _, sentence := range []string{
		"Archive pacs does not do storage commitment for Cordon",
		"An archive refused 1 message about procedure steps: a person must decide (cordon step list).",
		"Kept until their archive is back: 1 message about procedure steps, the oldest for 0 s.",
	} {
		if !strings.Contains(says, sentence) {
			t.Errorf("%q is not said:\n%s", sentence, says)
		}
	}
	if s.Level != Degraded {
		t.Errorf("level %s", s.Level)
	}
	late := s
	late.Commitment.GivenUp, late.Commitment.Oldest = 2, time.Now().Add(-50*time.Hour)
	late.judge(time.Now())
	if says := strings.Join(late.Says, "\n"); !strings.Contains(says, "The answer to 2 requests for storage commitment could not be given") || !strings.Contains(says, "Devices wait for the answer to 1 request for storage commitment, the oldest for 2 days") {
		t.Error(says)
	}
	for i, step := range []struct {
		method, path, body string
		code               int
		says               string
	}{
		{"GET", "commitment", "", 200, `"transaction_uid":"2.25.1"`},
		{"GET", "step", "", 200, `"operation":"N-CREATE"`},
		{"POST", "step/1/drop", `{"by":"ann","reason":""}`, 400, "why?"},
		{"POST", "step/x/drop", `{"by":"ann","reason":"r"}`, 400, "not a number"},
		{"POST", "step/99/drop", `{"by":"ann","reason":"r"}`, 404, "no such message"},
		{"POST", "step/1/drop", `{"by":"ann","reason":"r"}`, 200, `"done":true`},
		{"POST", "step/1/drop", `{"by":"ann","reason":"r"}`, 404, "no such message"},
		{"POST", "commitment/9/retry", `{"by":"ann","reason":"r"}`, 404, "no such request"},
		{"POST", "commitment/1/retry", `{"by":"ann","reason":"r"}`, 200, `"done":true`},
		{"POST", "commitment/1/drop", `{"by":"ann","reason":"r"}`, 200, `"done":true`},
	} {
		code, text := fetch(t, step.method, api+"/api/v1/"+step.path, step.body)
		if code != step.code || !strings.Contains(text, step.says) || strings.Contains(text, "Titania") {
			t.Errorf("step %d: %d %s", i, code, text)
		}
	}
	if code, text := fetch(t, http.MethodGet, api+"/api/v1/commitment", ""); code != 200 || text != "" {
		t.Errorf("%d %s", code, text)
	}
}
