package ul

import (
	"bytes"
	"context"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"cordon/dicom"
)

// script is a peer that the test plays, byte by byte.
type script struct {
	t *testing.T
	net.Conn
}

func (s script) send(b []byte) {
	s.t.Helper()
	if _, err := s.Write(b); err != nil {
		s.t.Fatalf("sending: %v", err)
	}
}

// expect reads as many bytes as want has, within 5 s.
func (s script) expect(want []byte) {
	s.t.Helper()
	got := make([]byte, len(want))
	s.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.ReadFull(s, got); err != nil || !bytes.Equal(got, want) {
		s.t.Fatalf("received %X, %v, want %X", got, err, want)
	}
}

func (s script) expectEnd() {
	s.t.Helper()
	s.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, err := s.Read(make([]byte, 1)); err != io.EOF {
		s.t.Fatalf("received %d bytes, %v, want the end", n, err)
	}
}

// pdu reads one PDU.
func (s script) pdu() (typ byte, body []byte) {
	s.t.Helper()
	s.SetReadDeadline(time.Now().Add(5 * time.Second))
	h := make([]byte, pduHeaderLen)
	if _, err := io.ReadFull(s, h); err != nil {
		s.t.Fatalf("reading a PDU header: %v", err)
	}
	body = make([]byte, int(h[2])<<24|int(h[3])<<16|int(h[4])<<8|int(h[5]))
	if _, err := io.ReadFull(s, body); err != nil {
		s.t.Fatalf("reading a PDU: %v", err)
	}
	return h[0], body
}

// connect returns both ends of a TCP connection.
func connected(t *testing.T) (script, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	peer, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ours, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	return script{t, peer}, ours
}

// noLeaks fails the test if goroutines that it started outlive it.
func noLeaks(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for end := time.Now().Add(3 * time.Second); runtime.NumGoroutine() > before; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				stacks := make([]byte, 64<<10)
				t.Fatalf("%d goroutines, %d before\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
			}
		}
	})
}

const (
	verification dicom.UID = "1.2.840.10008.1.1"
	implicit     dicom.UID = "1.2.840.10008.1.2"
	explicit     dicom.UID = "1.2.840.10008.1.2.1"
)

var testRequest = Request{Called: "PACS", Calling: "CT1", Contexts: []ProposedContext{
	{AbstractSyntax: verification, TransferSyntaxes: []dicom.UID{implicit}},
	{AbstractSyntax: "1.2.840.10008.5.1.4.1.1.2", TransferSyntaxes: []dicom.UID{explicit, implicit}},
}}

func acceptAll(p ProposedContext) AcceptedContext {
	return AcceptedContext{TransferSyntax: p.TransferSyntaxes[0]}
}

// quick are limits that let a test end soon.
var quick = Limits{ARTIM: 2 * time.Second}

// accepted returns an association that we accepted from the script, as of rqVector with another maximum length.
func accepted(t *testing.T, l Limits, peerMax uint32) (script, *Association) {
	t.Helper()
	peer, nc := connected(t)
	rq := rqWant
	rq.MaxPDULength = peerMax
	b, err := encodeRequest(&rq)
	if err != nil {
		t.Fatal(err)
	}
	peer.send(b)
	i, err := Receive(t.Context(), nc, l)
	if err != nil {
		t.Fatal(err)
	}
	a, err := i.Accept(i.Request.Respond(acceptAll))
	if err != nil {
		t.Fatal(err)
	}
	if typ, _ := peer.pdu(); typ != typeAssociateAC {
		t.Fatalf("received PDU type %02XH, want A-ASSOCIATE-AC", typ)
	}
	return peer, a
}

// requested returns an association that the script accepted from us.
func requested(t *testing.T, l Limits) (script, *Association) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	type dialled struct {
		a   *Association
		err error
	}
	done := make(chan dialled)
	go func() { // ends with the answer
		a, err := Dial(context.Background(), ln.Addr().String(), nil, testRequest, l)
		done <- dialled{a, err}
	}()
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	peer := script{t, nc}
	if typ, _ := peer.pdu(); typ != typeAssociateRQ {
		t.Fatalf("received PDU type %02XH, want A-ASSOCIATE-RQ", typ)
	}
	ac := acWant
	ac.Contexts = []AcceptedContext{{1, Acceptance, implicit}, {3, UserRejection, implicit}}
	b, err := encodeResponse(&ac)
	if err != nil {
		t.Fatal(err)
	}
	peer.send(b)
	d := <-done
	if d.err != nil {
		t.Fatal(d.err)
	}
	return peer, d.a
}

// dataPDU is a P-DATA-TF with one value.
func dataPDU(id, control uint8, data []byte) []byte {
	b := make([]byte, dataHeaderLen, dataHeaderLen+len(data))
	putDataHeader(b, id, control, len(data))
	return append(b, data...)
}
