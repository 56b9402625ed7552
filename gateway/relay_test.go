package gateway

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/policy"
)

const (
	findClass = dicom.StudyRootQueryRetrieveInformationModelFind
	moveClass = dicom.StudyRootQueryRetrieveInformationModelMove
	getClass  = dicom.StudyRootQueryRetrieveInformationModelGet
)

var findRQ = dimse.Command{Field: dimse.CFindRQ, AffectedSOPClassUID: findClass}

// answering sends the pending responses, then the final one.
func answering(final dimse.Status, matches ...[]byte) func(*dimse.Exchange, *dimse.Message, []byte) {
	return func(x *dimse.Exchange, m *dimse.Message, _ []byte) {
		for _, match := range matches {
			x.Respond(context.Background(), m, dimse.Command{Status: dimse.Pending}, bytes.NewReader(match))
		}
		x.Respond(context.Background(), m, dimse.Command{Status: final}, nil)
	}
}

func TestQueryPassesAndSoDoItsMatches(t *testing.T) {
	match := identifier(t, false)
	p := newScriptedPeer(t, func(p *scriptedPeer) { p.serve = answering(dimse.Success, match, match, match) })
	h := behind(t, p)
	c := h.calls(t, ul.Request{Contexts: []ul.ProposedContext{implicitly(1, findClass)}}, 0)
	query := identifier(t, false)
	got := c.ask(1, findRQ, query)
	if len(got) != 4 || last(got).Command.Status != dimse.Success {
		t.Fatalf("%+v", got)
	}
	for _, r := range got[:3] {
		if r.Command.Status != dimse.Pending || !bytes.Equal(r.Data, match) {
			t.Errorf("%+v", r)
		}
	}
	asked := p.received()[0]
	if !bytes.Equal(asked.data, query) || asked.command.AffectedSOPClassUID != findClass {
		t.Errorf("the archive was asked %+v", asked)
	}
	eventually(t, "the query on the ledger", func() bool {
		rs := h.recorded("query.answered")
		return len(rs) == 1 && rs[0]["matches"] == 3.0 && rs[0]["device"] == "ct-1"
	})
}

// A match that is not let through is missing from the answer, and the answer
// says so: it is never success.
func TestHeldMatchIsLeftOutAndSaid(t *testing.T) {
	good, bad := identifier(t, false), identifier(t, true)
	p := newScriptedPeer(t, func(p *scriptedPeer) { p.serve = answering(dimse.Success, good, bad, good) })
	h := behind(t, p)
	c := h.calls(t, ul.Request{Contexts: []ul.ProposedContext{implicitly(1, findClass)}}, 0)
	got := c.ask(1, findRQ, good)
	if len(got) != 3 || last(got).Command.Status != statusHeldMatches || last(got).Command.ErrorComment == "" {
		t.Fatalf("%+v", got)
	}
	for _, r := range got {
		if bytes.Contains(r.Data, []byte(eicar)) {
			t.Error("it was let through")
		}
	}
}

func TestHostileRequestIsNotRelayed(t *testing.T) {
	p := newScriptedPeer(t, nil)
	h := behind(t, p)
	c := h.calls(t, ul.Request{Contexts: []ul.ProposedContext{implicitly(1, findClass), implicitly(3, dicom.ModalityPerformedProcedureStep)}}, 0)
	script := naming(t, map[dicom.Tag]string{dicom.TagQueryRetrieveLevel: "STUDY", dicom.TagPatientName: "<script>alert(1)</script>"})
	if got := last(c.ask(1, findRQ, script)); got.Command.Status != statusHeldRequest {
		t.Errorf("C-FIND: %+v", got)
	}
	create := dimse.Command{Field: dimse.NCreateRQ, AffectedSOPClassUID: dicom.ModalityPerformedProcedureStep, AffectedSOPInstanceUID: newUID()}
	got := last(c.ask(3, create, identifier(t, true))).Command
	if got.Status != dimse.ProcessingFailure || got.ErrorID == nil || *got.ErrorID != uint16(statusHeldRequest) {
		t.Errorf("N-CREATE: %+v", got)
	}
	long := make([]byte, maxMessage+2)
	if got := last(c.ask(1, findRQ, long)); got.Command.Status != statusTooLong {
		t.Errorf("too long: %+v", got)
	}
	if n := len(p.received()); n != 0 {
		t.Errorf("%d messages reached the archive", n)
	}
	if len(h.recorded("query.refused")) != 2 || len(h.recorded("step.refused")) != 1 {
		t.Error("refusals are not on the ledger")
	}
}

