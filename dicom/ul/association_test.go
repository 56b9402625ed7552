package ul

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

// readAll reads fragments until an error.
func readAll(a *Association) (data []byte, err error) {
	for {
		pdv, err := a.ReadPDV()
		if err != nil {
			return data, err
		}
		data = append(data, pdv.Data...)
	}
}

func TestPeerReleases(t *testing.T) {
	noLeaks(t)
	peer, a := accepted(t, quick, 16384)
	peer.send(append(dataPDU(1, 3, []byte("ab")), encodeRelease(typeReleaseRQ)...))
	if data, err := readAll(a); err != io.EOF || string(data) != "ab" {
		t.Errorf("%q, %v", data, err)
	}
	peer.expect(encodeRelease(typeReleaseRP))
	peer.expectEnd()
	peer.Close()
	a.Close()
	if _, err := a.ReadPDV(); err != io.EOF {
		t.Errorf("after Close: %v", err)
	}
	if _, err := a.WriteMessage(1, []byte("ab"), nil); err != io.EOF {
		t.Errorf("writing after the release: %v", err)
	}
}

func TestWeRelease(t *testing.T) {
	noLeaks(t)
	peer, a := requested(t, quick)
	released := make(chan error)
	go func() { released <- a.Release(t.Context()) }() // ends with the answer
	peer.expect(encodeRelease(typeReleaseRQ))
	peer.send(dataPDU(1, 3, []byte("late"))) // AR-6
	peer.send(encodeRelease(typeReleaseRP))
	if err := <-released; err != nil {
		t.Error(err)
	}
	peer.expectEnd()
	a.Close()
}

func TestReleaseWhileAnotherGoroutineReads(t *testing.T) {
	noLeaks(t)
	peer, a := requested(t, quick)
	read := make(chan error)
	go func() { // ends with the association
		_, err := readAll(a)
		read <- err
	}()
	released := make(chan error)
	go func() { released <- a.Release(t.Context()) }() // ends with the answer
	peer.expect(encodeRelease(typeReleaseRQ))
	peer.send(encodeRelease(typeReleaseRP))
	if err := <-released; err != nil {
		t.Error(err)
	}
	if err := <-read; err != io.EOF {
		t.Error(err)
	}
	a.Close()
}

// Both sides ask to release at once (PS3.8 §9.2, states 9 to 12).
func TestReleaseCollision(t *testing.T) {
	t.Run("requestor", func(t *testing.T) {
		noLeaks(t)
		peer, a := requested(t, quick)
		released := make(chan error)
		go func() { released <- a.Release(t.Context()) }() // ends with the answer
		peer.expect(encodeRelease(typeReleaseRQ))
		peer.send(encodeRelease(typeReleaseRQ))
		peer.expect(encodeRelease(typeReleaseRP)) // Sta9, AR-9, Sta11
		peer.send(encodeRelease(typeReleaseRP))
		if err := <-released; err != nil {
			t.Error(err)
		}
		peer.expectEnd()
		a.Close()
	})
	t.Run("acceptor", func(t *testing.T) {
		noLeaks(t)
		peer, a := accepted(t, quick, 16384)
		released := make(chan error)
		go func() { released <- a.Release(t.Context()) }() // ends with the answer
		peer.expect(encodeRelease(typeReleaseRQ))
		peer.send(encodeRelease(typeReleaseRQ)) // Sta10
		peer.send(encodeRelease(typeReleaseRP)) // AR-10, Sta12
		peer.expect(encodeRelease(typeReleaseRP))
		if err := <-released; err != nil {
			t.Error(err)
		}
		peer.expectEnd()
		peer.Close()
		a.Close()
	})
}

func TestReleaseIsNotAwaitedForEver(t *testing.T) {
	noLeaks(t)
	peer, a := requested(t, Limits{ARTIM: 200 * time.Millisecond})
	if err := a.Release(t.Context()); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	peer.expect(append(encodeRelease(typeReleaseRQ), encodeAbort(Abort{})...))
	peer.Close()
	a.Close()
}

func TestAbortInMidObject(t *testing.T) {
	noLeaks(t)
	peer, a := accepted(t, quick, 16384)
	peer.send(dataPDU(1, controlCommand|controlLast, []byte("command")))
	peer.send(dataPDU(1, 0, []byte("data")))
	peer.send(encodeAbort(Abort{AbortSourceProvider, AbortUnspecified}))
	data, err := readAll(a)
	if ab, ok := err.(*Abort); !ok || *ab != (Abort{AbortSourceProvider, AbortUnspecified}) || string(data) != "commanddata" {
		t.Errorf("%q, %v", data, err)
	}
	peer.expectEnd()
	a.Close()
}

