package ul

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestPeerThatDoesNotReadEndsTheWrite(t *testing.T) {
	noLeaks(t)
	peer, a := accepted(t, Limits{ARTIM: 2 * time.Second, WriteTimeout: 200 * time.Millisecond}, 0)
	start := time.Now()
	_, err := a.WriteMessage(1, []byte("command"), io.LimitReader(zeros{}, 1<<30))
	if took := time.Since(start); !errors.Is(err, os.ErrDeadlineExceeded) || took > 5*time.Second {
		t.Errorf("%v after %v", err, took)
	}
	peer.Close()
	a.Close()
}

// zeros yields zeros without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// A write fails because the peer has aborted and reads no more: the caller is told of the abort, not of the write.
func TestWriteErrorIsExplainedByTheAbort(t *testing.T) {
	noLeaks(t)
	peer, a := accepted(t, Limits{ARTIM: 2 * time.Second, WriteTimeout: 200 * time.Millisecond}, 0)
	peer.send(encodeAbort(Abort{AbortSourceProvider, AbortUnspecified}))
	_, err := a.WriteMessage(1, []byte("command"), io.LimitReader(zeros{}, 1<<30))
	if ab, ok := errors.AsType[*Abort](err); !ok || *ab != (Abort{AbortSourceProvider, AbortUnspecified}) {
		t.Error(err)
	}
	a.Close()
}

func TestUnreadableSourceAborts(t *testing.T) {
	noLeaks(t)
	peer, a := accepted(t, quick, 16384)
	broken := errors.New("disk on fire")
	if _, err := a.WriteMessage(1, []byte("command"), io.MultiReader(strings.NewReader("data"), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Error(err)
	}
	peer.expect(encodeAbort(Abort{})) // nothing of the message had left the buffer
	if _, err := a.ReadPDV(); !errors.Is(err, broken) {
		t.Error(err)
	}
	peer.Close()
	a.Close()
}

// A source that is itself cut short says io.ErrUnexpectedEOF, as the data set of a sender that went away does. What it
// gave must not go out as a whole data set.
func TestCutShortIsNotTheEnd(t *testing.T) {
	for _, length := range []int{0, 1, 100, 16384 - pdvHeaderLen, 16384} {
		peer, a := accepted(t, quick, 16384)
		data := io.MultiReader(bytes.NewReader(make([]byte, length)), iotest.ErrReader(io.ErrUnexpectedEOF))
		if _, err := a.WriteMessage(1, []byte("command"), data); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut after %d bytes: %v", length, err)
		}
		peer.expect(encodeAbort(Abort{})) // nothing of the message had left the buffer
		peer.Close()
		a.Close()
	}
}

func TestFragmentsFitThePeer(t *testing.T) {
	payload := 16384 - pdvHeaderLen
	for _, c := range []struct {
		peerMax       uint32
		command, data int
	}{
		{16384, 100, 0}, {16384, 100, 1}, {16384, 100, payload - 1}, {16384, 100, payload}, {16384, 100, payload + 1},
		{16384, 100, 2 * payload}, {16384, payload, 3*payload + 7}, {16384, 3*payload + 5, 10}, {16, 64, 33},
		{0, 100, 1 << 20}, {1 << 20, 100, 1 << 20}, {16385, 100, 100000}, {131072, 200, 5 << 20},
	} {
		command, data := pattern(c.command), pattern(c.data)
		peer, a := accepted(t, quick, c.peerMax)
		sent := make(chan error)
		go func() { // ends when the peer has read it
			n, err := a.WriteMessage(1, command, iotest.OneByteReader(bytes.NewReader(data)))
			if err == nil && n != int64(len(data)) {
				err = io.ErrShortWrite
			}
			sent <- err
		}()
		peer.expectMessage(c.peerMax, command, data)
		if err := <-sent; err != nil {
			t.Error(err)
		}
		peer.Close()
		a.Close()
	}
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7 >> 3)
	}
	return b
}

// expectMessage reads P-DATA-TF PDUs, each at most limit long, and compares the message.
func (s script) expectMessage(limit uint32, command, data []byte) {
	s.t.Helper()
	parts := map[bool][]byte{}
	for _, isCommand := range []bool{true, false} {
		for last := false; !last; {
			typ, body := s.pdu()
			if typ != typeData || limit != 0 && len(body) > int(limit) {
				s.t.Fatalf("PDU type %02XH of %d bytes, at most %d", typ, len(body), limit)
			}
			pdv, rest, err := splitPDV(body)
			if err != nil || len(rest) > 0 || pdv.Command != isCommand || pdv.ContextID != 1 {
				s.t.Fatalf("received %v on context %d, %d left, %v", pdv.Command, pdv.ContextID, len(rest), err)
			}
			if last = pdv.Last; !last && len(pdv.Data)&1 != 0 {
				s.t.Fatalf("fragment of %d bytes, want an even number", len(pdv.Data))
			}
			if len(pdv.Data) == 0 && (isCommand && len(command) > 0 || !isCommand && len(data) > 0) {
				s.t.Fatal("empty fragment")
			}
			parts[isCommand] = append(parts[isCommand], pdv.Data...)
		}
	}
	if !bytes.Equal(parts[true], command) || !bytes.Equal(parts[false], data) {
		s.t.Fatalf("received %d and %d bytes, want %d and %d, or others", len(parts[true]), len(parts[false]), len(command), len(data))
	}
}
