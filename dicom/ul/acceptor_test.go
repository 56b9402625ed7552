package ul

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestSilentPeerEndsWithARTIM(t *testing.T) {
	for name, sent := range map[string][]byte{
		"nothing":       nil,
		"half a header": {1, 0, 0},
		"half a PDU":    vector(t, rqVector)[:100],
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			peer, nc := connected(t)
			peer.send(sent)
			start := time.Now()
			_, err := Receive(t.Context(), nc, Limits{ARTIM: 100 * time.Millisecond})
			if took := time.Since(start); !errors.Is(err, os.ErrDeadlineExceeded) || took < 100*time.Millisecond || took > 5*time.Second {
				t.Errorf("%v after %v", err, took)
			}
			peer.expectEnd() // E18 in Sta2 is AA-2: closed without a word
		})
	}
}

// What is not an A-ASSOCIATE-RQ is answered with the A-ABORT that says why.
func TestRubbishIsAborted(t *testing.T) {
	for name, c := range map[string]struct {
		sent   []byte
		reason uint8
	}{
		"HTTP request":         {[]byte("GET / HTTP/1.1\r\nHost: pacs\r\n\r\n"), AbortUnrecognizedPDU},
		"TLS client hello":     {vector(t, "16 03 01 00C4 0100 00C0 0303"), AbortUnrecognizedPDU},
		"4 GiB A-ASSOCIATE-RQ": {vector(t, "01 00 FFFFFFFF 0001"), AbortInvalidParameterValue},
		"4 GiB P-DATA-TF":      {vector(t, "04 00 FFFFFFFF 0001"), AbortInvalidParameterValue},
		"P-DATA-TF":            {dataPDU(1, 3, []byte("ab")), AbortUnexpectedPDU},
		"A-RELEASE-RQ":         {encodeRelease(typeReleaseRQ), AbortUnexpectedPDU},
		"A-ASSOCIATE-AC":       {vector(t, acVector), AbortUnexpectedPDU},
		"request cut short":    {vector(t, "01 00 00000004 0001 0000"), AbortInvalidParameterValue},
		"empty request":        {vector(t, "01 00 00000000 0000"), AbortInvalidParameterValue},
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			peer, nc := connected(t)
			peer.send(c.sent)
			done := make(chan struct{})
			go func() { // ends with Receive
				defer close(done)
				_, err := Receive(t.Context(), nc, quick)
				if ab, ok := errors.AsType[*Abort](err); !ok || *ab != (Abort{AbortSourceProvider, c.reason}) {
					t.Errorf("error %v", err)
				}
			}()
			peer.expect(encodeAbort(Abort{AbortSourceProvider, c.reason}))
			peer.expectEnd()
			peer.Close()
			<-done
		})
	}
}

// A length costs nothing until the bytes are there.
func TestDeclaredLengthsAreNotAllocated(t *testing.T) {
	for name, sent := range map[string][]byte{
		"4 GiB":                 vector(t, "01 00 FFFFFFFF 0001"),
		"the longest permitted": vector(t, "01 00 00100000 0001"),
	} {
		peer, nc := connected(t)
		peer.send(sent)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		Receive(t.Context(), nc, Limits{ARTIM: 50 * time.Millisecond})
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 64<<10 {
			t.Errorf("%s: %d bytes allocated", name, n)
		}
	}
}

func TestAbortInsteadOfRequestEndsQuietly(t *testing.T) {
	peer, nc := connected(t)
	peer.send(encodeAbort(Abort{}))
	if _, err := Receive(t.Context(), nc, quick); err == nil {
		t.Error("no error")
	}
	peer.expectEnd()
}

func TestRequestsNobodyCouldAcceptAreRejected(t *testing.T) {
	good := string(vector(t, rqVector))
	for name, c := range map[string]struct {
		sent string
		want Rejection
	}{
		"protocol version":    {good[:6] + "\x00\x02" + good[8:], Rejection{RejectedPermanent, RejectSourceACSE, RejectProtocolVersion}},
		"application context": {strings.Replace(good, "3.1.1.1", "3.1.1.2", 1), Rejection{RejectedPermanent, RejectSourceUser, RejectApplicationContext}},
		"calling AE title":    {strings.Replace(good, "CT1 ", "C\n1 ", 1), Rejection{RejectedPermanent, RejectSourceUser, RejectCallingAETitle}},
		"no calling AE title": {strings.Replace(good, "CT1 ", "    ", 1), Rejection{RejectedPermanent, RejectSourceUser, RejectCallingAETitle}},
		"called AE title":     {strings.Replace(good, "PACS", `P\CS`, 1), Rejection{RejectedPermanent, RejectSourceUser, RejectCalledAETitle}},
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			peer, nc := connected(t)
			peer.send([]byte(c.sent))
			done := make(chan error)
			go func() { // ends with Receive
				_, err := Receive(t.Context(), nc, quick)
				done <- err
			}()
			peer.expect(encodeRejection(c.want))
			peer.expectEnd()
			peer.Close()
			if r, ok := errors.AsType[*Rejection](<-done); !ok || *r != c.want {
				t.Errorf("error %v", r)
			}
		})
	}
}

func TestRejectTellsTheRequestor(t *testing.T) {
	noLeaks(t)
	want := Rejection{RejectedTransient, RejectSourcePresentation, RejectTemporaryCongestion}
	address := serve(t, func(nc net.Conn) {
		i, err := Receive(context.Background(), nc, quick)
		if err != nil {
			t.Error(err)
			return
		}
		if err := i.Reject(want); err != nil {
			t.Error(err)
		}
	})
	_, err := Dial(t.Context(), address, nil, testRequest, quick)
	if r, ok := errors.AsType[*Rejection](err); !ok || *r != want {
		t.Errorf("error %v", err)
	}
}

