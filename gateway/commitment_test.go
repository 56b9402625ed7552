package gateway

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"cordon/commitment"
	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/commit"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
)

const push = dicom.StorageCommitmentPushModel

// committing opens a house that does storage commitment in front of p.
func committing(t *testing.T, p *scriptedPeer, change ...func(*Config)) *house {
	t.Helper()
	var c *commitment.Commitment
	h := open(t, t.TempDir(), behindConfig(p, change...), func(h *house, parts *Parts) {
		var err error
		c, err = commitment.Open(t.Context(), commitment.Config{RetryMin: 20 * time.Millisecond, RetryMax: 50 * time.Millisecond, Poll: 20 * time.Millisecond, Pause: 10 * time.Millisecond},
			commitment.Parts{DB: parts.DB, Custody: parts.Custody, Journal: parts.Ledger, Log: parts.Log})
		if err != nil {
			t.Fatal(err)
		}
		parts.Commitment = c
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { c.Run(ctx, h.gateway.CommitmentNetwork()) }) // ends with cancel
	t.Cleanup(func() { cancel(); running.Wait() })
	return h
}

func refsOf(images ...image) (all []commit.Reference) {
	for _, im := range images {
		all = append(all, commit.Reference{SOPClassUID: im.class, SOPInstanceUID: im.uid})
	}
	return all
}

func written(t testing.TB, write func(*bytes.Buffer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// wants asks for commitment and returns the status.
func (r *requestor) wants(id uint8, transaction dicom.UID, refs []commit.Reference) dimse.Status {
	r.t.Helper()
	pc, _ := r.Conn().Association().Context(id)
	info := written(r.t, func(b *bytes.Buffer) error {
		return commit.Action{TransactionUID: transaction, References: refs}.Write(b, pc.TransferSyntax)
	})
	return last(r.ask(id, actionCommand(), info)).Command.Status
}

// hears waits for a report.
func hears(t *testing.T, taken <-chan exchanged) commit.Report {
	t.Helper()
	select {
	case e := <-taken:
		r, err := commit.ReadReport(bytes.NewReader(e.data), e.context.TransferSyntax)
		if err != nil || e.command.Field != dimse.NEventReportRQ || *e.command.EventTypeID != r.EventType() || e.command.AffectedSOPInstanceUID != dicom.StorageCommitmentPushModelInstance {
			t.Fatalf("%+v, %v", e.command, err)
		}
		return r
	case <-time.After(15 * time.Second):
		t.Fatal("no report within 15 s")
	}
	return commit.Report{}
}

// commits is an archive that answers each N-ACTION on the same association, as
// soon as it has taken it or, if early is set, before.
func commits(t *testing.T, early bool) func(*scriptedPeer) {
	return func(p *scriptedPeer) {
		p.serve = func(x *dimse.Exchange, m *dimse.Message, data []byte) {
			ctx := context.Background()
			if m.Command.Field != dimse.NActionRQ {
				x.Respond(ctx, m, dimse.Command{}, nil)
				return
			}
			a, err := commit.ReadAction(bytes.NewReader(data), m.Context.TransferSyntax)
			if err != nil {
				t.Error(err)
			}
			r := commit.Report{TransactionUID: a.TransactionUID, Committed: a.References}
			info := written(t, func(b *bytes.Buffer) error { return r.Write(b, m.Context.TransferSyntax) })
			if !early {
				x.Respond(ctx, m, dimse.Command{}, nil)
			}
			op, err := x.Begin(ctx, m.ContextID, reportCommand(r.EventType()), bytes.NewReader(info))
			if err != nil {
				t.Error(err)
				return
			}
			if reply, err := op.Next(ctx); err != nil || reply.Command.Status != dimse.Success {
				t.Errorf("the report was answered %+v, %v", reply, err)
			}
			if early {
				x.Respond(ctx, m, dimse.Command{}, nil)
			}
		}
	}
}

// commitsOnce is an archive that takes nothing up before a device is gone.
func commitsOnce(t *testing.T, gone <-chan struct{}) func(*scriptedPeer) {
	return func(p *scriptedPeer) {
		commits(t, false)(p)
		then := p.serve
		p.serve = func(x *dimse.Exchange, m *dimse.Message, data []byte) {
			<-gone
			then(x, m, data)
		}
	}
}

func TestCommitmentOfASentStudyWithAHeldInstance(t *testing.T) {
	for _, early := range []bool{false, true} {
		p := newScriptedPeer(t, commits(t, early))
		h := committing(t, p)
		c := h.calls(t, ul.Request{Contexts: []ul.ProposedContext{implicitly(1, push), explicitly(3, dicom.CTImageStorage)}}, dimse.Success)
		clean, hostile := newImage(t, nil), newImage(t, []byte(eicar))
		for _, im := range []image{clean, hostile} {
			rq := dimse.StoreRequest{SOPClassUID: im.class, SOPInstanceUID: im.uid}
			if rsp, err := c.Store(t.Context(), 3, rq, bytes.NewReader(im.data)); err != nil || rsp.Status != dimse.Success {
				t.Fatalf("%+v, %v", rsp, err)
			}
		}
		if s := c.wants(1, "2.25.1", refsOf(clean, hostile)); s != dimse.Success {
			t.Fatalf("status %04X", uint16(s))
		}
		r := hears(t, c.taken)
		if r.TransactionUID != "2.25.1" || len(r.Committed) != 1 || r.Committed[0].SOPInstanceUID != clean.uid ||
			len(r.Failed) != 1 || r.Failed[0] != (commit.Failure{Reference: refsOf(hostile)[0], Reason: 0x0110}) {
			t.Errorf("early %v: %+v", early, r)
		}
		for _, e := range p.received() {
			if e.command.Field == dimse.NActionRQ && bytes.Contains(e.data, []byte(hostile.uid)) {
				t.Error("the archive was asked for what is held")
			}
		}
		if rq := p.request(len(p.requests) - 1); rq.Calling != "CORDON" {
			t.Errorf("the archive was asked by %s", rq.Calling)
		}
	}
}

// The archive reports on an association of its own, the device is told on one of
// ours: each as SCP, under the title that was called.
func TestReportsOnNewAssociations(t *testing.T) {
	asked := make(chan exchanged, 10)
	p := newScriptedPeer(t, func(p *scriptedPeer) {
		p.serve = func(x *dimse.Exchange, m *dimse.Message, data []byte) {
			x.Respond(context.Background(), m, dimse.Command{}, nil)
			asked <- exchanged{m.Command, m.Context, data}
		}
	})
	told := make(chan exchanged, 10)
	device := newScriptedPeer(t, func(p *scriptedPeer) {
		p.serve = func(x *dimse.Exchange, m *dimse.Message, data []byte) {
			x.Respond(context.Background(), m, dimse.Command{}, nil)
			told <- exchanged{m.Command, m.Context, data}
		}
	})
	h := committing(t, p, func(c *Config) { c.Site.Devices[0].Port = device.port() })
	c := h.calls(t, ul.Request{Called: "PACS", Contexts: []ul.ProposedContext{explicitly(1, push)}}, dimse.Success)
	im := newImage(t, nil)
	if s := c.wants(1, "2.25.1", refsOf(im)); s != dimse.Success {
		t.Fatalf("status %04X", uint16(s))
	}
	if err := c.Conn().Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	e := <-asked
	a, err := commit.ReadAction(bytes.NewReader(e.data), e.context.TransferSyntax)
	if err != nil {
		t.Fatal(err)
	}

	archive := h.calls(t, ul.Request{
		Calling: "PACS", Called: "CORDON", Contexts: []ul.ProposedContext{implicitly(1, push)},
		Roles: []ul.RoleSelection{{SOPClass: push, SCP: true}},
	}, dimse.Success)
	if roles := archive.Conn().Association().Response().Roles; len(roles) != 1 || !roles[0].SCP {
		t.Errorf("roles %+v", roles)
	}
	report := commit.Report{TransactionUID: a.TransactionUID, Committed: a.References}
	info := written(t, func(b *bytes.Buffer) error { return report.Write(b, dicom.ImplicitVRLittleEndian) })
	if rsp := last(archive.ask(1, reportCommand(1), info)); rsp.Command.Status != dimse.Success {
		t.Errorf("status %04X", uint16(rsp.Command.Status))
	}
	if rsp := last(archive.ask(1, reportCommand(3), info)); rsp.Command.Status != dimse.NoSuchEventType {
		t.Errorf("event type 3: status %04X", uint16(rsp.Command.Status))
	}
	if r := hears(t, told); r.TransactionUID != "2.25.1" || len(r.Committed) != 1 {
		t.Errorf("%+v", r)
	}
	rq := device.request(0)
	if rq.Calling != "PACS" || rq.Called != "CT1" || len(rq.Roles) != 1 || rq.Roles[0] != (ul.RoleSelection{SOPClass: push, SCP: true}) {
		t.Errorf("the device was called by %s with roles %+v", rq.Calling, rq.Roles)
	}
}

func TestDeviceWithoutAPortIsToldWhenItComesAgain(t *testing.T) {
	gone := make(chan struct{})
	h := committing(t, newScriptedPeer(t, commitsOnce(t, gone)))
	contexts := []ul.ProposedContext{explicitly(1, push)}
	c := h.calls(t, ul.Request{Contexts: contexts}, dimse.Success)
	// Nobody answers the report on the first one: it is gone.
	c.wants(1, "2.25.1", refsOf(newImage(t, nil)))
	c.Conn().Abort()
	close(gone)
	eventually(t, "the archive's answer", func() bool { return len(h.recorded("commitment.answered")) == 1 })
	again := h.calls(t, ul.Request{Contexts: contexts}, dimse.Success)
	if r := hears(t, again.taken); r.TransactionUID != "2.25.1" || len(r.Committed) != 1 {
		t.Errorf("%+v", r)
	}
}

func TestReportGoesToNobodyElse(t *testing.T) {
	h := committing(t, newScriptedPeer(t, commits(t, false)))
	contexts := []ul.ProposedContext{explicitly(1, push)}
	other := h.calls(t, ul.Request{Calling: "US3", Contexts: contexts}, dimse.Success)
	elsewhere := h.calls(t, ul.Request{Called: "PACS", Contexts: contexts}, dimse.Success)
	c := h.calls(t, ul.Request{Contexts: contexts}, dimse.Success)
	c.wants(1, "2.25.1", refsOf(newImage(t, nil)))
	hears(t, c.taken)
	time.Sleep(100 * time.Millisecond)
	if len(other.taken)+len(elsewhere.taken)+len(c.taken) > 0 {
		t.Error("somebody else was told, or the device twice")
	}
}

// A device that stores, and has not asked for commitment on that association, is
// not interrupted by a report of an earlier request.
func TestNoReportInTheMidstOfAStore(t *testing.T) {
	gone := make(chan struct{})
	h := committing(t, newScriptedPeer(t, commitsOnce(t, gone)))
	contexts := []ul.ProposedContext{explicitly(1, push), explicitly(3, dicom.CTImageStorage)}
	c := h.calls(t, ul.Request{Contexts: contexts}, dimse.Success)
	c.wants(1, "2.25.1", refsOf(newImage(t, nil)))
	c.Conn().Abort()
	close(gone)
	eventually(t, "the archive's answer", func() bool { return len(h.recorded("commitment.answered")) == 1 })
	storing := h.calls(t, ul.Request{Contexts: contexts}, dimse.Success)
	im := newImage(t, nil)
	if rsp, err := storing.Store(t.Context(), 3, dimse.StoreRequest{SOPClassUID: im.class, SOPInstanceUID: im.uid}, bytes.NewReader(im.data)); err != nil || rsp.Status != dimse.Success {
		t.Fatalf("%+v, %v", rsp, err)
	}
	time.Sleep(200 * time.Millisecond)
	if len(storing.taken) > 0 {
		t.Fatal("a report in the midst of a store")
	}
	storing.wants(1, "2.25.2", refsOf(im))
	heard := map[dicom.UID]bool{}
	for range 2 {
		heard[hears(t, storing.taken).TransactionUID] = true
	}
	if !heard["2.25.1"] || !heard["2.25.2"] {
		t.Errorf("%v", heard)
	}
}

func TestArchiveWithoutCommitment(t *testing.T) {
	p := newScriptedPeer(t, func(p *scriptedPeer) {
		p.respond = func(rs *ul.Response, rq *ul.Request) {
			for i, c := range rq.Contexts {
				if c.AbstractSyntax == push {
					rs.Contexts[i] = ul.AcceptedContext{ID: c.ID, Result: ul.AbstractSyntaxNotSupported}
				}
			}
		}
	})
	h := committing(t, p)
	c := h.calls(t, ul.Request{Contexts: []ul.ProposedContext{explicitly(1, push)}}, dimse.Success)
	c.wants(1, "2.25.1", refsOf(newImage(t, nil)))
	if r := hears(t, c.taken); len(r.Committed) != 0 || len(r.Failed) != 1 || r.Failed[0].Reason != 0x0110 {
		t.Errorf("%+v", r)
	}
}

func TestCommitmentWaitsForTheSpool(t *testing.T) {
	p := newScriptedPeer(t, commits(t, false))
	h := committing(t, p)
	contexts := []ul.ProposedContext{explicitly(1, push), explicitly(3, dicom.CTImageStorage)}
	h.calls(t, ul.Request{Contexts: contexts}, dimse.Success).Conn().Release(t.Context()) // what the archive accepts is remembered
	p.down()
	c := h.calls(t, ul.Request{Contexts: contexts}, dimse.Success)
	im := newImage(t, nil)
	if rsp, err := c.Store(t.Context(), 3, dimse.StoreRequest{SOPClassUID: im.class, SOPInstanceUID: im.uid}, bytes.NewReader(im.data)); err != nil || rsp.Status != dimse.Success {
		t.Fatalf("%+v, %v", rsp, err)
	}
	if s := c.wants(1, "2.25.1", refsOf(im)); s != dimse.Success || len(h.inState(custody.Spooled)) != 1 {
		t.Fatalf("status %04X", uint16(s))
	}
	time.Sleep(200 * time.Millisecond)
	if len(c.taken) > 0 {
		t.Fatal("told before the archive had it")
	}
	newScriptedPeerAt(t, p.address, commits(t, false))
	if r := hears(t, c.taken); len(r.Committed) != 1 || r.Committed[0].SOPInstanceUID != im.uid {
		t.Errorf("%+v", r)
	}
}

func TestRequestsForCommitmentThatCannotBeMeant(t *testing.T) {
	h := committing(t, newScriptedPeer(t, nil))
	const pull = "1.2.840.10008.1.20.2" // Storage Commitment Pull Model, retired
	c := h.calls(t, ul.Request{Contexts: []ul.ProposedContext{explicitly(1, push), explicitly(3, pull)}}, dimse.Success)
	if answer := c.Conn().Association().Response().Contexts[1]; answer.Result != ul.AbstractSyntaxNotSupported {
		t.Errorf("the pull model: result %d", answer.Result)
	}
	two := uint16(2)
	for name, try := range map[string]struct {
		change func(*dimse.Command)
		want   dimse.Status
	}{
		"rubbish":          {func(*dimse.Command) {}, dimse.InvalidArgumentValue},
		"action type 2":    {func(c *dimse.Command) { c.ActionTypeID = &two }, dimse.NoSuchActionType},
		"another instance": {func(c *dimse.Command) { c.RequestedSOPInstanceUID = "1.2" }, dimse.NoSuchSOPInstance},
	} {
		rq := actionCommand()
		try.change(&rq)
		if got := last(c.ask(1, rq, []byte("rubbish!"))).Command.Status; got != try.want {
			t.Errorf("%s: status %04X, want %04X", name, uint16(got), uint16(try.want))
		}
	}
}
