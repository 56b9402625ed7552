package commitment_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"cordon/commitment"
	"cordon/dicom/commit"
	"cordon/dicom/dimse"
	"cordon/store"
)

// reopen leaves the database as a crash would, and opens all again.
func (s site) reopen(t *testing.T, config commitment.Config) site {
	t.Helper()
	s.db.Close()
	return open(t, s.dir, config)
}

func TestRestartAtEveryPoint(t *testing.T) {
	s := open(t, t.TempDir(), patience)
	s.want(t, ct1, "2.25.1", "1.1")

	// Answered, and nothing done yet.
	s = s.reopen(t, patience)
	silent := &hospital{ask: func(string, commit.Action) (dimse.Status, error) {
		return 0, errors.New("the process dies while it waits")
	}}
	stop := s.run(t, silent)
	first := silent.awaitAsked(t, 1)[0]
	stop()

	// Asked, and no answer heard: it is asked again.
	s = s.reopen(t, patience)
	h := &hospital{device: func(commit.Report) (dimse.Status, error) { return 0, errors.New("not now") }}
	stop = s.run(t, h)
	second := h.awaitAsked(t, 1)[0]
	if second.TransactionUID == first.TransactionUID {
		t.Error("asked again in the same transaction: some archives refuse that")
	}
	stop()

	// Asked, its answer comes to the next process.
	s = s.reopen(t, patience)
	if status := s.answer(t, "pacs", commit.Report{TransactionUID: second.TransactionUID, Committed: second.References}); status != dimse.Success {
		t.Fatalf("status %04X", uint16(status))
	}

	// Resolved, and the device was not reached.
	s = s.reopen(t, patience)
	h = &hospital{device: func(commit.Report) (dimse.Status, error) { return 0, errors.New("not now") }}
	stop = s.run(t, h)
	h.awaitReports(t, 1)
	if len(h.asked) != 0 {
		t.Errorf("what is settled was asked again: %+v", h.asked)
	}
	stop()

	s = s.reopen(t, patience)
	h = &hospital{}
	stop = s.run(t, h)
	if got := h.awaitReports(t, 1)[0]; len(got.Committed) != 1 || len(got.Failed) != 0 {
		t.Errorf("%+v", got)
	}
	stop()

	// Reported: not again.
	s = s.reopen(t, patience)
	h = &hospital{}
	s.run(t, h)
	h.never(t, 0, "it was reported before")
}

// An archive may have reported while nobody listened, and most do so once: it is
// asked again soon after a start.
func TestReportMissedByARestart(t *testing.T) {
	s := open(t, t.TempDir(), patience)
	h := &hospital{}
	stop := s.run(t, h)
	s.want(t, ct1, "2.25.1", "1.1")
	first := h.awaitAsked(t, 1)[0]
	h.never(t, 0, "the archive has not answered")
	stop()
	config := patience
	config.Restart = 20 * time.Millisecond
	s = s.reopen(t, config)
	h = &hospital{}
	s.run(t, h)
	if second := h.awaitAsked(t, 1)[0]; second.TransactionUID == first.TransactionUID || len(second.References) != 1 {
		t.Errorf("%+v", second)
	}
}

// A process may die after an archive's last answer is durable, and before the
// request is known to have all its answers.
func TestAnswerThatWasTheLastOne(t *testing.T) {
	s := open(t, t.TempDir(), patience)
	s.want(t, ct1, "2.25.1", "1.1")
	err := s.db.Update(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.Exec(`UPDATE commitment_references SET state = 'committed'`); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE commitment_requests SET next_attempt = until`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	s = s.reopen(t, patience)
	h := &hospital{}
	s.run(t, h)
	if got := h.awaitReports(t, 1)[0]; len(got.Committed) != 1 {
		t.Errorf("%+v", got)
	}
}

// However often the work is woken, a device hears of a request once.
func TestReportedOnceHoweverOftenWoken(t *testing.T) {
	const n = 300
	s := open(t, t.TempDir(), patience)
	h := &hospital{}
	s.run(t, h)
	woken, stop := context.WithCancel(t.Context())
	var waking sync.WaitGroup
	waking.Go(func() { // ends with stop
		for woken.Err() == nil {
			s.c.Wake()
		}
	})
	for i := range n {
		s.want(t, ct1, fmt.Sprintf("2.25.%d", i+1), "1.1")
	}
	for _, a := range h.awaitAsked(t, n) {
		s.answer(t, "pacs", commit.Report{TransactionUID: a.TransactionUID, Committed: a.References})
	}
	h.awaitReports(t, n)
	time.Sleep(50 * time.Millisecond)
	stop()
	waking.Wait()
	if got := len(h.awaitReports(t, n)); got != n {
		t.Errorf("%d reports of %d requests", got, n)
	}
}
