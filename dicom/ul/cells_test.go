package ul

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
	"time"
)

// at returns an association in a state of the protocol machine, on a connection to a script.
func at(t *testing.T, requestor bool, s state) (script, *Association) {
	t.Helper()
	peer, nc := connected(t)
	a := newAssociation(nc, quick, requestor)
	rq, rs := rqWant, acWant
	rs.Contexts = rs.Contexts[:1]
	a.rq, a.rs = &rq, &rs
	a.use()
	a.machine.state = s
	if s == sta2 || s == sta13 {
		a.artim = time.Now().Add(quick.ARTIM)
	}
	t.Cleanup(func() { nc.Close() })
	return peer, a
}

// happen makes an event happen: a PDU, an end or a timer over the connection, or a call of the service user's.
func happen(t *testing.T, e event, peer script, a *Association) {
	t.Helper()
	answer, err := encodeResponse(a.rs)
	if err != nil {
		t.Fatal(err)
	}
	sent := map[event][]byte{
		evt3AssociateAC: answer,
		evt4AssociateRJ: encodeRejection(Rejection{RejectedPermanent, RejectSourceUser, RejectCalledAETitle}),
		evt6AssociateRQ: vector(t, rqVector),
		evt10Data:       dataPDU(1, 3, []byte("ab")),
		evt12ReleaseRQ:  encodeRelease(typeReleaseRQ),
		evt13ReleaseRP:  encodeRelease(typeReleaseRP),
		evt16Abort:      encodeAbort(Abort{AbortSourceUser, 0}),
		evt19InvalidPDU: vector(t, "08 00 00000004 00000000"),
	}
	switch e {
	case evt1AssociateRequest, evt2TransportConfirm, evt5TransportOpened:
		a.step(e, nil) // Dial and Receive do the rest: see TestNegotiationReachesBothSides
	case evt7AssociateAccept:
		i := &Indication{*a.rq, a}
		if _, err := i.Accept(i.Request.Respond(acceptAll)); err != nil {
			t.Fatal(err)
		}
	case evt8AssociateReject:
		go (&Indication{*a.rq, a}).Reject(unsupportedVersion) // ends within ARTIM
	case evt9DataRequest:
		if _, err := a.WriteMessage(1, []byte("ab"), nil); err != nil {
			t.Fatal(err)
		}
	case evt11ReleaseRequest:
		if err := a.sendControl(evt11ReleaseRequest, encodeRelease(typeReleaseRQ)); err != nil {
			t.Fatal(err)
		}
	case evt14ReleaseResponse:
		a.respondRelease(io.EOF)
	case evt15AbortRequest:
		a.Abort(Abort{Source: AbortSourceUser})
	case evt17TransportClosed:
		peer.Close()
		receiveOne(a)
	case evt18ARTIMExpired:
		a.mu.Lock()
		a.artim = time.Now().Add(10 * time.Millisecond)
		a.mu.Unlock()
		receiveOne(a)
	default:
		peer.send(sent[e])
		receiveOne(a)
	}
}

func receiveOne(a *Association) {
	a.rmu.Lock()
	defer a.rmu.Unlock()
	a.receive()
}

// consequence is what the peer sees of an action, and the state that it leads to: PS3.8 tables 9-6 to 9-9, with what our
// service user does at once. It agrees to each release as soon as it is told of it: AR-2 and AR-10 are followed by AR-4, AR-8
// of the requestor by AR-9.
func consequence(t *testing.T, act string, s state, requestor bool) (sent []byte, closed bool, next state) {
	t.Helper()
	user := encodeAbort(Abort{AbortSourceUser, 0})
	accepted := rqWant.Respond(acceptAll)
	ac := &Association{limits: quick.withDefaults()}
	if err := ac.establish(rqWant, &accepted); err != nil {
		t.Fatal(err)
	}
	acPDU, err := encodeResponse(&accepted)
	if err != nil {
		t.Fatal(err)
	}
	switch act {
	case "AE-1":
		return nil, false, sta4
	case "AE-2":
		return nil, false, sta5
	case "AE-3", "DT-2":
		return nil, false, sta6
	case "AE-4", "AR-3", "AA-2", "AA-3", "AA-4", "AA-5", "AR-5":
		return nil, true, sta1
	case "AE-5":
		return nil, false, sta2
	case "AE-6":
		return nil, false, sta3
	case "AE-7":
		return acPDU, false, sta6
	case "AE-8":
		return encodeRejection(unsupportedVersion), false, sta13
	case "DT-1":
		return dataPDU(1, 3, []byte("ab")), false, sta6
	case "AR-1":
		return encodeRelease(typeReleaseRQ), false, sta7
	case "AR-2", "AR-4", "AR-10":
		return encodeRelease(typeReleaseRP), false, sta13
	case "AR-6":
		return nil, false, sta7
	case "AR-7":
		return dataPDU(1, 3, []byte("ab")), false, sta8
	case "AR-8":
		if requestor {
			return encodeRelease(typeReleaseRP), false, sta11
		}
		return nil, false, sta10
	case "AR-9":
		return encodeRelease(typeReleaseRP), false, sta11
	case "AA-1":
		if s == sta2 { // the reason is told: see answerViolation
			return nil, false, sta13
		}
		return user, false, sta13
	case "AA-6":
		return nil, false, sta13
	case "AA-7", "AA-8":
		return nil, false, sta13 // the reason is the violation's
	}
	t.Fatalf("no such action: %q", act)
	return nil, false, 0
}

// abortFor is the A-ABORT that answers an event which may not be.
func abortFor(e event) []byte {
	reason := AbortUnexpectedPDU
	if e == evt19InvalidPDU {
		reason = AbortUnrecognizedPDU
	}
	return encodeAbort(Abort{AbortSourceProvider, reason})
}

