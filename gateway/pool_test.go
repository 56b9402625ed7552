package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
)

// requested is how many associations the archive was asked for.
func (a *scriptedArchive) requested() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.requests)
}

// waiting is how many associations wait for another session.
func (h *house) waiting() int {
	p := h.gateway.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle)
}

// stores opens an association as rq says, stores an image on its context id, and
// releases it. Contexts of rq default to one for CT images.
func (h *house) stores(rq ul.Request, id uint8) image {
	h.t.Helper()
	if rq.Contexts == nil {
		rq.Contexts = []ul.ProposedContext{{ID: id, AbstractSyntax: dicom.CTImageStorage, TransferSyntaxes: []dicom.UID{dicom.ExplicitVRLittleEndian}}}
	}
	if rq.Calling == "" {
		rq.Calling = "CT1"
	}
	rq.Called = "CORDON"
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	as, err := ul.Dial(ctx, h.address, nil, rq, ul.Limits{})
	if err != nil {
		h.t.Fatal(err)
	}
	c := dimse.NewConn(as)
	defer c.Close()
	im := newImage(h.t, nil)
	rsp, err := c.Store(ctx, id, dimse.StoreRequest{SOPClassUID: im.class, SOPInstanceUID: im.uid}, bytes.NewReader(im.data))
	if err != nil || rsp.Status != dimse.Success {
		h.t.Fatalf("status %04X, %v", uint16(rsp.Status), err)
	}
	if err := c.Release(ctx); err != nil {
		h.t.Fatal(err)
	}
	return im
}

// settled waits until the session's association is left, or released.
func (h *house) settled(waiting int) {
	h.t.Helper()
	t, ok := h.t.(*testing.T)
	if !ok {
		return
	}
	eventually(t, "the associations that wait for another session", func() bool { return h.waiting() == waiting })
}

func patient(c *Config) { c.Upstreams[0].KeepIdle = time.Minute }

func TestAnAssociationServesTheNextSession(t *testing.T) {
	h := start(t, patient)
	for _, id := range []uint8{1, 1, 5} { // its contexts may have other ids
		im := h.stores(ul.Request{}, id)
		h.settled(1)
		if !h.archive.holds(im) {
			t.Error("the archive does not have the image")
		}
	}
	if n := h.archive.requested(); n != 1 {
		t.Errorf("the archive was asked for %d associations", n)
	}
	if n := len(h.recorded("association.begin")); n != 3 {
		t.Errorf("%d associations on the ledger", n)
	}
}

