package gateway

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/mpps"
)

const step = dicom.ModalityPerformedProcedureStep

// keeping opens a house that keeps messages about procedure steps, in front of p.
func keeping(t *testing.T, p *scriptedPeer) (*house, *mpps.Spool) {
	t.Helper()
	var s *mpps.Spool
	h := open(t, t.TempDir(), behindConfig(p), func(h *house, parts *Parts) {
		var err error
		s, err = mpps.Open(t.Context(), mpps.Config{RetryMin: 10 * time.Millisecond, RetryMax: 50 * time.Millisecond, Poll: 10 * time.Millisecond},
			mpps.Parts{DB: parts.DB, Custody: parts.Custody, Journal: parts.Ledger, Log: parts.Log})
		if err != nil {
			t.Fatal(err)
		}
		parts.Steps = s
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx, h.gateway.StepNetwork()) }) // ends with cancel
	t.Cleanup(func() { cancel(); running.Wait() })
	return h, s
}

func create(uid dicom.UID) dimse.Command {
	return dimse.Command{Field: dimse.NCreateRQ, AffectedSOPClassUID: step, AffectedSOPInstanceUID: uid}
}

func set(uid dicom.UID) dimse.Command {
	return dimse.Command{Field: dimse.NSetRQ, RequestedSOPClassUID: step, RequestedSOPInstanceUID: uid}
}

func (p *scriptedPeer) steps() (all []string) {
	for _, e := range p.received() {
		switch e.command.Field {
		case dimse.NCreateRQ:
			all = append(all, "create "+string(e.command.AffectedSOPInstanceUID))
		case dimse.NSetRQ:
			all = append(all, "set "+string(e.command.RequestedSOPInstanceUID))
		}
	}
	return all
}

var stepContexts = ul.Request{Contexts: []ul.ProposedContext{implicitly(1, step)}}

func TestStepsAreRelayedWhileTheArchiveIsThere(t *testing.T) {
	p := newScriptedPeer(t, func(p *scriptedPeer) {
		p.serve = func(x *dimse.Exchange, m *dimse.Message, _ []byte) {
			status := dimse.Success
			if m.Command.Field == dimse.NSetRQ {
				status = dimse.ProcessingFailure
			}
			x.Respond(context.Background(), m, dimse.Command{Status: status}, nil)
		}
	})
	h, s := keeping(t, p)
	c := h.calls(t, stepContexts, 0)
	if rsp := last(c.ask(1, create("1.1"), identifier(t, false))).Command; rsp.Status != dimse.Success || rsp.AffectedSOPInstanceUID != "1.1" {
		t.Errorf("%+v", rsp)
	}
	if rsp := last(c.ask(1, set("1.1"), identifier(t, false))).Command; rsp.Status != dimse.ProcessingFailure {
		t.Errorf("the archive's own refusal: %+v", rsp)
	}
	if s.Waiting("pacs", "1.1") {
		t.Error("what was answered is kept")
	}
}

func TestStepsAreKeptWhileTheArchiveIsAway(t *testing.T) {
	p := newScriptedPeer(t, nil)
	h, s := keeping(t, p)
	h.calls(t, stepContexts, 0).Conn().Release(t.Context()) // what it accepts is remembered
	p.down()
	c := h.calls(t, stepContexts, 0)
	data := identifier(t, false)
	for _, rq := range []dimse.Command{create("1.1"), create("1.2"), set("1.1"), set("1.1")} {
		if rsp := last(c.ask(1, rq, data)).Command; rsp.Status != dimse.Success {
			t.Fatalf("%v: status %04X", rq.Field, uint16(rsp.Status))
		}
	}
	if rsp := last(c.ask(1, create(""), data)).Command; rsp.Status.Class() != dimse.ClassFailure {
		t.Errorf("one that names no instance: status %04X", uint16(rsp.Status))
	}
	if rsp := last(c.ask(1, create("1.3"), identifier(t, true))).Command; rsp.Status.Class() != dimse.ClassFailure || s.Waiting("pacs", "1.3") {
		t.Errorf("a hostile one: status %04X", uint16(rsp.Status))
	}
	if !s.Waiting("pacs", "1.1") || len(h.recorded("step.kept")) != 4 {
		t.Error("not kept")
	}
	back := newScriptedPeerAt(t, p.address, nil)
	eventually(t, "all delivered", func() bool { return !s.Waiting("pacs", "1.1") && !s.Waiting("pacs", "1.2") })
	got := back.steps()
	if len(got) != 4 || slices.Index(got, "create 1.1") > slices.Index(got, "set 1.1") || !bytes.Equal(back.received()[0].data, data) {
		t.Errorf("%q", got)
	}
	for i := range len(got) {
		if rq := back.request(i); rq.Calling != "CT1" {
			t.Errorf("delivered by %s", rq.Calling)
		}
	}
}

// The archive hangs up in the middle of an N-CREATE: nobody knows whether it has
// been performed. It is kept, and a duplicate then is a success.
func TestStepWithoutAnAnswerIsKept(t *testing.T) {
	var once sync.Once
	p := newScriptedPeer(t, func(p *scriptedPeer) {
		p.serve = func(x *dimse.Exchange, m *dimse.Message, _ []byte) {
			lost := false
			once.Do(func() { lost = true; x.Conn().Abort() })
			if lost {
				return
			}
			status := dimse.Success
			if m.Command.Field == dimse.NCreateRQ {
				status = dimse.DuplicateSOPInstance
			}
			x.Respond(context.Background(), m, dimse.Command{Status: status}, nil)
		}
	})
	h, s := keeping(t, p)
	c := h.calls(t, stepContexts, 0)
	for _, rq := range []dimse.Command{create("1.1"), set("1.1")} {
		if rsp := last(c.ask(1, rq, identifier(t, false))).Command; rsp.Status != dimse.Success {
			t.Fatalf("%v: status %04X", rq.Field, uint16(rsp.Status))
		}
	}
	eventually(t, "delivered", func() bool { return !s.Waiting("pacs", "1.1") })
	if st, err := s.Status(t.Context()); err != nil || st.Stuck != 0 {
		t.Errorf("%+v, %v", st, err)
	}
	if d := h.recorded("step.delivered"); len(d) == 0 || d[0]["duplicate"] != true {
		t.Errorf("%+v", d)
	}
}
