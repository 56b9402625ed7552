package gateway

import (
	"bytes"
	"context"
	"testing"

	"cordon/dicom/dimse"
	"cordon/dicom/ul"
)

// Of two requests under one message id the second is refused; the first is
// performed, and only that.
func TestMessageIDInUseIsRefused(t *testing.T) {
	arrived, proceed := make(chan struct{}, 2), make(chan struct{})
	p := newScriptedPeer(t, func(p *scriptedPeer) {
		p.serve = func(x *dimse.Exchange, m *dimse.Message, _ []byte) {
			arrived <- struct{}{}
			<-proceed
			x.Respond(context.Background(), m, dimse.Command{}, nil)
		}
	})
	h := behind(t, p)
	as, err := ul.Dial(t.Context(), h.address, nil, ul.Request{
		Calling: "CT1", Called: "CORDON", Contexts: []ul.ProposedContext{implicitly(1, findClass)}, Async: &ul.AsyncWindow{Invoked: 4, Performed: 1},
	}, ul.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	c := dimse.NewConn(as)
	defer c.Close()
	rq := findRQ
	rq.MessageID = 7
	for range 2 {
		if err := c.Send(t.Context(), 1, rq, bytes.NewReader(identifier(t, false))); err != nil {
			t.Fatal(err)
		}
	}
	<-arrived
	for _, want := range []dimse.Status{dimse.DuplicateInvocation, dimse.Success} {
		m, err := c.Receive(t.Context())
		if err != nil || m.Command.Status != want || m.Command.MessageIDBeingRespondedTo != 7 {
			t.Fatalf("want %04X: %+v, %v", uint16(want), m, err)
		}
		if want == dimse.DuplicateInvocation {
			close(proceed)
		}
	}
	if n := len(p.received()); n != 1 {
		t.Errorf("%d requests reached the archive", n)
	}
}