// Nobody's objects go on an association that was made for somebody else, or that
// accepted something else.
func TestAnotherIdentityNeverShares(t *testing.T) {
	ct := func(ts ...dicom.UID) []ul.ProposedContext {
		return []ul.ProposedContext{{ID: 1, AbstractSyntax: dicom.CTImageStorage, TransferSyntaxes: ts}}
	}
	user := func(name, passcode string) ul.Request {
		return ul.Request{UserIdentity: &ul.UserIdentity{Type: ul.IdentityPasscode, Primary: []byte(name), Secondary: []byte(passcode)}}
	}
	ticket := ul.Request{UserIdentity: &ul.UserIdentity{Type: ul.IdentityKerberos, Primary: []byte("ticket")}}
	answered := ul.Request{UserIdentity: &ul.UserIdentity{Type: ul.IdentityUserName, ResponseRequested: true, Primary: []byte("ann")}}
	for name, two := range map[string][2]ul.Request{
		"calling AE title":      {{Calling: "CT1"}, {Calling: "CT2"}},
		"no user identity":      {user("ann", "1"), {}},
		"user name":             {user("ann", "1"), user("bob", "1")},
		"passcode":              {user("ann", "1"), user("ann", "2")},
		"ticket":                {ticket, ticket},
		"answered identity":     {answered, answered},
		"transfer syntax":       {{Contexts: ct(dicom.ExplicitVRLittleEndian)}, {Contexts: ct(dicom.ImplicitVRLittleEndian)}},
		"transfer syntax order": {{Contexts: ct(dicom.ExplicitVRLittleEndian, dicom.ImplicitVRLittleEndian)}, {Contexts: ct(dicom.ImplicitVRLittleEndian, dicom.ExplicitVRLittleEndian)}},
		"window":                {{}, {Async: &ul.AsyncWindow{Invoked: 4, Performed: 1}}},
		"roles":                 {{}, {Roles: []ul.RoleSelection{{SOPClass: dicom.CTImageStorage, SCU: true}}}},
		"extended negotiation":  {{}, {Extended: []ul.ExtendedNegotiation{{SOPClass: dicom.CTImageStorage, Information: []byte{2, 0, 0, 0, 0, 0}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, patient)
			for _, rq := range two {
				as, err := h.dial(rq)
				if err != nil {
					t.Fatal(err)
				}
				if err := as.Release(t.Context()); err != nil {
					t.Fatal(err)
				}
				as.Close()
				eventually(t, "the association ends", func() bool { return len(h.recorded("association.end")) == h.archive.requested() })
			}
			if n := h.archive.requested(); n != 2 {
				t.Errorf("the archive was asked for %d associations", n)
			}
		})
	}
}

// dial associates as rq says, by default as CT1 for CT images.
func (h *house) dial(rq ul.Request) (*ul.Association, error) {
	if rq.Contexts == nil {
		rq.Contexts = []ul.ProposedContext{{ID: 1, AbstractSyntax: dicom.CTImageStorage, TransferSyntaxes: []dicom.UID{dicom.ExplicitVRLittleEndian}}}
	}
	if rq.Calling == "" {
		rq.Calling = "CT1"
	}
	rq.Called = "CORDON"
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return ul.Dial(ctx, h.address, nil, rq, ul.Limits{})
}

// Devices that take turns keep an association each, up to some.
func TestDevicesThatTakeTurnsKeepTheirs(t *testing.T) {
	h := start(t, patient)
	titles := []dicom.AETitle{"CT1", "CT2", "CT3"}
	for range 3 {
		for _, title := range titles {
			h.stores(ul.Request{Calling: title}, 1)
		}
		h.settled(len(titles))
	}
	if n := h.archive.requested(); n != len(titles) {
		t.Errorf("the archive was asked for %d associations", n)
	}
	for i := range 2 * maxIdle {
		h.stores(ul.Request{Calling: dicom.AETitle(fmt.Sprintf("MR%d", i))}, 1)
	}
	h.settled(maxIdle)
}

// An archive with one place is never kept full by an association that waits: it
// says so, or falls silent, once.
func TestAnArchiveWithOnePlaceIsNotKeptFull(t *testing.T) {
	for name, says := range map[string]bool{"says so": true, "lets others wait": false} {
		t.Run(name, func(t *testing.T) {
			h := open(t, t.TempDir(), config(archiveWithOnePlace(t, says), patient))
			for i := range 4 {
				h.stores(ul.Request{Calling: dicom.AETitle(fmt.Sprintf("CT%d", i))}, 1)
				h.settled(1)
			}
			if n := len(h.recorded("object.delivered")); n != 4 {
				t.Errorf("%d objects were delivered", n)
			}
		})
	}
}

// archiveWithOnePlace takes every object, on one association at a time.
func archiveWithOnePlace(t *testing.T, says bool) (address string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	place := make(chan struct{}, 1)
	serve := func(nc net.Conn) {
		in, err := ul.Receive(context.Background(), nc, ul.Limits{})
		if err != nil {
			return
		}
		select {
		case place <- struct{}{}:
		default:
			in.Reject(ul.Rejection{Result: ul.RejectedTransient, Source: ul.RejectSourcePresentation, Reason: ul.RejectTemporaryCongestion})
			return
		}
		defer func() { <-place }()
		as, err := in.Accept(in.Request.Respond(func(c ul.ProposedContext) ul.AcceptedContext {
			return ul.AcceptedContext{TransferSyntax: c.TransferSyntaxes[0]}
		}))
		if err != nil {
			return
		}
		c := dimse.NewConn(as)
		defer c.Close()
		takeAll(c)
	}
	go func() { // ends with the test
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			if says {
				go serve(nc) // ends with its connection
			} else {
				serve(nc)
			}
		}
	}()
	return l.Addr().String()
}

// Two sessions at a time have an association each.
func TestTwoSessionsNeverShareAtATime(t *testing.T) {
	h := start(t, patient)
	h.stores(ul.Request{}, 1)
	h.settled(1)
	one, err := h.dial(ul.Request{})
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	two, err := h.dial(ul.Request{})
	if err != nil {
		t.Fatal(err)
	}
	defer two.Close()
	if n := h.archive.requested(); n != 2 {
		t.Errorf("the archive was asked for %d associations", n)
	}
}

// An archive that was restarted is asked again, and nothing is spooled.
func TestARestartedArchiveIsAskedAgain(t *testing.T) {
	h := start(t, patient)
	h.stores(ul.Request{}, 1)
	h.settled(1)
	address := h.archive.address
	h.archive.down()
	h.archive.up(address)
	if im := h.stores(ul.Request{}, 1); !h.archive.holds(im) {
		t.Error("the archive does not have the image")
	}
	if n := h.archive.requested(); n != 2 {
		t.Errorf("the archive was asked for %d associations", n)
	}
}