func TestConnectionLostInMidObject(t *testing.T) {
	noLeaks(t)
	peer, a := accepted(t, quick, 16384)
	peer.send(dataPDU(1, 0, []byte("data"))[:14])
	peer.Close()
	if _, err := readAll(a); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	a.Close()
}

// What a peer may not send on an association is answered with an A-ABORT that says why, and read no further.
func TestViolationsAreAborted(t *testing.T) {
	for name, c := range map[string]struct {
		sent   []byte
		reason uint8
	}{
		"second A-ASSOCIATE-RQ":     {append(dataPDU(1, 0, []byte("data")), vector(t, rqVector)...), AbortUnexpectedPDU},
		"A-ASSOCIATE-AC":            {vector(t, acVector), AbortUnexpectedPDU},
		"A-RELEASE-RP":              {encodeRelease(typeReleaseRP), AbortUnexpectedPDU},
		"unknown PDU":               {vector(t, "08 00 00000004 00000000"), AbortUnrecognizedPDU},
		"longer than announced":     {vector(t, "04 00 00020001 00"), AbortInvalidParameterValue},
		"4 GiB":                     {vector(t, "04 00 FFFFFFFF 00"), AbortInvalidParameterValue},
		"empty P-DATA-TF":           {vector(t, "04 00 00000000"), AbortInvalidParameterValue},
		"value longer than its PDU": {vector(t, "04 00 00000008 FFFFFFF0 01 03 6162"), AbortInvalidParameterValue},
		"value without header":      {vector(t, "04 00 00000006 00000001 01 03"), AbortInvalidParameterValue},
		"rest too short":            {vector(t, "04 00 00000009 00000004 01 01 6162 00"), AbortInvalidParameterValue},
		"context never proposed":    {dataPDU(5, 3, []byte("ab")), AbortInvalidParameterValue},
		"even context":              {dataPDU(2, 3, []byte("ab")), AbortInvalidParameterValue},
		"context 0":                 {dataPDU(0, 3, []byte("ab")), AbortInvalidParameterValue},
		"long A-RELEASE-RQ":         {vector(t, "05 00 00000008 00000000 00000000"), AbortInvalidParameterValue},
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			peer, a := accepted(t, quick, 16384)
			peer.send(c.sent)
			_, err := readAll(a)
			if ab, ok := errors.AsType[*Abort](err); !ok || *ab != (Abort{AbortSourceProvider, c.reason}) {
				t.Errorf("error %v", err)
			}
			peer.expect(encodeAbort(Abort{AbortSourceProvider, c.reason}))
			peer.expectEnd()
			peer.Close()
			a.Close()
		})
	}
}

func TestDataOnRejectedContextIsAborted(t *testing.T) {
	noLeaks(t)
	peer, a := requested(t, quick)
	peer.send(dataPDU(3, 3, []byte("ab"))) // the script refused context 3
	if _, err := a.ReadPDV(); err == nil || !strings.Contains(err.Error(), "context 3: not negotiated") {
		t.Error(err)
	}
	peer.expect(encodeAbort(Abort{AbortSourceProvider, AbortInvalidParameterValue}))
	peer.Close()
	a.Close()
	if _, err := a.WriteMessage(3, []byte("ab"), nil); err == nil {
		t.Error("wrote on it")
	}
}

// A peer that is aborted in the middle of an object may go on sending what it had begun: it is read and dropped (AA-6), so
// that the connection is not reset before it sees the A-ABORT.
func TestPeerMaySendOnAfterAbort(t *testing.T) {
	noLeaks(t)
	peer, a := accepted(t, Limits{ARTIM: 5 * time.Second}, 16384)
	a.Abort(Abort{})
	closed := make(chan struct{})
	go func() { a.Close(); close(closed) }() // ends when the peer closes
	for range 200 {
		peer.send(dataPDU(1, 0, make([]byte, 60000)))
	}
	peer.expect(encodeAbort(Abort{}))
	peer.expectEnd()
	peer.Close()
	<-closed
}

func TestCloseWaitsNoLongerThanARTIM(t *testing.T) {
	noLeaks(t)
	peer, a := accepted(t, Limits{ARTIM: 200 * time.Millisecond}, 16384)
	start := time.Now()
	a.Close()
	if took := time.Since(start); took < 200*time.Millisecond || took > 5*time.Second {
		t.Errorf("closed after %v", took)
	}
	peer.expect(encodeAbort(Abort{}))
	a.Close() // again, harmless
}

func TestIdlePeerIsAborted(t *testing.T) {
	noLeaks(t)
	peer, a := accepted(t, Limits{ARTIM: 2 * time.Second, Idle: 100 * time.Millisecond}, 16384)
	start := time.Now()
	if _, err := a.ReadPDV(); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
	peer.expect(encodeAbort(Abort{}))
	peer.Close()
	a.Close()
}