func TestCancelReachesTheArchive(t *testing.T) {
	cancelled := make(chan uint16, 1)
	p := newScriptedPeer(t, func(p *scriptedPeer) {
		p.cancel = func(id uint16) { cancelled <- id }
		p.serve = func(x *dimse.Exchange, m *dimse.Message, _ []byte) {
			for {
				select {
				case id := <-cancelled:
					if id != m.Command.MessageID {
						t.Errorf("message %d was cancelled, want %d", id, m.Command.MessageID)
					}
					x.Respond(context.Background(), m, dimse.Command{Status: dimse.Cancel}, nil)
					return
				case <-x.Ended():
					return
				default:
					x.Respond(context.Background(), m, dimse.Command{Status: dimse.Pending}, bytes.NewReader(identifier(t, false)))
				}
			}
		}
	})
	h := behind(t, p)
	c := h.calls(t, ul.Request{Contexts: []ul.ProposedContext{implicitly(1, findClass)}}, 0)
	op, err := c.Begin(t.Context(), 1, findRQ, bytes.NewReader(identifier(t, false)))
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if r, err := op.Next(t.Context()); err != nil || r.Command.Status != dimse.Pending {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	if err := op.Cancel(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := last(c.rest(op)); got.Command.Status != dimse.Cancel {
		t.Errorf("%+v", got)
	}
}

func TestArchiveThatIsAwayFailsWhatCannotBeKept(t *testing.T) {
	p := newScriptedPeer(t, nil)
	h := behind(t, p)
	p.down()
	c := h.calls(t, ul.Request{Contexts: []ul.ProposedContext{
		implicitly(1, findClass), implicitly(3, moveClass), implicitly(5, dicom.BasicGrayscalePrintManagementMeta),
	}}, 0)
	for id, rq := range map[uint8]dimse.Command{
		1: findRQ,
		3: {Field: dimse.CMoveRQ, AffectedSOPClassUID: moveClass, MoveDestination: "CT1"},
		5: {Field: dimse.NCreateRQ, AffectedSOPClassUID: dicom.BasicFilmSession},
	} {
		want := map[uint8]dimse.Status{1: statusAway, 3: statusAwayMove, 5: dimse.ProcessingFailure}[id]
		if got := last(c.ask(id, rq, identifier(t, false))); got.Command.Status != want {
			t.Errorf("%v: status %04X, want %04X", rq.Field, uint16(got.Command.Status), uint16(want))
		}
	}
}

func TestSilentArchiveDoesNotKeepAQueryForEver(t *testing.T) {
	p := newScriptedPeer(t, func(p *scriptedPeer) { p.serve = func(*dimse.Exchange, *dimse.Message, []byte) {} })
	h := behind(t, p, func(c *Config) { c.QueryTimeout = 200 * time.Millisecond })
	c := h.calls(t, ul.Request{Contexts: []ul.ProposedContext{implicitly(1, findClass)}}, 0)
	if got := last(c.ask(1, findRQ, identifier(t, false))); got.Command.Status != statusBroken {
		t.Errorf("%+v", got)
	}
}

// Who may query does not retrieve on the context for queries, and nothing but
// objects comes on a context for storage.
func TestContextIsForItsOwnServiceAlone(t *testing.T) {
	p := newScriptedPeer(t, nil)
	h := behind(t, p, func(c *Config) { c.Site.Devices[0].May = []policy.Service{policy.ServiceQuery, policy.ServiceStore} })
	c := h.calls(t, ul.Request{Contexts: []ul.ProposedContext{
		implicitly(1, findClass), implicitly(3, dicom.CTImageStorage), implicitly(5, moveClass),
	}}, 0)
	if _, ok := c.Conn().Association().Context(5); ok {
		t.Error("a service that the device may not use was accepted")
	}
	for _, try := range []struct {
		id    uint8
		field dimse.CommandField
		class dicom.UID
	}{
		{1, dimse.CMoveRQ, findClass}, {1, dimse.CMoveRQ, moveClass}, {1, dimse.CGetRQ, getClass}, {1, dimse.NDeleteRQ, findClass},
		{1, dimse.CEchoRQ, dicom.Verification}, {3, dimse.CFindRQ, dicom.CTImageStorage}, {3, dimse.NSetRQ, dicom.CTImageStorage},
		{1, dimse.CFindRQ, dicom.ModalityWorklistInformationModelFind},
	} {
		got := last(c.ask(try.id, dimse.Command{Field: try.field, AffectedSOPClassUID: try.class, MoveDestination: "CT1"}, nil))
		if got.Command.Status != dimse.SOPClassNotSupported {
			t.Errorf("%v of %s on context %d: %+v", try.field, try.class, try.id, got.Command)
		}
	}
	if n := len(p.received()); n != 0 {
		t.Errorf("%d messages reached the archive", n)
	}
}

// Procedure steps, print jobs and the like go through in both directions.
func TestNormalizedServicesBothWays(t *testing.T) {
	instance := newUID()
	reported := make(chan dimse.Status, 1)
	p := newScriptedPeer(t, func(p *scriptedPeer) {
		p.serve = func(x *dimse.Exchange, m *dimse.Message, data []byte) {
			rsp := dimse.Command{AffectedSOPInstanceUID: instance}
			if m.Command.Field == dimse.NSetRQ {
				rsp.Status = dimse.AttributeListError
			}
			x.Respond(context.Background(), m, rsp, reader(data))
			if m.Command.Field != dimse.NActionRQ {
				return
			}
			event := uint16(1)
			op, err := x.Begin(context.Background(), 3, dimse.Command{
				Field: dimse.NEventReportRQ, AffectedSOPClassUID: dicom.Printer, AffectedSOPInstanceUID: dicom.PrinterInstance, EventTypeID: &event,
			}, bytes.NewReader(identifier(t, false)))
			if err != nil {
				t.Error(err)
				return
			}
			r, err := op.Next(context.Background())
			if err != nil {
				t.Error(err)
			}
			reported <- r.Command.Status
		}
	})
	h := behind(t, p)
	c := h.calls(t, ul.Request{Contexts: []ul.ProposedContext{
		implicitly(1, dicom.ModalityPerformedProcedureStep), implicitly(3, dicom.BasicGrayscalePrintManagementMeta),
	}}, dimse.AttributeValueOutOfRange)
	data := identifier(t, false)
	create := last(c.ask(1, dimse.Command{Field: dimse.NCreateRQ, AffectedSOPClassUID: dicom.ModalityPerformedProcedureStep}, data))
	if create.Command.Status != dimse.Success || create.Command.AffectedSOPInstanceUID != instance || !bytes.Equal(create.Data, data) {
		t.Errorf("N-CREATE: %+v", create)
	}
	set := last(c.ask(1, dimse.Command{Field: dimse.NSetRQ, RequestedSOPClassUID: dicom.ModalityPerformedProcedureStep, RequestedSOPInstanceUID: instance}, data))
	if set.Command.Status != dimse.AttributeListError {
		t.Errorf("N-SET: %+v", set)
	}
	action := uint16(1)
	print := last(c.ask(3, dimse.Command{Field: dimse.NActionRQ, RequestedSOPClassUID: dicom.BasicFilmSession, RequestedSOPInstanceUID: "1.2", ActionTypeID: &action}, nil))
	if print.Command.Status != dimse.Success || print.Data != nil {
		t.Errorf("N-ACTION: %+v", print)
	}
	if s := <-reported; s != dimse.AttributeValueOutOfRange {
		t.Errorf("N-EVENT-REPORT: status %04X", uint16(s))
	}
	if e := c.took(); e.command.Field != dimse.NEventReportRQ || !bytes.Equal(e.data, data) || *e.command.EventTypeID != 1 {
		t.Errorf("%+v", e)
	}
	eventually(t, "both steps on the ledger", func() bool { return len(h.recorded("step.relayed")) == 2 })
}

func TestNegotiationIsPassedOnAndMirrored(t *testing.T) {
	p := newScriptedPeer(t, func(p *scriptedPeer) {
		p.respond = func(rs *ul.Response, rq *ul.Request) {
			rs.UserIdentity = &ul.UserIdentityResponse{ServerResponse: []byte("ticket")}
			rs.Roles = []ul.RoleSelection{{SOPClass: dicom.CTImageStorage, SCP: true}}
			rs.Extended[0].Information = []byte{1}
		}
	})
	h := behind(t, p)
	common := ul.SubItem{Type: itemCommonExtended, Data: append([]byte{0, byte(len(dicom.CTImageStorage))}, dicom.CTImageStorage...)}
	long := ul.SubItem{Type: itemCommonExtended, Data: append(append([]byte{0, byte(len(findClass))}, findClass...), make([]byte, maxCommonExtended)...)}
	foreign := ul.SubItem{Type: itemCommonExtended, Data: append([]byte{0, 3}, "1.2"...)}
	c := h.calls(t, ul.Request{
		Contexts:     []ul.ProposedContext{implicitly(1, getClass), implicitly(3, dicom.CTImageStorage), implicitly(5, findClass)},
		Roles:        []ul.RoleSelection{{SOPClass: dicom.CTImageStorage, SCU: true, SCP: true}},
		Extended:     []ul.ExtendedNegotiation{{SOPClass: findClass, Information: []byte{1, 1}}, {SOPClass: "1.2.3", Information: []byte{1}}, {SOPClass: getClass, Information: make([]byte, maxExtended+1)}},
		UserIdentity: &ul.UserIdentity{Type: ul.IdentityPasscode, ResponseRequested: true, Primary: []byte("able"), Secondary: []byte("secret")},
		Async:        &ul.AsyncWindow{Invoked: 30, Performed: 2},
		Unknown:      []ul.SubItem{common, long, foreign, {Type: 0x5F, Data: []byte("what is this")}},
	}, 0)
	asked := p.request(0)
	switch {
	case len(asked.Roles) != 1 || asked.Roles[0] != ul.RoleSelection{SOPClass: dicom.CTImageStorage, SCU: true, SCP: true}:
		t.Errorf("roles: %+v", asked.Roles)
	case len(asked.Extended) != 1 || asked.Extended[0].SOPClass != findClass:
		t.Errorf("extended negotiation: %+v", asked.Extended)
	case asked.UserIdentity == nil || string(asked.UserIdentity.Secondary) != "secret":
		t.Error("no user identity")
	case asked.Async == nil || *asked.Async != ul.AsyncWindow{Invoked: windowLimit, Performed: 2}:
		t.Errorf("window: %+v", asked.Async)
	case len(asked.Unknown) != 1 || !bytes.Equal(asked.Unknown[0].Data, common.Data):
		t.Errorf("common extended negotiation: %+v", asked.Unknown)
	}
	got := c.Conn().Association().Response()
	switch {
	case len(got.Roles) != 1 || got.Roles[0].SCU || !got.Roles[0].SCP:
		t.Errorf("roles answered: %+v", got.Roles)
	case len(got.Extended) != 1 || len(got.Extended[0].Information) != 1:
		t.Errorf("extended negotiation answered: %+v", got.Extended)
	case got.UserIdentity == nil || string(got.UserIdentity.ServerResponse) != "ticket":
		t.Error("no answer to the user identity")
	case got.Async == nil || *got.Async != ul.AsyncWindow{Invoked: windowLimit, Performed: 2}:
		t.Errorf("window answered: %+v", got.Async)
	}
}

func TestUserIdentityIsStripped(t *testing.T) {
	p := newScriptedPeer(t, nil)
	h := behind(t, p, func(c *Config) { c.Site.Devices[0].UserIdentity = policy.IdentityStrip })
	h.calls(t, ul.Request{
		Contexts:     []ul.ProposedContext{implicitly(1, findClass)},
		UserIdentity: &ul.UserIdentity{Type: ul.IdentityUserName, Primary: []byte("able")},
	}, 0)
	if p.request(0).UserIdentity != nil {
		t.Error("the archive was told who uses the device")
	}
}

// Images go to one archive, the worklist to another; that one of them is away
// is nothing to the other.
func TestEachServiceGoesToItsOwnArchive(t *testing.T) {
	worklist := newScriptedPeer(t, func(p *scriptedPeer) { p.serve = answering(dimse.Success, identifier(t, false)) })
	h := start(t, func(c *Config) {
		c.Site.Archives[0].Services = []policy.Service{policy.ServiceStore}
		c.Site.Archives = append(c.Site.Archives, policy.Archive{Name: "ris", AETitle: "RIS", Services: []policy.Service{policy.ServiceWorklist}})
		c.Upstreams = append(c.Upstreams, Upstream{Name: "ris", AETitle: "RIS", Address: worklist.address})
	})
	h.archive.down()
	wl := dicom.ModalityWorklistInformationModelFind
	c := h.calls(t, ul.Request{Contexts: []ul.ProposedContext{
		implicitly(1, wl), explicitly(3, dicom.CTImageStorage), implicitly(5, findClass),
	}}, 0)
	if _, ok := c.Conn().Association().Context(5); ok {
		t.Error("a service that nobody serves was accepted")
	}
	if got := c.ask(1, dimse.Command{Field: dimse.CFindRQ, AffectedSOPClassUID: wl}, identifier(t, false)); len(got) != 2 {
		t.Errorf("worklist: %+v", got)
	}
	im := newImage(t, nil)
	rsp, err := c.Store(t.Context(), 3, dimse.StoreRequest{SOPClassUID: im.class, SOPInstanceUID: im.uid}, bytes.NewReader(im.data))
	if err != nil || rsp.Status != dimse.Success {
		t.Fatalf("status %04X, %v", uint16(rsp.Status), err)
	}
	if rq := worklist.request(0); rq.Called != "RIS" || len(rq.Contexts) != 1 {
		t.Errorf("the worklist's own archive was asked for %+v", rq.Contexts)
	}
	h.archive.up(h.archive.address)
	eventually(t, "the image in its archive", func() bool { return h.archive.holds(im) })
}

// With a window, the next object is received while the one before it is on its
// way, and each is answered when it has arrived.
func TestObjectsOverlapInAWindow(t *testing.T) {
	release := make(chan struct{})
	p := newScriptedPeer(t, func(p *scriptedPeer) {
		p.serve = func(x *dimse.Exchange, m *dimse.Message, _ []byte) {
			if m.Command.Priority == dimse.Low {
				<-release
			}
			x.Respond(context.Background(), m, dimse.Command{}, nil)
		}
	})
	h := behind(t, p)
	c := h.calls(t, ul.Request{
		Contexts: []ul.ProposedContext{explicitly(3, dicom.CTImageStorage)},
		Async:    &ul.AsyncWindow{Invoked: 4, Performed: 1},
	}, 0)
	slow := make(chan dimse.Status, 1)
	images := []image{newImage(t, nil), newImage(t, nil), newImage(t, nil)}
	go func() {
		rsp, err := c.Store(context.Background(), 3, dimse.StoreRequest{SOPClassUID: images[0].class, SOPInstanceUID: images[0].uid, Priority: dimse.Low}, bytes.NewReader(images[0].data))
		if err != nil {
			t.Error(err)
		}
		slow <- rsp.Status
	}()
	eventually(t, "the first on its way", func() bool { return len(p.received()) == 1 })
	for _, im := range images[1:] {
		rsp, err := c.Store(t.Context(), 3, dimse.StoreRequest{SOPClassUID: im.class, SOPInstanceUID: im.uid}, bytes.NewReader(im.data))
		if err != nil || rsp.Status != dimse.Success {
			t.Fatalf("status %04X, %v", uint16(rsp.Status), err)
		}
	}
	select {
	case <-slow:
		t.Error("answered before the archive did")
	default:
	}
	close(release)
	if s := <-slow; s != dimse.Success {
		t.Errorf("status %04X", uint16(s))
	}
	for i, e := range p.received() {
		if !slices.ContainsFunc(images, func(im image) bool { return bytes.Equal(im.data, e.data) }) {
			t.Errorf("object %d is none that was sent", i)
		}
	}
}

// A stop lets the query under way finish, and starts no other.
func TestStopFinishesTheQueryUnderWay(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	p := newScriptedPeer(t, func(p *scriptedPeer) {
		p.serve = func(x *dimse.Exchange, m *dimse.Message, _ []byte) {
			close(asked)
			<-answer
			x.Respond(context.Background(), m, dimse.Command{}, nil)
		}
	})
	h := behind(t, p)
	c := h.calls(t, ul.Request{Contexts: []ul.ProposedContext{implicitly(1, findClass)}}, 0)
	op, err := c.Begin(t.Context(), 1, findRQ, strings.NewReader(string(identifier(t, false))))
	if err != nil {
		t.Fatal(err)
	}
	<-asked
	go func() { h.stop() }()
	eventually(t, "the stop", h.stopping)
	close(answer)
	if got := last(c.rest(op)); got.Command.Status != dimse.Success {
		t.Errorf("%+v", got)
	}
}

// stopping reports whether no association lets another operation begin.
func (h *house) stopping() bool {
	h.gateway.live.mu.Lock()
	defer h.gateway.live.mu.Unlock()
	for s := range h.gateway.live.sessions {
		s.under.mu.Lock()
		closed := s.under.closed
		s.under.mu.Unlock()
		if !closed {
			return false
		}
	}
	return true
}

// Nor does what a peer with a window still sends cut off what is under way.
func TestStopFinishesTheObjectsOfAWindow(t *testing.T) {
	answer := make(chan struct{})
	p := newScriptedPeer(t, func(p *scriptedPeer) {
		p.serve = func(x *dimse.Exchange, m *dimse.Message, _ []byte) {
			<-answer
			x.Respond(context.Background(), m, dimse.Command{}, nil)
		}
	})
	h := behind(t, p)
	c := h.calls(t, ul.Request{
		Contexts: []ul.ProposedContext{explicitly(3, dicom.CTImageStorage)}, Async: &ul.AsyncWindow{Invoked: 4, Performed: 1},
	}, 0)
	store := func(im image) (dimse.Command, error) {
		return c.Store(context.Background(), 3, dimse.StoreRequest{SOPClassUID: im.class, SOPInstanceUID: im.uid}, bytes.NewReader(im.data))
	}
	first, late := make(chan dimse.Status, 1), make(chan error, 1)
	go func() { // ends with the association
		rsp, err := store(newImage(t, nil))
		if err != nil {
			t.Error(err)
		}
		first <- rsp.Status
	}()
	eventually(t, "the first on its way", func() bool { return len(p.received()) == 1 })
	stopped := make(chan struct{})
	go func() { // ends with the house
		h.stop()
		close(stopped)
	}()
	eventually(t, "the stop", h.stopping)
	go func() { // ends with the association
		_, err := store(newImage(t, nil))
		late <- err
	}()
	time.Sleep(100 * time.Millisecond)
	close(answer)
	if s := <-first; s != dimse.Success {
		t.Errorf("status %04X", uint16(s))
	}
	if err := <-late; err == nil {
		t.Error("it was taken after the stop")
	}
	<-stopped
}

// What a command says beside what its message has is not the peer's to choose.
func TestCommandsCarryNothingElse(t *testing.T) {
	const long = "no AE title, but a text of the sender's choice that goes wherever commands go"
	p := newScriptedPeer(t, func(p *scriptedPeer) {
		p.serve = func(x *dimse.Exchange, m *dimse.Message, _ []byte) {
			x.Respond(context.Background(), m, dimse.Command{
				Status: dimse.ProcessingFailure, ErrorComment: "\x1b]0;owned\x07", MoveDestination: long, MoveOriginatorAETitle: long,
				AttributeIdentifierList: []dicom.Tag{dicom.TagPatientID}, OffendingElement: []dicom.Tag{dicom.TagPatientID},
			}, nil)
		}
	})
	h := behind(t, p)
	c := h.calls(t, ul.Request{Contexts: []ul.ProposedContext{implicitly(1, findClass)}}, 0)
	rq := findRQ
	rq.MoveDestination, rq.MoveOriginatorAETitle, rq.ErrorComment = long, long, long
	rq.AttributeIdentifierList = []dicom.Tag{dicom.TagPatientID}
	got := last(c.ask(1, rq, identifier(t, false))).Command
	if got.Status != dimse.ProcessingFailure || len(got.OffendingElement) != 1 {
		t.Errorf("%+v", got)
	}
	for who, c := range map[string]dimse.Command{"archive": p.received()[0].command, "device": got} {
		if c.MoveDestination != "" || c.MoveOriginatorAETitle != "" || c.ErrorComment != "" || c.AttributeIdentifierList != nil {
			t.Errorf("the %s was sent %+v", who, c)
		}
	}
}

// A request names what it is about once, by what can be a UID, and for the
// service that its context is for.
func TestRequestNamesNothingOfAnotherService(t *testing.T) {
	p := newScriptedPeer(t, nil)
	h := behind(t, p)
	c := h.calls(t, ul.Request{Contexts: []ul.ProposedContext{implicitly(1, findClass), implicitly(3, dicom.BasicGrayscalePrintManagementMeta)}}, 0)
	action := uint16(1)
	for name, try := range map[string]struct {
		id   uint8
		rq   dimse.Command
		want dimse.Status
	}{
		"a step's instance in print": {3, dimse.Command{
			Field: dimse.NActionRQ, AffectedSOPClassUID: dicom.BasicFilmSession, RequestedSOPClassUID: dicom.UnifiedProcedureStepPush,
			RequestedSOPInstanceUID: "1.2", ActionTypeID: &action,
		}, dimse.SOPClassNotSupported},
		"another model's query": {1, dimse.Command{Field: dimse.CFindRQ, AffectedSOPClassUID: dicom.PatientRootQueryRetrieveInformationModelFind}, dimse.SOPClassNotSupported},
		"a path": {3, dimse.Command{
			Field: dimse.NSetRQ, RequestedSOPClassUID: dicom.BasicFilmBox, RequestedSOPInstanceUID: "../../etc/passwd",
		}, dimse.InvalidSOPInstance},
	} {
		if got := last(c.ask(try.id, try.rq, identifier(t, false))).Command; got.Status != try.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if n := len(p.received()); n != 0 {
		t.Errorf("%d messages reached the archive", n)
	}
}