// An association that breaks with the object is replaced once; if that breaks
// too, the object is kept here.
func TestAStaleAssociationIsReplacedOnce(t *testing.T) {
	for name, breaks := range map[string]int{"once": 1, "again": 2} {
		t.Run(name, func(t *testing.T) {
			a := newScriptedArchive(t)
			asked := 0
			a.answer = func(int, stored) (dimse.Command, bool) {
				asked++
				return dimse.Command{}, asked == 1 || asked > 1+breaks
			}
			h := open(t, t.TempDir(), config(a.address, patient))
			h.stores(ul.Request{}, 1)
			h.settled(1)
			h.stores(ul.Request{}, 1)
			if n := a.requested(); n < 2 {
				t.Errorf("the archive was asked for %d associations", n)
			}
			if n := len(h.recorded("object.spooled")); n != breaks-1 {
				t.Errorf("%d objects were spooled", n)
			}
		})
	}
}

// One that fell silent is not waited for again by those who come after.
func TestASilentAssociationIsNotTrustedAgain(t *testing.T) {
	h := start(t, patient, func(c *Config) { c.ResponseTimeout = 200 * time.Millisecond })
	one, err := h.dial(ul.Request{})
	if err != nil {
		t.Fatal(err)
	}
	h.stores(ul.Request{}, 1)
	h.settled(1)
	one.Release(t.Context())
	one.Close()
	h.settled(2)
	silent := make(chan struct{})
	h.archive.mu.Lock()
	h.archive.answer = func(int, stored) (dimse.Command, bool) {
		h.archive.mu.Unlock()
		<-silent
		h.archive.mu.Lock()
		return dimse.Command{}, true
	}
	h.archive.mu.Unlock()
	defer close(silent)
	h.stores(ul.Request{}, 1) // kept here
	if n := len(h.inState(custody.Spooled)); n != 1 {
		t.Errorf("%d objects are spooled", n)
	}
	h.settled(0)
}

// What waits is released in order, when nobody came and when the gateway stops.
func TestWhatWaitsIsReleased(t *testing.T) {
	for name, end := range map[string]func(*house){
		"in time":      func(*house) {},
		"when stopped": func(h *house) { h.stop() },
		"when it has grown old": func(h *house) {
			h.gateway.pool.mu.Lock()
			h.gateway.pool.age = 0
			h.gateway.pool.mu.Unlock()
			h.stores(ul.Request{}, 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			released := make(chan error, 4)
			address := archiveThatTells(t, released)
			wait := time.Minute
			if name == "in time" {
				wait = 50 * time.Millisecond
			}
			h := open(t, t.TempDir(), config(address, func(c *Config) { c.Upstreams[0].KeepIdle = wait }))
			h.stores(ul.Request{}, 1)
			if name != "in time" {
				h.settled(1)
			}
			end(h)
			select {
			case err := <-released:
				if err != nil {
					t.Errorf("the association ended with %v", err)
				}
			case <-time.After(10 * time.Second):
				t.Error("it was not released")
			}
		})
	}
}

// archiveThatTells takes every object, and tells how each association ended: nil
// is a release.
func archiveThatTells(t *testing.T, ended chan<- error) (address string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() { // ends with the test
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				in, err := ul.Receive(context.Background(), nc, ul.Limits{})
				if err != nil {
					return
				}
				as, err := in.Accept(in.Request.Respond(func(c ul.ProposedContext) ul.AcceptedContext {
					return ul.AcceptedContext{TransferSyntax: c.TransferSyntaxes[0]}
				}))
				if err != nil {
					return
				}
				c := dimse.NewConn(as)
				defer c.Close()
				ended <- takeAll(c)
			}()
		}
	}()
	return l.Addr().String()
}

func takeAll(c *dimse.Conn) error {
	for {
		m, err := c.Receive(context.Background())
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if err := c.Respond(context.Background(), m, dimse.Command{}, nil); err != nil {
			return err
		}
	}
}

// An archive that asks for something on an association that is nobody's is hung
// up on.
func TestNobodyAnswersWhileNobodyIsThere(t *testing.T) {
	p := newScriptedPeer(t, func(p *scriptedPeer) {
		p.invoke = func(x *dimse.Exchange, rq *ul.Request) {
			time.Sleep(300 * time.Millisecond) // the session is over then
			x.Begin(context.Background(), rq.Contexts[0].ID, dimse.Command{Field: dimse.CEchoRQ, AffectedSOPClassUID: dicom.Verification}, nil)
		}
	})
	h := open(t, t.TempDir(), config(p.address, patient))
	h.stores(ul.Request{}, 1)
	h.settled(1)
	h.settled(0)
}