// A slow-loris sends just enough to never be idle: one byte at a time, or one tiny PDU at a time of an endless message.
func TestSlowLorisIsAborted(t *testing.T) {
	limits := Limits{ARTIM: 2 * time.Second, Grace: 200 * time.Millisecond, MinThroughput: 10000}
	for name, piece := range map[string][]byte{
		"bytes of a PDU":    {0},
		"PDUs of a message": dataPDU(1, 0, []byte("ab")),
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			peer, a := accepted(t, limits, 16384)
			stopped := make(chan struct{})
			go func() { // ends with the association
				defer close(stopped)
				if len(piece) == 1 {
					peer.Write(vector(t, "04 00 00010000"))
				}
				for {
					if _, err := peer.Write(piece); err != nil {
						return
					}
					time.Sleep(10 * time.Millisecond)
				}
			}()
			start := time.Now()
			_, err := readAll(a)
			if took := time.Since(start); !errors.Is(err, os.ErrDeadlineExceeded) || took > 5*time.Second {
				t.Errorf("%v after %v", err, took)
			}
			peer.expect(encodeAbort(Abort{}))
			peer.Close()
			<-stopped
			a.Close()
		})
	}
}

// The time that we take to work on what arrived is not the peer's fault.
func TestSlowReaderDoesNotCountAgainstThePeer(t *testing.T) {
	noLeaks(t)
	peer, a := accepted(t, Limits{ARTIM: 2 * time.Second, Grace: 100 * time.Millisecond, MinThroughput: 1 << 20}, 16384)
	for range 3 {
		peer.send(dataPDU(1, 0, make([]byte, 1000)))
		if _, err := a.ReadPDV(); err != nil {
			t.Fatal(err)
		}
		peer.send(dataPDU(1, 0, make([]byte, 1000)))
		time.Sleep(200 * time.Millisecond)
		if _, err := a.ReadPDV(); err != nil {
			t.Fatal(err)
		}
	}
	peer.Close()
	a.Close()
}

func TestContextInterruptsReadAndWrite(t *testing.T) {
	for name, use := range map[string]func(a *Association) error{
		"read": func(a *Association) error { _, err := a.ReadPDV(); return err },
		"write": func(a *Association) error {
			_, err := a.WriteMessage(1, []byte("command"), io.LimitReader(zeros{}, 1<<30))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			_, a := accepted(t, Limits{}, 0)
			ctx, cancel := context.WithCancel(t.Context())
			stop := a.AbortWhenDone(ctx)
			defer stop()
			time.AfterFunc(50*time.Millisecond, cancel)
			start := time.Now()
			if err := use(a); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			a.Close()
			if took := time.Since(start); took > 5*time.Second { // abortTimeout, hurryLimit
				t.Errorf("ended after %v", took)
			}
		})
	}
}

func TestAbortFromAnotherGoroutine(t *testing.T) {
	noLeaks(t)
	peer, a := accepted(t, quick, 16384)
	time.AfterFunc(50*time.Millisecond, func() { a.Abort(Abort{AbortSourceProvider, AbortUnspecified}) })
	if _, err := a.ReadPDV(); err == nil || err.Error() != (&Abort{AbortSourceProvider, AbortUnspecified}).Error() {
		t.Error(err)
	}
	peer.expect(encodeAbort(Abort{AbortSourceProvider, AbortUnspecified}))
	peer.Close()
	a.Close()
}

// A caller's reader that blocks keeps the write; an abort does not wait for it for ever.
func TestAbortDoesNotWaitForABlockedSource(t *testing.T) {
	noLeaks(t)
	_, a := accepted(t, Limits{ARTIM: 100 * time.Millisecond}, 16384)
	r, w := io.Pipe()
	written := make(chan error)
	go func() { // ends when the pipe closes
		_, err := a.WriteMessage(1, []byte("command"), r)
		written <- err
	}()
	time.Sleep(20 * time.Millisecond)
	start := time.Now()
	a.Close()
	if took := time.Since(start); took > abortTimeout+time.Second {
		t.Errorf("closed after %v", took)
	}
	w.Close()
	if err := <-written; err == nil {
		t.Error("no error")
	}
}

func TestReadingAllocatesNothing(t *testing.T) {
	peer, a := accepted(t, quick, 16384)
	pdu := dataPDU(1, 0, make([]byte, 16000))
	allocs := testing.AllocsPerRun(200, func() {
		peer.send(pdu)
		if _, err := a.ReadPDV(); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 0 {
		t.Errorf("%v allocations for each PDU", allocs)
	}
	peer.Close()
	a.Close()
}
