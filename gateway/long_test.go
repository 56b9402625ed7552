package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
)

// longStep is a data set of n bytes and a little more.
func longStep(t *testing.T, n int) []byte {
	t.Helper()
	syntax, _ := dicom.LookupTransferSyntax(dicom.ImplicitVRLittleEndian)
	var b bytes.Buffer
	w := dicom.NewWriter(&b, syntax)
	w.String(dicom.TagPatientID, dicom.LO, "4711")
	w.String(0x40000010, dicom.LT, strings.Repeat("long ", n/10)+" ")
	w.String(0x40004000, dicom.LT, strings.Repeat("text ", n/10)+" ")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var (
	setStep    = dimse.Command{Field: dimse.NSetRQ, RequestedSOPClassUID: dicom.UnifiedProcedureStepPush, RequestedSOPInstanceUID: "1.2"}
	manyAtOnce = ul.Request{Contexts: []ul.ProposedContext{implicitly(1, dicom.UnifiedProcedureStepPush)}, Async: &ul.AsyncWindow{Invoked: 8, Performed: 1}}
)

func (h *house) longPlaces() int { return len(h.gateway.long.all) }

// However many send long messages at a time, no more are in memory than there are
// places; short ones pass them by, and all are answered in the end.
func TestLongMessagesHaveAFixedNumberOfPlaces(t *testing.T) {
	const places = 3
	long, short := longStep(t, 2*shortMessage), longStep(t, shortMessage/2)
	var mu sync.Mutex
	under, most, arrived := 0, 0, make(chan struct{}, 100)
	proceed := make(chan struct{})
	p := newScriptedPeer(t, func(p *scriptedPeer) {
		p.serve = func(x *dimse.Exchange, m *dimse.Message, data []byte) {
			if len(data) > shortMessage {
				mu.Lock()
				under++
				most = max(most, under)
				mu.Unlock()
				arrived <- struct{}{}
				<-proceed
				mu.Lock()
				under--
				mu.Unlock()
			}
			x.Respond(context.Background(), m, dimse.Command{}, nil)
		}
	})
	h := behind(t, p, func(c *Config) { c.QueryTimeout = 30 * time.Second })
	h.gateway.long = newLongMessages(places, places)
	var asking sync.WaitGroup
	for range 4 {
		c := h.calls(t, manyAtOnce, 0)
		for range 4 {
			asking.Go(func() {
				if got := last(c.ask(1, setStep, long)); got.Command.Status != dimse.Success {
					t.Errorf("%+v", got.Command)
				}
			})
		}
	}
	for range places {
		<-arrived
	}
	if got := last(h.calls(t, manyAtOnce, 0).ask(1, setStep, short)); got.Command.Status != dimse.Success {
		t.Errorf("a short one: %+v", got.Command)
	}
	close(proceed)
	asking.Wait()
	if most != places || len(arrived) != 16-places {
		t.Errorf("%d at a time, want %d; %d more arrived", most, places, len(arrived))
	}
	eventually(t, "all places free", func() bool { return h.longPlaces() == 0 })
}

// A place comes back when its message is cut off, too long, or met by a fault of
// ours, when the other side goes away, and when none could be waited for.
func TestPlacesComeBack(t *testing.T) {
	long := longStep(t, 2*shortMessage)
	p := newScriptedPeer(t, func(p *scriptedPeer) { p.serve = func(*dimse.Exchange, *dimse.Message, []byte) {} })
	h := behind(t, p, func(c *Config) { c.QueryTimeout = 300 * time.Millisecond })
	h.gateway.long = newLongMessages(1, 1)
	l := h.gateway.long
	free := func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.all) == 0 && len(l.senders) == 0
	}
	taken := func() bool { return len(l.all) == 1 }
	refused := func(data []byte, why dimse.Status) {
		t.Helper()
		got := last(h.calls(t, manyAtOnce, 0).ask(1, setStep, data)).Command
		if got.Status != dimse.ProcessingFailure || got.ErrorID == nil || *got.ErrorID != uint16(why) {
			t.Errorf("want error %04X: %+v", uint16(why), got)
		}
		eventually(t, "free after a refusal", free)
	}

	refused(long, statusBroken) // nobody answers
	refused(make([]byte, maxMessage+2), statusTooLong)

	c := h.calls(t, manyAtOnce, 0)
	cut := make(chan struct{})
	var sending sync.WaitGroup
	sending.Go(func() {
		rest := readerFunc(func([]byte) (int, error) { <-cut; return 0, errors.New("cut off") })
		c.Conn().Send(context.Background(), 1, setStep, io.MultiReader(bytes.NewReader(long), rest))
	})
	eventually(t, "a place taken", taken)
	got := last(h.calls(t, manyAtOnce, 0).ask(1, setStep, long)).Command
	if got.ErrorID == nil || *got.ErrorID != uint16(statusTooMany) {
		t.Errorf("without a place: %+v", got)
	}
	c.Conn().Abort()
	close(cut)
	sending.Wait()
	eventually(t, "free after an abort in the middle", free)

	h.gateway.parts.Bypassed = func(string, string) bool { panic("a fault") }
	if op, err := h.calls(t, manyAtOnce, 0).Begin(t.Context(), 1, setStep, bytes.NewReader(long)); err == nil {
		op.Next(t.Context())
	}
	eventually(t, "free after a fault", func() bool { return free() && h.gateway.counts.panics.Load() == 1 })
}

// readerFunc makes a reader of a function.
type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// One sender does not take all places, and who gives up waiting has none.
func TestNoSenderTakesAllPlaces(t *testing.T) {
	l := newLongMessages(3, 2)
	over, cancel := context.WithCancelCause(t.Context())
	cancel(errNoPlace)
	enter := func(name string, want bool) func() {
		t.Helper()
		ctx := t.Context()
		if !want {
			ctx = over
		}
		giveBack, err := l.enter(ctx, name)
		if (err == nil) != want || !want && !errors.Is(err, errNoPlace) {
			t.Fatalf("%s: %v", name, err)
		}
		return giveBack
	}
	first := enter("a", true)
	enter("a", true)
	enter("a", false)
	other := enter("b", true)
	enter("b", false)
	enter("c", false)
	first()
	first()
	if len(l.all) != 2 {
		t.Errorf("%d places taken, want 2", len(l.all))
	}
	enter("c", true)
	other()
	if len(l.senders) != 2 {
		t.Errorf("%d senders remembered, want 2", len(l.senders))
	}
}

// Nothing is read of an identifier beyond what may pass, unless everything passes.
func TestLongIdentifier(t *testing.T) {
	long := longStep(t, 150<<10)
	for _, monitor := range []bool{false, true} {
		h := behind(t, newScriptedPeer(t, nil), func(c *Config) { c.Site.Devices[0].Monitor = monitor })
		c := h.calls(t, ul.Request{Contexts: []ul.ProposedContext{implicitly(1, findClass)}}, 0)
		want := map[bool]dimse.Status{false: statusTooLong, true: dimse.Success}[monitor]
		if got := last(c.ask(1, findRQ, long)).Command; got.Status != want {
			t.Errorf("monitor %v: %+v", monitor, got)
		}
		eventually(t, "its place free", func() bool { return h.longPlaces() == 0 }) // a moment after the response
	}
}