// impossible says of a cell of table 9-10 why there is no connection, or no call of ours, for it to happen on.
func impossible(e event, s state, requestor bool) string {
	switch {
	case s == sta1 || s == sta4: // E1, E2, E5, E15, E17: before there is a connection
		if e == evt15AbortRequest || e == evt17TransportClosed {
			return "connect gives up by itself, and the machine of a connection begins when it is open"
		}
	case requestor && (s == sta2 || s == sta3 || s == sta10 || s == sta12):
		return "a state of the acceptor's"
	case !requestor && (s == sta5 || s == sta9 || s == sta11):
		return "a state of the requestor's"
	}
	return ""
}

// Every cell of PS3.8 table 9-10, in both roles, over a connection: what the peer sees, and where the machine is then. Cells
// without an action cannot happen, and change nothing.
func TestEveryCellOverTheWire(t *testing.T) {
	table := parseTable(t, table910)
	covered, both, beyond := map[[2]int]bool{}, 0, map[[2]int]string{}
	for _, requestor := range []bool{false, true} {
		for i := range table {
			for j := range table[i] {
				e, s, act := event(i+1), state(j+1), table[i][j]
				cell := [2]int{i + 1, j + 1}
				if act == "" {
					m := machine{state: s, requestor: requestor}
					if got, err := m.step(e); err == nil || m.state != s {
						t.Errorf("event %d in Sta%d: %v, want nothing", e, s, got)
					}
					continue
				}
				if why := impossible(e, s, requestor); why != "" {
					beyond[cell] = why
					continue
				}
				covered[cell] = true
				both++
				t.Run(fmt.Sprintf("E%d Sta%d requestor %v", e, s, requestor), func(t *testing.T) {
					t.Parallel()
					checkCell(t, e, s, requestor, act)
				})
			}
		}
	}
	missing := 0
	for cell, why := range beyond {
		if !covered[cell] {
			missing++
			t.Logf("event %d in Sta%d has no wire: %s", cell[0], cell[1], why)
		}
	}
	t.Logf("%d of 123 cells over the wire, %d in both roles together; %d have none", len(covered), both, missing)
	if len(covered)+missing != 123 || missing != 2 {
		t.Errorf("%d cells covered and %d without a wire, want 121 and 2", len(covered), missing)
	}
}

func checkCell(t *testing.T, e event, s state, requestor bool, act string) {
	peer, a := at(t, requestor, s)
	happen(t, e, peer, a)
	sent, closed, next := consequence(t, act, s, requestor)
	switch {
	case act == "AA-8", act == "AA-7", act == "AA-1" && s == sta2:
		sent = abortFor(e)
	}
	if e == evt17TransportClosed {
		sent, closed = nil, false // there is nobody left to see it
	}
	if sent != nil {
		peer.expect(sent)
	}
	switch got := a.state(); {
	case e == evt8AssociateReject: // Reject waits for the peer
	case got != next:
		t.Errorf("%s leads to Sta%d, want Sta%d", act, got, next)
	}
	switch {
	case closed:
		peer.expectEnd()
	case sent == nil && e != evt17TransportClosed:
		peer.expectSilence()
	}
	if act == "DT-2" || act == "AR-6" {
		if pdv, err := a.ReadPDV(); err != nil || !bytes.Equal(pdv.Data, []byte("ab")) {
			t.Errorf("data: %+v, %v", pdv, err)
		}
	}
	peer.Close()
	a.Close()
}

// expectSilence fails if anything comes within a moment.
func (s script) expectSilence() {
	s.t.Helper()
	s.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if n, err := s.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		s.t.Fatalf("received %d bytes, %v, want nothing", n, err)
	}
}

// A requestor that does not wait for the answer, or goes away, is met before it is answered.
func TestNothingMayComeBeforeTheAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		sent []byte
		want error
	}{
		"data":           {dataPDU(1, 3, []byte("ab")), &Abort{AbortSourceProvider, AbortUnexpectedPDU}},
		"release":        {encodeRelease(typeReleaseRQ), &Abort{AbortSourceProvider, AbortUnexpectedPDU}},
		"second request": {vector(t, rqVector), &Abort{AbortSourceProvider, AbortUnexpectedPDU}},
		"rubbish":        {vector(t, "4745 5420 2F20"), &Abort{AbortSourceProvider, AbortUnrecognizedPDU}},
		"abort":          {encodeAbort(Abort{}), &Abort{}},
		"end":            {nil, io.ErrUnexpectedEOF},
	} {
		for _, together := range []bool{false, true} {
			t.Run(fmt.Sprint(name, together), func(t *testing.T) {
				noLeaks(t)
				peer, nc := connected(t)
				request := vector(t, rqVector)
				if together {
					peer.send(append(request, c.sent...))
				} else {
					peer.send(request)
				}
				i, err := Receive(t.Context(), nc, quick)
				if err != nil {
					t.Fatal(err)
				}
				if !together {
					peer.send(c.sent)
				}
				if c.sent == nil {
					peer.Close()
				}
				time.Sleep(20 * time.Millisecond)
				done := make(chan error)
				go func() { // ends with Accept
					_, err := i.Accept(i.Request.Respond(acceptAll))
					done <- err
				}()
				if ab, ok := c.want.(*Abort); ok && ab.Source == AbortSourceProvider {
					peer.expect(encodeAbort(*ab))
				}
				peer.Close()
				err = <-done
				if ab, ok := c.want.(*Abort); ok {
					if got, isAbort := errors.AsType[*Abort](err); !isAbort || *got != *ab {
						t.Errorf("error %v, want %v", err, ab)
					}
				} else if !errors.Is(err, c.want) {
					t.Errorf("error %v, want %v", err, c.want)
				}
			})
		}
	}
}
