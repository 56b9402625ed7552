package gateway

import (
	"bytes"
	"context"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/policy"
)

// failedIn lists the Failed SOP Instance UID List of a response.
func failedIn(t *testing.T, r dimse.Reply) []string {
	t.Helper()
	syntax, _ := dicom.LookupTransferSyntax(dicom.ImplicitVRLittleEndian)
	es, err := dicom.ReadElements(r.Data, syntax, 4)
	if err != nil || len(es) != 1 || es[0].Tag != dicom.TagFailedSOPInstanceUIDList {
		t.Fatalf("identifier %x: %+v, %v", r.Data, es, err)
	}
	return strings.Split(string(dicom.TrimUID(es[0].Value)), `\`)
}

// storing asks an Exchange to take the images, and returns the statuses.
func storing(t *testing.T, x *dimse.Exchange, id uint8, images []image, originator *uint16) []dimse.Status {
	t.Helper()
	var out []dimse.Status
	for _, im := range images {
		rq := dimse.StoreRequest{SOPClassUID: im.class, SOPInstanceUID: im.uid}
		if originator != nil {
			rq.MoveOriginatorAETitle, rq.MoveOriginatorMessageID = "CT1", originator
		}
		rsp, err := x.Store(context.Background(), id, rq, bytes.NewReader(im.data))
		if err != nil {
			t.Error(err)
			return nil
		}
		out = append(out, rsp.Status)
	}
	return out
}

// completed answers a retrieve as an archive does whose sub-operations had
// these statuses.
func completed(x *dimse.Exchange, m *dimse.Message, statuses []dimse.Status) {
	var done, failed, warned uint16
	for _, s := range statuses {
		switch s.Class() {
		case dimse.ClassFailure:
			failed++
		case dimse.ClassWarning:
			warned++
		default:
			done++
		}
	}
	rsp := dimse.Command{NumberOfCompletedSuboperations: &done, NumberOfFailedSuboperations: &failed, NumberOfWarningSuboperations: &warned}
	if failed+warned > 0 {
		rsp.Status = dimse.WarningCoercion
	}
	x.Respond(context.Background(), m, rsp, nil)
}

var (
	getRQ  = dimse.Command{Field: dimse.CGetRQ, AffectedSOPClassUID: getClass}
	moveRQ = dimse.Command{Field: dimse.CMoveRQ, AffectedSOPClassUID: moveClass, MoveDestination: "CT1"}
)

// retriever asks for what comes back on the same association.
func retriever(h *house, t *testing.T, status dimse.Status) *requestor {
	return h.calls(t, ul.Request{
		Contexts: []ul.ProposedContext{implicitly(1, getClass), explicitly(3, dicom.CTImageStorage)},
		Roles:    []ul.RoleSelection{{SOPClass: dicom.CTImageStorage, SCP: true}},
	}, status)
}

func TestGetIsJudgedOnItsWayOut(t *testing.T) {
	clean, hostile := newImage(t, nil), newImage(t, []byte(eicar))
	p := newScriptedPeer(t, func(p *scriptedPeer) {
		p.serve = func(x *dimse.Exchange, m *dimse.Message, _ []byte) {
			x.Respond(context.Background(), m, dimse.Command{Status: dimse.Pending}, nil)
			statuses := storing(t, x, 3, []image{clean, hostile, clean}, nil)
			if !slices.Equal(statuses, []dimse.Status{0, dimse.WarningElementsDiscarded, 0}) {
				t.Errorf("the archive was answered %04X", statuses)
			}
			completed(x, m, statuses)
		}
	})
	h := behind(t, p)
	c := retriever(h, t, 0)
	final := last(c.ask(1, getRQ, identifier(t, false)))
	if final.Command.Status != dimse.WarningCoercion || count(final.Command.NumberOfFailedSuboperations) != 1 || count(final.Command.NumberOfCompletedSuboperations) != 2 {
		t.Errorf("%+v", final.Command)
	}
	if got := failedIn(t, final); !slices.Equal(got, []string{string(hostile.uid)}) {
		t.Errorf("failed: %v", got)
	}
	for range 2 {
		if e := c.took(); !bytes.Equal(e.data, clean.data) || e.command.AffectedSOPInstanceUID != clean.uid {
			t.Error("the device was sent something else")
		}
	}
	if len(c.taken) != 0 {
		t.Error("the device was sent what was held")
	}
	held := h.inState(custody.Held)
	if len(held) != 1 || held[0].Archive != "device/ct-1" || held[0].CallingAE != "PACS" || held[0].CalledAE != "CT1" {
		t.Errorf("held: %+v", held)
	}
	eventually(t, "the retrieve on the ledger", func() bool {
		ended, sent := h.recorded("retrieve.ended"), h.recorded("instance.sent")
		return len(ended) == 1 && ended[0]["held"] == 1.0 && len(sent) == 2
	})
}

// An object that says it is another one does not keep back the rest of a study.
func TestRefusedObjectDoesNotEndARetrieve(t *testing.T) {
	clean, other := newImage(t, nil), newImage(t, nil)
	other.uid = newUID()
	p := newScriptedPeer(t, func(p *scriptedPeer) {
		p.serve = func(x *dimse.Exchange, m *dimse.Message, _ []byte) {
			statuses := storing(t, x, 3, []image{other, clean}, nil)
			if !slices.Equal(statuses, []dimse.Status{dimse.WarningElementsDiscarded, 0}) {
				t.Errorf("the archive was answered %04X", statuses)
			}
			completed(x, m, statuses)
		}
	})
	h := behind(t, p)
	c := retriever(h, t, 0)
	final := last(c.ask(1, getRQ, identifier(t, false)))
	if count(final.Command.NumberOfFailedSuboperations) != 1 || !slices.Equal(failedIn(t, final), []string{string(other.uid)}) {
		t.Errorf("%+v", final.Command)
	}
	if e := c.took(); e.command.AffectedSOPInstanceUID != clean.uid || len(c.taken) != 0 {
		t.Errorf("the device was sent %+v", e.command)
	}
	if rs := h.recorded("object.refused"); len(rs) != 1 || rs[0]["status"] != float64(statusWrongInstance) {
		t.Errorf("%+v", rs)
	}
}

// An archive that goes away in the middle of a retrieve leaves an answer that
// counts what was not sent.
func TestRetrieveThatIsBrokenOff(t *testing.T) {
	clean := newImage(t, nil)
	p := newScriptedPeer(t, func(p *scriptedPeer) {
		p.serve = func(x *dimse.Exchange, m *dimse.Message, _ []byte) {
			storing(t, x, 3, []image{clean}, nil)
			x.Respond(context.Background(), m, dimse.Command{
				Status: dimse.Pending, NumberOfRemainingSuboperations: number(2), NumberOfCompletedSuboperations: number(1),
			}, nil)
			x.Conn().Abort()
		}
	})
	h := behind(t, p)
	c := retriever(h, t, 0)
	final := last(c.ask(1, getRQ, identifier(t, false))).Command
	if final.Status != statusBroken || count(final.NumberOfFailedSuboperations) != 2 || count(final.NumberOfCompletedSuboperations) != 1 || final.NumberOfRemainingSuboperations != nil {
		t.Errorf("%+v", final)
	}
	eventually(t, "the retrieve on the ledger", func() bool {
		rs := h.recorded("retrieve.ended")
		return len(rs) == 1 && rs[0]["failed"] == 2.0 && rs[0]["status"] == float64(statusBroken)
	})
}

func TestDevicesOwnFailureIsTheArchives(t *testing.T) {
	p := newScriptedPeer(t, func(p *scriptedPeer) {
		p.serve = func(x *dimse.Exchange, m *dimse.Message, _ []byte) {
			completed(x, m, storing(t, x, 3, []image{newImage(t, nil)}, nil))
		}
	})
	h := behind(t, p)
	c := retriever(h, t, 0xC123)
	if final := last(c.ask(1, getRQ, identifier(t, false))); count(final.Command.NumberOfFailedSuboperations) != 1 {
		t.Errorf("%+v", final.Command)
	}
}

// Objects come only while a C-GET is under way, and only on contexts on which
// the device takes them.
func TestArchiveDoesNotStoreUnasked(t *testing.T) {
	answered := make(chan []dimse.Status, 1)
	p := newScriptedPeer(t, func(p *scriptedPeer) {
		p.invoke = func(x *dimse.Exchange, _ *ul.Request) {
			answered <- storing(t, x, 3, []image{newImage(t, nil)}, nil)
		}
	})
	h := behind(t, p)
	c := retriever(h, t, 0)
	if got := <-answered; !slices.Equal(got, []dimse.Status{statusWrongContext}) {
		t.Errorf("statuses %04X", got)
	}
	if len(c.taken) != 0 {
		t.Error("the device was sent it")
	}
}

// An archive reports events on an association of its own, as the SCP of unified procedure steps does.
func TestEventsReachTheDevice(t *testing.T) {
	device := newScriptedPeer(t, func(p *scriptedPeer) {
		p.serve = func(x *dimse.Exchange, m *dimse.Message, _ []byte) {
			x.Respond(context.Background(), m, dimse.Command{Status: dimse.NoSuchEventType}, nil)
		}
	})
	h := behind(t, newScriptedPeer(t, nil), withDevice(device))
	out := h.calls(t, ul.Request{
		Calling: "PACS", Called: "CT1",
		Contexts: []ul.ProposedContext{implicitly(1, dicom.UnifiedProcedureStepEvent)},
		Roles:    []ul.RoleSelection{{SOPClass: dicom.UnifiedProcedureStepEvent, SCP: true}},
	}, 0)
	event := uint16(1)
	report := dimse.Command{Field: dimse.NEventReportRQ, AffectedSOPClassUID: dicom.UnifiedProcedureStepPush, AffectedSOPInstanceUID: "1.2", EventTypeID: &event}
	if got := last(out.ask(1, report, identifier(t, false))); got.Command.Status != dimse.NoSuchEventType {
		t.Errorf("%+v", got.Command)
	}
	if got := device.received(); len(got) != 1 || !bytes.Equal(got[0].data, identifier(t, false)) {
		t.Errorf("the device was told %+v", got)
	}
	if rq := device.request(0); len(rq.Roles) != 1 || rq.Roles[0].SCU || !rq.Roles[0].SCP || rq.Calling != "PACS" {
		t.Errorf("the device was asked for %+v", rq.Roles)
	}
	if got := last(out.ask(1, report, identifier(t, true))).Command; got.Status != dimse.ProcessingFailure {
		t.Errorf("a hostile report: %+v", got)
	}
	find := dimse.Command{Field: dimse.CFindRQ, AffectedSOPClassUID: dicom.UnifiedProcedureStepEvent}
	if got := last(out.ask(1, find, identifier(t, false))); got.Command.Status != dimse.SOPClassNotSupported {
		t.Errorf("a query of the archive's: %+v", got.Command)
	}
	if n := len(device.received()); n != 1 {
		t.Errorf("%d messages reached the device", n)
	}
}

// Who is the user of a service is asked for nothing, and reports nothing.
func TestRequestsComeFromTheirRole(t *testing.T) {
	event := uint16(1)
	answered := make(chan dimse.Status, 1)
	p := newScriptedPeer(t, func(p *scriptedPeer) {
		p.invoke = func(x *dimse.Exchange, _ *ul.Request) {
			op, err := x.Begin(context.Background(), 1, dimse.Command{Field: dimse.NSetRQ, RequestedSOPClassUID: dicom.ModalityPerformedProcedureStep, RequestedSOPInstanceUID: "1.2"}, nil)
			if err != nil {
				t.Error(err)
				return
			}
			r, _ := op.Next(context.Background())
			answered <- r.Command.Status
		}
	})
	h := behind(t, p)
	c := h.calls(t, ul.Request{Contexts: []ul.ProposedContext{implicitly(1, dicom.ModalityPerformedProcedureStep)}}, 0)
	report := dimse.Command{Field: dimse.NEventReportRQ, AffectedSOPClassUID: dicom.ModalityPerformedProcedureStep, AffectedSOPInstanceUID: "1.2", EventTypeID: &event}
	if got := last(c.ask(1, report, nil)); got.Command.Status != dimse.SOPClassNotSupported {
		t.Errorf("a report of the user's: %+v", got.Command)
	}
	if s := <-answered; s != dimse.SOPClassNotSupported {
		t.Errorf("a request of the provider's: status %04X", uint16(s))
	}
	if len(p.received()) != 0 || len(c.taken) != 0 {
		t.Error("it was relayed")
	}
}

func TestMoveToAnUnknownDestination(t *testing.T) {
	p := newScriptedPeer(t, nil)
	h := behind(t, p)
	c := h.calls(t, ul.Request{Contexts: []ul.ProposedContext{implicitly(1, moveClass)}}, 0)
	rq := moveRQ
	rq.MoveDestination = "ELSEWHERE"
	if got := last(c.ask(1, rq, identifier(t, false))); got.Command.Status != statusDestination {
		t.Errorf("%+v", got.Command)
	}
	if len(p.received()) != 0 {
		t.Error("the archive was asked")
	}
	if n := len(h.recorded("retrieve.refused")); n != 1 {
		t.Errorf("%d refusals on the ledger", n)
	}
}

// mover is an archive that sends what it is asked to move to the destination
// through the gateway.
func mover(t *testing.T, house **house, images []image, statuses chan<- []dimse.Status, count func([]dimse.Status) []dimse.Status) func(*scriptedPeer) {
	return func(p *scriptedPeer) {
		p.serve = func(x *dimse.Exchange, m *dimse.Message, _ []byte) {
			h := *house
			out := h.calls(t, ul.Request{
				Calling: "PACS", Called: m.Command.MoveDestination,
				Contexts: []ul.ProposedContext{explicitly(1, dicom.CTImageStorage)},
			}, 0)
			id := m.Command.MessageID
			got := storing(t, out.Exchange, 1, images, &id)
			if err := out.Conn().Release(context.Background()); err != nil {
				t.Error(err)
			}
			statuses <- got
			completed(x, m, count(got))
		}
	}
}

// An archive that does not say which objects failed, or takes a failure for a
// success, does not hide that something was held.
func TestMoveBackThroughTheGatewayIsJudgedAndMerged(t *testing.T) {
	for name, counted := range map[string]func([]dimse.Status) []dimse.Status{
		"counted":     func(s []dimse.Status) []dimse.Status { return s },
		"not counted": func(s []dimse.Status) []dimse.Status { return make([]dimse.Status, len(s)) },
	} {
		t.Run(name, func(t *testing.T) {
			clean, hostile := newImage(t, nil), newImage(t, []byte(eicar))
			statuses := make(chan []dimse.Status, 1)
			device := newScriptedPeer(t, nil)
			var h *house
			p := newScriptedPeer(t, mover(t, &h, []image{clean, hostile}, statuses, counted))
			h = behind(t, p, withDevice(device))
			c := h.calls(t, ul.Request{Contexts: []ul.ProposedContext{implicitly(1, moveClass)}}, 0)
			final := last(c.ask(1, moveRQ, identifier(t, false)))
			if got := <-statuses; !slices.Equal(got, []dimse.Status{0, dimse.WarningElementsDiscarded}) {
				t.Errorf("the archive was answered %04X", got)
			}
			if final.Command.Status != dimse.WarningCoercion || count(final.Command.NumberOfFailedSuboperations) != 1 || count(final.Command.NumberOfCompletedSuboperations) != 1 || count(final.Command.NumberOfWarningSuboperations) != 0 {
				t.Errorf("%+v", final.Command)
			}
			if got := failedIn(t, final); !slices.Equal(got, []string{string(hostile.uid)}) {
				t.Errorf("failed: %v", got)
			}
			taken := device.received()
			if len(taken) != 1 || !bytes.Equal(taken[0].data, clean.data) {
				t.Fatalf("the device has %d objects", len(taken))
			}
			if rq := device.request(0); rq.Calling != "PACS" || rq.Called != "CT1" {
				t.Errorf("the device was called %s by %s", rq.Called, rq.Calling)
			}
			if o := taken[0].command; o.MoveOriginatorAETitle != "CT1" || o.MoveOriginatorMessageID == nil {
				t.Errorf("originator: %+v", o)
			}
			if n := len(h.recorded("object.held")); n != 1 {
				t.Errorf("%d holds on the ledger", n)
			}
		})
	}
}

// withDevice makes the scripted peer where CT1 listens.
func withDevice(p *scriptedPeer) func(*Config) {
	return func(c *Config) { c.Site.Devices[0].Port = p.port() }
}

func TestReleasedOnItsWayOutGoesToTheDevice(t *testing.T) {
	hostile := newImage(t, []byte(eicar))
	device := newScriptedPeer(t, nil)
	p := newScriptedPeer(t, nil)
	h := behind(t, p, withDevice(device))
	out := h.calls(t, ul.Request{Calling: "PACS", Called: "CT1", Contexts: []ul.ProposedContext{explicitly(1, dicom.CTImageStorage)}}, 0)
	if got := storing(t, out.Exchange, 1, []image{hostile}, nil); !slices.Equal(got, []dimse.Status{statusHeldOut}) {
		t.Fatalf("statuses %04X", got)
	}
	for _, by := range []string{"A. Able", "B. Baker"} {
		if _, err := h.custody.Release(t.Context(), h.inState(custody.Held)[0].ID, custody.Request{By: by, Reason: "looked at"}); err != nil {
			t.Fatal(err)
		}
	}
	h.gateway.Wake()
	eventually(t, "the object at the device", func() bool {
		return slices.ContainsFunc(device.received(), func(e exchanged) bool { return bytes.Equal(e.data, hostile.data) })
	})
	eventually(t, "an empty spool", func() bool { return len(h.inState(custody.Spooled)) == 0 })
}

// What two people let into the archive is not held again on its way out.
func TestReleasedOnItsWayInGoesOut(t *testing.T) {
	hostile := newImage(t, []byte(eicar))
	p := newScriptedPeer(t, func(p *scriptedPeer) {
		p.serve = func(x *dimse.Exchange, m *dimse.Message, _ []byte) {
			if m.Command.Field == dimse.CStoreRQ {
				x.Respond(context.Background(), m, dimse.Command{}, nil)
				return
			}
			completed(x, m, storing(t, x, 3, []image{hostile}, nil))
		}
	})
	h := behind(t, p)
	in := h.calls(t, ul.Request{Contexts: []ul.ProposedContext{explicitly(3, dicom.CTImageStorage)}}, 0)
	if got := storing(t, in.Exchange, 3, []image{hostile}, nil); !slices.Equal(got, []dimse.Status{0}) {
		t.Fatalf("statuses %04X", got)
	}
	for _, by := range []string{"A. Able", "B. Baker"} {
		if _, err := h.custody.Release(t.Context(), h.inState(custody.Held)[0].ID, custody.Request{By: by, Reason: "a known habit"}); err != nil {
			t.Fatal(err)
		}
	}
	c := retriever(h, t, 0)
	if final := last(c.ask(1, getRQ, identifier(t, false))); final.Command.Status != dimse.Success {
		t.Errorf("%+v", final.Command)
	}
	if e := c.took(); !bytes.Equal(e.data, hostile.data) {
		t.Error("the device was sent something else")
	}
}

// What is released for a device that nothing can be sent to is work for a
// person, not a row that waits for ever unseen.
func TestReleasedForADeviceWithoutAPort(t *testing.T) {
	p := newScriptedPeer(t, func(p *scriptedPeer) {
		p.serve = func(x *dimse.Exchange, m *dimse.Message, _ []byte) {
			completed(x, m, storing(t, x, 3, []image{newImage(t, []byte(eicar))}, nil))
		}
	})
	h := behind(t, p)
	retriever(h, t, 0).ask(1, getRQ, identifier(t, false))
	for _, by := range []string{"A. Able", "B. Baker"} {
		if _, err := h.custody.Release(t.Context(), h.inState(custody.Held)[0].ID, custody.Request{By: by, Reason: "looked at"}); err != nil {
			t.Fatal(err)
		}
	}
	h.gateway.Wake()
	eventually(t, "a call for a person", func() bool {
		st, err := h.gateway.Status(context.Background())
		return err == nil && st.Attention == 1
	})
}

// The archive has its copy, and whoever asked for the object is told: nothing
// is kept for a device that is away.
func TestDeviceThatIsAway(t *testing.T) {
	device := newScriptedPeer(t, nil)
	h := behind(t, newScriptedPeer(t, nil), withDevice(device))
	rq := ul.Request{Calling: "PACS", Called: "CT1", Contexts: []ul.ProposedContext{explicitly(1, dicom.CTImageStorage)}}
	out := h.calls(t, rq, 0)
	device.down()
	if got := storing(t, out.Exchange, 1, []image{newImage(t, nil)}, nil); !slices.Equal(got, []dimse.Status{statusAway}) {
		t.Errorf("statuses %04X", got)
	}
	if _, err := h.associate("PACS", "CT1", rq.Contexts...); asRejection(t, err) != rejectCongested {
		t.Error(err)
	}
	if n := len(h.inState(custody.Spooled)) + len(h.inState(custody.Held)); n != 0 {
		t.Errorf("%d objects kept", n)
	}
}

// One object to two archives: both or none, whichever of them is away.
func TestObjectGoesToEveryArchive(t *testing.T) {
	for name, away := range map[string]bool{"both up": false, "the first away": true} {
		t.Run(name, func(t *testing.T) {
			second := newScriptedArchive(t)
			h := start(t, func(c *Config) {
				c.Site.Archives = append(c.Site.Archives, policy.Archive{Name: "vna", AETitle: "VNA"})
				c.Upstreams = append(c.Upstreams, Upstream{Name: "vna", AETitle: "VNA", Address: second.address})
				c.Site.Devices = []policy.Device{{Name: "ct-1", AETitle: "CT1", Archive: "pacs", Also: []string{"vna"}}}
			})
			if away {
				h.archive.down()
			}
			second.down()
			im, hostile := newImage(t, nil), newImage(t, []byte(eicar))
			c := h.modality()
			for _, im := range []image{im, hostile} {
				if rsp := send(t, c, im); rsp.Status != dimse.Success {
					t.Fatalf("status %04X", uint16(rsp.Status))
				}
			}
			spooled := h.inState(custody.Spooled)
			if want := map[bool]int{false: 1, true: 2}[away]; len(spooled) != want {
				t.Fatalf("%d objects in the spool when success was answered, want %d", len(spooled), want)
			}
			for _, by := range []string{"A. Able", "B. Baker"} {
				if _, err := h.custody.Release(t.Context(), h.inState(custody.Held)[0].ID, custody.Request{By: by, Reason: "looked at"}); err != nil {
					t.Fatal(err)
				}
			}
			second.up(second.address)
			if away {
				h.archive.up(h.archive.address)
			}
			h.gateway.Wake()
			for _, im := range []image{im, hostile} {
				eventually(t, "both archives have it", func() bool { return h.archive.holds(im) && second.holds(im) })
			}
			eventually(t, "an empty spool", func() bool { return len(h.inState(custody.Spooled)) == 0 })
		})
	}
}

// What the archive refuses is no further archive's either: its sender keeps it.
func TestRefusedObjectGoesNowhere(t *testing.T) {
	second := newScriptedArchive(t)
	h := start(t, func(c *Config) {
		c.Site.Archives = append(c.Site.Archives, policy.Archive{Name: "vna", AETitle: "VNA"})
		c.Upstreams = append(c.Upstreams, Upstream{Name: "vna", AETitle: "VNA", Address: second.address})
		c.Site.Devices = []policy.Device{{Name: "ct-1", AETitle: "CT1", Addresses: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Also: []string{"vna"}}}
	})
	h.archive.answer = func(int, stored) (dimse.Command, bool) { return dimse.Command{Status: 0xC123}, true }
	if rsp := send(t, h.modality(), newImage(t, nil)); rsp.Status != 0xC123 {
		t.Errorf("status %04X", uint16(rsp.Status))
	}
	time.Sleep(100 * time.Millisecond)
	if len(h.inState(custody.Spooled)) != 0 || len(second.has()) != 0 {
		t.Error("a further archive gets what the first refused")
	}
}

// An archive that reports and reports costs no more than the operations of a
// window, and what it reports arrives.
func TestArchiveThatReportsWithoutEnd(t *testing.T) {
	const n = 3 * windowLimit
	event, answered := uint16(1), make(chan dimse.Status, n)
	p := newScriptedPeer(t, func(p *scriptedPeer) {
		p.respond = func(rs *ul.Response, rq *ul.Request) { rs.Async = &ul.AsyncWindow{} }
		p.invoke = func(x *dimse.Exchange, _ *ul.Request) {
			var asking sync.WaitGroup
			for range n {
				asking.Go(func() {
					op, err := x.Begin(context.Background(), 1, dimse.Command{
						Field: dimse.NEventReportRQ, AffectedSOPClassUID: dicom.Printer, AffectedSOPInstanceUID: dicom.PrinterInstance, EventTypeID: &event,
					}, nil)
					if err != nil {
						return
					}
					r, _ := op.Next(context.Background())
					answered <- r.Command.Status
				})
			}
			asking.Wait()
		}
	})
	h := behind(t, p)
	as, err := ul.Dial(t.Context(), h.address, nil, ul.Request{
		Calling: "CT1", Called: "CORDON", Async: &ul.AsyncWindow{Invoked: windowLimit, Performed: windowLimit},
		Contexts: []ul.ProposedContext{implicitly(1, dicom.BasicGrayscalePrintManagementMeta)},
	}, ul.Limits{ARTIM: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	c := dimse.NewConn(as)
	defer c.Close()
	var first []*dimse.Message
	for range windowLimit {
		m, err := c.Receive(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		first = append(first, m)
	}
	time.Sleep(100 * time.Millisecond) // for more to be read
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	if got := bytes.Count(stacks, []byte("(*session).carryOn(")); got != windowLimit {
		t.Errorf("%d reports are under way, want %d", got, windowLimit)
	}
	for i := range n {
		if i >= windowLimit {
			m, err := c.Receive(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			first = append(first, m)
		}
		if err := c.Respond(t.Context(), first[i], dimse.Command{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	for range n {
		if s := <-answered; s != dimse.Success {
			t.Errorf("status %04X", uint16(s))
		}
	}
}

// Whoever hangs up on its own report is none of the device's concern.
func TestReporterThatHangsUpLeavesTheDeviceBe(t *testing.T) {
	event := uint16(1)
	p := newScriptedPeer(t, func(p *scriptedPeer) {
		p.invoke = func(x *dimse.Exchange, _ *ul.Request) {
			_, _ = x.Begin(context.Background(), 1, dimse.Command{
				Field: dimse.NEventReportRQ, AffectedSOPClassUID: dicom.Printer, AffectedSOPInstanceUID: dicom.PrinterInstance, EventTypeID: &event,
			}, nil)
		}
	})
	h := behind(t, p)
	as, err := ul.Dial(t.Context(), h.address, nil, ul.Request{
		Calling: "CT1", Called: "CORDON",
		Contexts: []ul.ProposedContext{implicitly(1, dicom.BasicGrayscalePrintManagementMeta), implicitly(3, dicom.Verification)},
	}, ul.Limits{ARTIM: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	c := dimse.NewConn(as)
	defer c.Close()
	m, err := c.Receive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.down()
	time.Sleep(100 * time.Millisecond) // for the gateway to see it
	if err := c.Respond(t.Context(), m, dimse.Command{}, nil); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond) // for the response to go nowhere
	if status, err := c.Echo(t.Context()); err != nil || status != dimse.Success {
		t.Errorf("status %04X, %v", uint16(status), err)
	}
}

// A device may be the provider of queries, by negotiation, but nothing is
// retrieved from it.
func TestNothingIsRetrievedFromADevice(t *testing.T) {
	answered := make(chan dimse.Status, 1)
	p := newScriptedPeer(t, func(p *scriptedPeer) {
		p.invoke = func(x *dimse.Exchange, _ *ul.Request) {
			op, err := x.Begin(context.Background(), 1, dimse.Command{Field: dimse.CGetRQ, AffectedSOPClassUID: getClass}, bytes.NewReader(identifier(t, false)))
			if err != nil {
				t.Error(err)
				return
			}
			r, _ := op.Next(context.Background())
			answered <- r.Command.Status
		}
	})
	h := behind(t, p)
	h.calls(t, ul.Request{
		Contexts: []ul.ProposedContext{implicitly(1, getClass)},
		Roles:    []ul.RoleSelection{{SOPClass: getClass, SCU: true, SCP: true}},
	}, 0)
	if s := <-answered; s != dimse.SOPClassNotSupported {
		t.Errorf("status %04X", uint16(s))
	}
}
