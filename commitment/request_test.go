package commitment_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"cordon/commitment"
	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/commit"
	"cordon/dicom/dimse"
)

func TestTheSameTransactionTwice(t *testing.T) {
	s := open(t, t.TempDir(), patience)
	for range 3 {
		if status := s.want(t, ct1, "2.25.1", "1.2", "1.1", "1.1"); status != dimse.Success {
			t.Fatalf("status %04X", uint16(status))
		}
	}
	if status := s.want(t, ct1, "2.25.1", "1.1"); status != dimse.InvalidArgumentValue {
		t.Errorf("another request under the same transaction: status %04X", uint16(status))
	}
	other := ct1
	other.Device, other.Calling = "ct-2", "CT2"
	if status := s.want(t, other, "2.25.1", "1.9"); status != dimse.Success {
		t.Errorf("another device's transaction: status %04X", uint16(status))
	}
	h := &hospital{}
	s.run(t, h)
	for _, a := range h.awaitAsked(t, 2) {
		s.answer(t, "pacs", commit.Report{TransactionUID: a.TransactionUID, Committed: a.References})
	}
	h.awaitReports(t, 2)
	s.awaitKinds(t, "reported", 2)
	// Once it has been reported, the device asks anew: the report may be lost.
	if status := s.want(t, ct1, "2.25.1", "1.1", "1.2"); status != dimse.Success {
		t.Errorf("after the report: status %04X", uint16(status))
	}
	a := h.awaitAsked(t, 3)[2]
	s.answer(t, "pacs", commit.Report{TransactionUID: a.TransactionUID, Committed: a.References})
	if got := h.awaitReports(t, 3)[2]; got.TransactionUID != "2.25.1" || len(got.Committed) != 2 {
		t.Errorf("%+v", got)
	}
}

func TestRequestsThatAreNotTaken(t *testing.T) {
	config := patience
	config.MaxOpen = 2
	s := open(t, t.TempDir(), config)
	if status, err := s.c.Action(t.Context(), ct1, bytes.NewReader([]byte("rubbish")), dicom.ImplicitVRLittleEndian); status != dimse.InvalidArgumentValue || err == nil {
		t.Errorf("rubbish: %04X, %v", uint16(status), err)
	}
	for i, want := range []dimse.Status{dimse.Success, dimse.Success, dimse.ResourceLimitation} {
		if status := s.want(t, ct1, fmt.Sprintf("2.25.%d", i+1), "1.1"); status != want {
			t.Errorf("request %d: status %04X", i, uint16(status))
		}
	}
	if status := s.want(t, ct1, "2.25.1", "1.1"); status != dimse.Success {
		t.Errorf("one that is open, again: status %04X", uint16(status))
	}
	s.db.Close()
	if status := s.want(t, ct1, "2.25.9", "1.1"); status != dimse.ProcessingFailure {
		t.Errorf("no database: status %04X", uint16(status))
	}
}

// slow sends a part of a long request and then nothing.
type slow struct {
	sent  int
	began chan struct{}
	end   <-chan struct{}
}

func (s *slow) Read(p []byte) (int, error) {
	if s.sent < 300<<10 {
		clear(p)
		if s.sent == 0 {
			copy(p, "\x08\x00\x05\x00\xf0\xff\xff\xff") // a value of 4 GiB
		}
		s.sent += len(p)
		return len(p), nil
	}
	s.began <- struct{}{}
	<-s.end
	return 0, errors.New("gone")
}

func TestSlowSendersKeepNobodyWaiting(t *testing.T) {
	s := open(t, t.TempDir(), patience)
	began, end := make(chan struct{}, 10), make(chan struct{})
	done := make(chan struct{}, 10)
	for range 4 {
		go func() { // ends with end
			s.c.Action(t.Context(), ct1, &slow{began: began, end: end}, dicom.ImplicitVRLittleEndian)
			done <- struct{}{}
		}()
	}
	for range 4 {
		<-began
	}
	if status := s.want(t, ct1, "2.25.1", "1.1"); status != dimse.Success {
		t.Errorf("status %04X", uint16(status))
	}
	close(end)
	for range 4 {
		<-done
	}
}

// The largest request there is, in a few questions, and one report.
func TestHundredThousandInstances(t *testing.T) {
	config := patience
	config.Batch = 20_000
	s := open(t, t.TempDir(), config)
	instances := make([]string, commit.MaxReferences)
	for i := range instances {
		instances[i] = fmt.Sprintf("1.2.%d", i)
	}
	begin := time.Now()
	if status := s.want(t, ct1, "2.25.1", instances...); status != dimse.Success {
		t.Fatalf("status %04X", uint16(status))
	}
	t.Logf("taken in %v", time.Since(begin))
	h := &hospital{}
	s.run(t, h)
	for n, done := 0, 0; done < len(instances); n++ {
		for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
			h.mu.Lock()
			ready := len(h.asked) > n
			h.mu.Unlock()
			if ready {
				break
			}
			if time.Now().After(end) {
				t.Fatal("not asked within a minute")
			}
		}
		a := h.awaitAsked(t, n+1)[n]
		if status := s.answer(t, "pacs", commit.Report{TransactionUID: a.TransactionUID, Committed: a.References}); status != dimse.Success {
			t.Fatalf("status %04X", uint16(status))
		}
		done += len(a.References)
	}
	if got := h.awaitReports(t, 1)[0]; len(got.Committed) != len(instances) {
		t.Errorf("%d committed", len(got.Committed))
	}
	t.Logf("reported after %v", time.Since(begin))
}