func TestIndicationAbortTellsTheRequestor(t *testing.T) {
	noLeaks(t)
	address := serve(t, func(nc net.Conn) {
		if i, err := Receive(context.Background(), nc, quick); err == nil {
			i.Abort(Abort{AbortSourceProvider, AbortUnspecified})
		}
	})
	_, err := Dial(t.Context(), address, nil, testRequest, quick)
	if ab, ok := errors.AsType[*Abort](err); !ok || *ab != (Abort{AbortSourceProvider, AbortUnspecified}) {
		t.Errorf("error %v", err)
	}
}

// serve accepts one connection and hands it to f, in a goroutine that the test waits for.
func serve(t *testing.T, f func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if nc, err := l.Accept(); err == nil {
			f(nc)
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

func TestAcceptRefusesWhatWasNotProposed(t *testing.T) {
	for name, c := range map[string]AcceptedContext{
		"context":         {ID: 9, TransferSyntax: implicit},
		"transfer syntax": {ID: 1, TransferSyntax: explicit},
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			peer, nc := connected(t)
			peer.send(vector(t, rqVector))
			i, err := Receive(t.Context(), nc, Limits{ARTIM: 200 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := i.Accept(Response{Contexts: []AcceptedContext{c}}); err == nil {
				t.Error("accepted")
			}
			peer.expect(encodeAbort(Abort{}))
		})
	}
}

func TestInvalidUIDsAreNeverAccepted(t *testing.T) {
	for name, c := range map[string]struct {
		listing string
		want    uint8
	}{
		"abstract syntax": {strings.Replace(rqVector, `30 00 0011 "1.2.840.10008.1.1"`, `30 00 0011 "../../etc/passwd."`, 1), AbstractSyntaxNotSupported},
		"transfer syntax": {strings.Replace(rqVector, `40 00 0011 "1.2.840.10008.1.2"`, `40 00 0011 "../../etc/passwd."`, 1), TransferSyntaxesNotSupported},
	} {
		t.Run(name, func(t *testing.T) {
			peer, nc := connected(t)
			peer.send(vector(t, c.listing))
			i, err := Receive(t.Context(), nc, quick)
			if err != nil {
				t.Fatal(err)
			}
			a, err := i.Accept(i.Request.Respond(acceptAll))
			if err != nil {
				t.Fatal(err)
			}
			if got := a.Response().Contexts[0].Result; got != c.want || len(a.Contexts()) != 0 {
				t.Errorf("result %d, want %d; contexts %v", got, c.want, a.Contexts())
			}
			peer.Close()
			a.Close()
		})
	}
}

func TestReceiveEndsWithItsContext(t *testing.T) {
	noLeaks(t)
	peer, nc := connected(t)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	start := time.Now()
	if _, err := Receive(ctx, nc, Limits{}); !errors.Is(err, context.Canceled) || time.Since(start) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
	peer.expectEnd()
}

func TestLongRequestIsReadWhole(t *testing.T) {
	rq := rqWant
	rq.Unknown = make([]SubItem, 900)
	for i := range rq.Unknown {
		rq.Unknown[i] = SubItem{0x5B, make([]byte, 60)}
	}
	b, err := encodeRequest(&rq)
	if err != nil {
		t.Fatal(err)
	}
	peer, nc := connected(t)
	go peer.Write(b) // ends when it is read
	i, err := Receive(t.Context(), nc, quick)
	if err != nil || len(i.Request.Unknown) != 900 {
		t.Fatalf("%d sub-items, %v", len(i.Request.Unknown), err)
	}
	peer.Close()
	i.Abort(Abort{})
}

// FuzzAssociation sends bytes to an acceptor: they must not make it panic, hang or hold more than its limits.
func FuzzAssociation(f *testing.F) {
	rq := vector(f, rqVector)
	f.Add(rq)
	f.Add(append(append(append([]byte{}, rq...), dataPDU(1, 3, []byte("command"))...), encodeRelease(typeReleaseRQ)...))
	f.Add(append(append([]byte{}, rq...), rq...))
	f.Add([]byte("GET / HTTP/1.0\r\n\r\n"))
	l := Limits{ARTIM: time.Second, MaxPDULength: 4096, MaxAssociateLength: 64 << 10}
	f.Fuzz(func(t *testing.T, b []byte) {
		peer, nc := net.Pipe()
		go func() { // ends when we close
			peer.Write(b)
			peer.Close()
		}()
		go io.Copy(io.Discard, peer) // the same
		i, err := Receive(t.Context(), nc, l)
		if err != nil {
			return
		}
		a, err := i.Accept(i.Request.Respond(acceptAll))
		if err != nil {
			return
		}
		defer a.Close()
		for {
			pdv, err := a.ReadPDV()
			if err != nil {
				return
			}
			if _, ok := a.Context(pdv.ContextID); !ok || len(pdv.Data) > int(l.MaxPDULength) || len(a.in.buf) > int(l.MaxPDULength)+pduHeaderLen+readAhead+int(l.MaxAssociateLength) {
				t.Fatalf("%d bytes on context %d with a buffer of %d", len(pdv.Data), pdv.ContextID, len(a.in.buf))
			}
		}
	})
}