func TestReportIsTriedUntilItIsGivenUp(t *testing.T) {
	s := open(t, t.TempDir(), patience)
	h := &hospital{device: func(commit.Report) (dimse.Status, error) { return 0, errors.New("connection refused") }}
	stop := s.run(t, h)
	s.want(t, ct1, "2.25.1", "1.1")
	a := h.awaitAsked(t, 1)[0]
	s.answer(t, "pacs", commit.Report{TransactionUID: a.TransactionUID, Committed: a.References})
	h.awaitReports(t, 3)
	s.endTerms(t)
	var items []commitment.Item
	for end := time.Now().Add(5 * time.Second); len(items) == 0 || items[0].State != "given_up"; time.Sleep(5 * time.Millisecond) {
		var err error
		if items, err = s.c.List(t.Context()); err != nil || time.Now().After(end) {
			t.Fatalf("%+v, %v", items, err)
		}
	}
	stop()
	if st, err := s.c.Status(t.Context()); err != nil || st.GivenUp != 1 || st.Open+st.Reporting != 0 {
		t.Errorf("%+v, %v", st, err)
	}
	if k := s.kinds(t); k[len(k)-1] != "given_up" {
		t.Errorf("ledger: %q", k)
	}
	if err := s.c.Retry(t.Context(), items[0].ID, custody.Request{By: "Ada Ashe"}); !errors.Is(err, custody.ErrRequest) {
		t.Errorf("without a reason: %v", err)
	}
	why := custody.Request{By: "Ada Ashe", Reason: "its port was wrong"}
	if err := s.c.Retry(t.Context(), 77, why); !errors.Is(err, commitment.ErrNotFound) {
		t.Errorf("no such: %v", err)
	}
	if err := s.c.Retry(t.Context(), items[0].ID, why); err != nil {
		t.Fatal(err)
	}
	again := &hospital{}
	s.run(t, again)
	if got := again.awaitReports(t, 1)[0]; len(got.Committed) != 1 {
		t.Errorf("%+v", got)
	}
	if k := s.kinds(t); !slices.Contains(k, "retried") {
		t.Errorf("ledger: %q", k)
	}
}

func TestDroppedIsNeverReported(t *testing.T) {
	s := open(t, t.TempDir(), patience)
	s.want(t, ct1, "2.25.1", "1.1")
	items, err := s.c.List(t.Context())
	if err != nil || len(items) != 1 {
		t.Fatalf("%+v, %v", items, err)
	}
	if err := s.c.Drop(t.Context(), items[0].ID, custody.Request{By: "Ada Ashe", Reason: "the device is gone"}); err != nil {
		t.Fatal(err)
	}
	h := &hospital{}
	s.run(t, h)
	h.never(t, 0, "dropped")
	if len(h.asked) != 0 {
		t.Errorf("asked %+v", h.asked)
	}
}

// A device that comes while it is called in vain is told now as well.
func TestDeviceThatComesWhileItIsCalledIsToldNow(t *testing.T) {
	config := patience
	config.RetryMin, config.RetryMax = time.Hour, time.Hour
	s := open(t, t.TempDir(), config)
	came := false
	h := &hospital{}
	h.device = func(commit.Report) (dimse.Status, error) {
		if came { // guarded by h.mu
			return dimse.Success, nil
		}
		came = true
		return 0, errors.Join(errors.New("no port"), s.c.Present(t.Context(), ct1))
	}
	s.run(t, h)
	s.want(t, ct1, "2.25.1", "1.1")
	a := h.awaitAsked(t, 1)[0]
	s.answer(t, "pacs", commit.Report{TransactionUID: a.TransactionUID, Committed: a.References})
	h.awaitReports(t, 2)
}

// A device that is there hears at once what waited for it.
func TestPresentDeviceIsToldNow(t *testing.T) {
	config := patience
	config.RetryMin, config.RetryMax = time.Hour, time.Hour
	s := open(t, t.TempDir(), config)
	gone := true
	h := &hospital{}
	h.device = func(commit.Report) (dimse.Status, error) {
		if gone { // guarded by h.mu
			return 0, errors.New("no port")
		}
		return dimse.Success, nil
	}
	s.run(t, h)
	s.want(t, ct1, "2.25.1", "1.1")
	a := h.awaitAsked(t, 1)[0]
	s.answer(t, "pacs", commit.Report{TransactionUID: a.TransactionUID, Committed: a.References})
	h.awaitReports(t, 1)
	time.Sleep(50 * time.Millisecond)
	h.mu.Lock()
	gone = false
	h.mu.Unlock()
	if err := s.c.Present(t.Context(), ct1); err != nil {
		t.Fatal(err)
	}
	h.awaitReports(t, 2)
}
