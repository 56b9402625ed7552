package dimse

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"cordon/dicom"
	"cordon/dicom/ul"
)

const ctImage dicom.UID = "1.2.840.10008.5.1.4.1.1.2"

var (
	limits   = ul.Limits{ARTIM: 2 * time.Second, MaxPDULength: 16384}
	contexts = []ul.ProposedContext{
		{ID: 1, AbstractSyntax: dicom.Verification, TransferSyntaxes: []dicom.UID{dicom.ImplicitVRLittleEndian}},
		{ID: 3, AbstractSyntax: ctImage, TransferSyntaxes: []dicom.UID{dicom.ExplicitVRLittleEndian}},
	}
)

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

// provide accepts one association and hands it to f, in a goroutine that the test waits for.
func provide(t *testing.T, f func(c *Conn)) (address string) {
	t.Helper()
	return provideWith(t, limits, nil, f)
}

func provideWith(t *testing.T, limits ul.Limits, window *ul.AsyncWindow, f func(c *Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		nc, err := l.Accept()
		if err != nil {
			return
		}
		i, err := ul.Receive(context.Background(), nc, limits)
		if err != nil {
			t.Error(err)
			return
		}
		rs := i.Request.Respond(func(p ul.ProposedContext) ul.AcceptedContext {
			return ul.AcceptedContext{TransferSyntax: p.TransferSyntaxes[0]}
		})
		rs.Async = window
		a, err := i.Accept(rs)
		if err != nil {
			t.Error(err)
			return
		}
		c := NewConn(a)
		defer c.Close()
		f(c)
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

// use requests an association.
func use(t *testing.T, address string) *Conn {
	t.Helper()
	a, err := ul.Dial(t.Context(), address, nil, ul.Request{Calling: "CT1", Called: "PACS", Contexts: contexts}, limits)
	if err != nil {
		t.Fatal(err)
	}
	c := NewConn(a)
	t.Cleanup(func() { c.Close() })
	return c
}

// objects is a provider that keeps what it is sent.
type objects struct {
	t    *testing.T
	kept [][]byte
}

func (o *objects) serve(c *Conn) {
	for {
		m, err := c.Receive(context.Background())
		if err != nil {
			if err != io.EOF {
				o.t.Error(err)
			}
			return
		}
		var rsp Command
		if m.Data != nil {
			data, err := io.ReadAll(iotest.HalfReader(m.Data))
			if err != nil {
				o.t.Error(err)
			}
			o.kept = append(o.kept, data)
			if m.Command.AffectedSOPInstanceUID == "2.25.13" {
				rsp = Command{Status: CannotUnderstand, ErrorComment: "unlucky"}
			}
		}
		if err := c.Respond(context.Background(), m, rsp, nil); err != nil {
			o.t.Error(err)
		}
	}
}

func TestEchoAndStore(t *testing.T) {
	noLeaks(t)
	o := &objects{t: t}
	c := use(t, provide(t, o.serve))
	if status, err := c.Echo(t.Context()); err != nil || status != Success {
		t.Errorf("C-ECHO: %04X, %v", status, err)
	}
	var sent [][]byte
	for _, n := range []int{2, 16378, 16380, 500000, 3 << 20} {
		data := bytes.Repeat([]byte{byte(n), 1, 2}, n/3+1)[:n]
		sent = append(sent, data)
		rsp, err := c.Store(t.Context(), 3, StoreRequest{SOPClassUID: ctImage, SOPInstanceUID: "2.25.1"}, bytes.NewReader(data))
		if err != nil || rsp.Status != Success || rsp.AffectedSOPInstanceUID != "2.25.1" || rsp.AffectedSOPClassUID != ctImage {
			t.Errorf("C-STORE of %d bytes: %+v, %v", n, rsp, err)
		}
	}
	rsp, err := c.Store(t.Context(), 3, StoreRequest{SOPClassUID: ctImage, SOPInstanceUID: "2.25.13"}, strings.NewReader("data"))
	if err != nil || rsp.Status != CannotUnderstand || rsp.ErrorComment != "unlucky" {
		t.Errorf("C-STORE: %+v, %v", rsp, err)
	}
	if err := c.Release(t.Context()); err != nil {
		t.Error(err)
	}
	for i := range sent {
		if !bytes.Equal(o.kept[i], sent[i]) {
			t.Errorf("object %d: %d bytes kept, %d sent, or others", i, len(o.kept[i]), len(sent[i]))
		}
	}
}

func TestStoreRequestTravelsWhole(t *testing.T) {
	noLeaks(t)
	want := StoreRequest{SOPClassUID: ctImage, SOPInstanceUID: "2.25.5", Priority: High, MoveOriginatorAETitle: "PACS1", MoveOriginatorMessageID: ptr(0)}
	c := use(t, provide(t, func(c *Conn) {
		m, err := c.Receive(context.Background())
		if err != nil {
			t.Error(err)
			return
		}
		got := m.Command
		if got.Priority != High || got.MoveOriginatorAETitle != "PACS1" || got.MoveOriginatorMessageID == nil || *got.MoveOriginatorMessageID != 0 ||
			got.AffectedSOPInstanceUID != "2.25.5" || m.Context != (ul.Context{ID: 3, AbstractSyntax: ctImage, TransferSyntax: dicom.ExplicitVRLittleEndian}) {
			t.Errorf("received %+v on %+v", got, m.Context)
		}
		c.Respond(context.Background(), m, Command{}, nil)
		c.Receive(context.Background())
	}))
	if _, err := c.Store(t.Context(), 3, want, strings.NewReader("data")); err != nil {
		t.Error(err)
	}
	c.Release(t.Context())
}

// A provider that answers without reading the data set gets the next message all the same.
func TestUnreadDataIsSkipped(t *testing.T) {
	noLeaks(t)
	c := use(t, provide(t, func(c *Conn) {
		for {
			m, err := c.Receive(context.Background())
			if err != nil {
				if err != io.EOF {
					t.Error(err)
				}
				return
			}
			if m.Data != nil {
				io.ReadFull(m.Data, make([]byte, 10))
			}
			if err := c.Respond(context.Background(), m, Command{Status: OutOfResources}, nil); err != nil {
				t.Error(err)
			}
		}
	}))
	for range 3 {
		if rsp, err := c.Store(t.Context(), 3, StoreRequest{}, bytes.NewReader(make([]byte, 1<<20))); err != nil || rsp.Status != OutOfResources {
			t.Fatalf("%+v, %v", rsp, err)
		}
	}
	c.Release(t.Context())
}

// An object of any size passes in bounded memory.
func TestDataSetIsNotKept(t *testing.T) {
	noLeaks(t)
	const size = 256 << 20
	var kept uint64
	c := use(t, provide(t, func(c *Conn) {
		m, err := c.Receive(context.Background())
		if err != nil {
			t.Error(err)
			return
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if n, err := io.Copy(io.Discard, m.Data); n != size || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
		runtime.ReadMemStats(&after)
		kept = after.TotalAlloc - before.TotalAlloc
		c.Respond(context.Background(), m, Command{}, nil)
		c.Receive(context.Background())
	}))
	if _, err := c.Store(t.Context(), 3, StoreRequest{}, io.LimitReader(zeros{}, size)); err != nil {
		t.Fatal(err)
	}
	c.Release(t.Context())
	if kept > 8<<20 {
		t.Errorf("%d bytes allocated for %d", kept, size)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestContextEndsStore(t *testing.T) {
	noLeaks(t)
	c := use(t, provide(t, func(c *Conn) { // takes the object, and never answers
		for {
			m, err := c.Receive(context.Background())
			if err != nil {
				return
			}
			io.Copy(io.Discard, m.Data)
		}
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := c.Store(ctx, 3, StoreRequest{}, strings.NewReader("data")); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

func TestContextEndsReadingData(t *testing.T) {
	noLeaks(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := use(t, provide(t, func(c *Conn) {
		m, err := c.Receive(ctx)
		if err != nil {
			t.Error(err)
			return
		}
		time.AfterFunc(50*time.Millisecond, cancel)
		if _, err := io.Copy(io.Discard, m.Data); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}))
	r, w := io.Pipe()
	time.AfterFunc(time.Second, func() { w.Close() })
	if _, err := c.Store(t.Context(), 3, StoreRequest{}, io.MultiReader(bytes.NewReader(make([]byte, 1<<20)), r)); err == nil {
		t.Error("stored")
	}
}

func TestWrongAnswerAborts(t *testing.T) {
	for name, answer := range map[string]Command{
		"message id":    {Field: CEchoRSP, MessageIDBeingRespondedTo: 999},
		"command field": {Field: CStoreRSP, MessageIDBeingRespondedTo: 1},
		"a request":     {Field: CEchoRQ, MessageID: 1},
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			c := use(t, provide(t, func(c *Conn) {
				m, err := c.Receive(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				c.Send(context.Background(), m.ContextID, answer, nil)
				if _, err := c.Receive(context.Background()); !isAbort(err, ul.AbortSourceUser) {
					t.Error(err)
				}
			}))
			if _, err := c.Echo(t.Context()); err == nil {
				t.Error("no error")
			}
		})
	}
}

func isAbort(err error, source uint8) bool {
	ab, ok := errors.AsType[*ul.Abort](err)
	return ok && ab.Source == source
}

func TestReleaseInsteadOfAnAnswerIsNotItsEnd(t *testing.T) {
	noLeaks(t)
	c := use(t, provide(t, func(c *Conn) {
		c.Receive(context.Background())
		c.Release(context.Background())
	}))
	if _, err := c.Echo(t.Context()); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

func TestEchoNeedsItsContext(t *testing.T) {
	address := provide(t, func(c *Conn) { c.Receive(context.Background()) })
	a, err := ul.Dial(t.Context(), address, nil, ul.Request{Calling: "CT1", Called: "PACS", Contexts: contexts[1:]}, limits)
	if err != nil {
		t.Fatal(err)
	}
	c := NewConn(a)
	defer c.Close()
	if _, err := c.Echo(t.Context()); err == nil {
		t.Error("no error")
	}
	if _, err := c.Store(t.Context(), 3, StoreRequest{}, nil); err == nil {
		t.Error("stored nothing")
	}
}

// fragment is a P-DATA-TF with one fragment, laid out after PS3.8 §9.3.5 and §E.2.
func fragment(id, control uint8, data []byte) []byte {
	b := []byte{4, 0}
	b = binary.BigEndian.AppendUint32(b, uint32(len(data)+6))
	b = binary.BigEndian.AppendUint32(b, uint32(len(data)+2))
	return append(append(b, id, control), data...)
}

const (
	isCommand, isLast uint8 = 1, 2
	associateRQ             = `
		01 00 000000AB 0001 0000 "PACS            " "CT1             "
		0000000000000000 0000000000000000 0000000000000000 0000000000000000
		10 00 0015 "1.2.840.10008.3.1.1.1"
		20 00 002E 01 00 00 00  30 00 0011 "1.2.840.10008.1.1"  40 00 0011 "1.2.840.10008.1.2"
		20 00 0012 03 00 00 00  30 00 0003 "1.2"  40 00 0003 "1.2"`
)

// The rules of message exchange (PS3.7 §6.3, PS3.8 annex E): who breaks one is aborted.
func TestBrokenMessagesAbort(t *testing.T) {
	echo := vector(t, commandVectors["C-ECHO-RQ"].listing)
	store := vector(t, commandVectors["C-STORE-RQ of a C-MOVE"].listing)
	whole := fragment(1, isCommand|isLast, store)
	empties := bytes.Repeat(fragment(1, 0, nil), maxEmpty+1)
	for name, pdus := range map[string][][]byte{
		"data set without a command":         {fragment(1, isLast, []byte("data"))},
		"data set after a command with none": {fragment(1, isCommand|isLast, echo), fragment(1, isLast, []byte("data"))},
		"data inside a command":              {fragment(1, isCommand, echo[:10]), fragment(1, 0, []byte("data"))},
		"two commands mixed":                 {fragment(1, isCommand, echo[:10]), fragment(3, isCommand|isLast, echo[10:])},
		"command inside a data set":          {whole, fragment(1, 0, []byte("data")), fragment(1, isCommand|isLast, echo)},
		"data set on another context":        {whole, fragment(3, isLast, []byte("data"))},
		"command too long":                   {bytes.Repeat(fragment(1, isCommand, make([]byte, 4096)), 17)},
		"command that cannot be read":        {fragment(1, isCommand|isLast, []byte("command?"))},
		"empty command":                      {fragment(1, isCommand|isLast, nil)},
		"command of empty fragments":         {bytes.Repeat(fragment(1, isCommand, nil), maxCommand)},
		"data set of empty fragments":        {whole, empties},
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			done := make(chan error, 1)
			address := provide(t, func(c *Conn) {
				for {
					m, err := c.Receive(context.Background())
					if err == nil && m.Data != nil {
						_, err = io.ReadAll(m.Data)
					}
					if err != nil {
						done <- err
						return
					}
				}
			})
			nc := script(t, address)
			go nc.Write(bytes.Join(pdus, nil)) // ends when it is read
			if got, want := tail(t, nc, 10), []byte{7, 0, 0, 0, 0, 4, 0, 0, 0, 0}; !bytes.Equal(got, want) {
				t.Errorf("received % X, want an A-ABORT of the service user", got)
			}
			nc.Close()
			if err := <-done; err == nil || !strings.Contains(err.Error(), "message exchange") {
				t.Error(err)
			}
		})
	}
}

// script opens an association byte by byte.
func script(t *testing.T, address string) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(5 * time.Second))
	rq := vector(t, associateRQ)
	binary.BigEndian.PutUint32(rq[2:], uint32(len(rq)-6))
	if _, err := nc.Write(rq); err != nil {
		t.Fatal(err)
	}
	h := make([]byte, 6)
	if _, err := io.ReadFull(nc, h); err != nil || h[0] != 2 {
		t.Fatalf("received % X, %v, want A-ASSOCIATE-AC", h, err)
	}
	if _, err := io.CopyN(io.Discard, nc, int64(binary.BigEndian.Uint32(h[2:]))); err != nil {
		t.Fatal(err)
	}
	return nc
}

// tail reads to the end of the connection and returns the last n bytes.
func tail(t *testing.T, nc net.Conn, n int) []byte {
	t.Helper()
	b, err := io.ReadAll(nc)
	if err != nil {
		t.Fatal(err)
	}
	return b[max(0, len(b)-n):]
}

// A message may come in fragments of any size, several in a PDU, with an empty last one.
func TestFragmentsOfAnySize(t *testing.T) {
	noLeaks(t)
	store := vector(t, commandVectors["C-STORE-RQ of a C-MOVE"].listing)
	got := make(chan string, 1)
	address := provide(t, func(c *Conn) {
		m, err := c.Receive(context.Background())
		if err != nil {
			t.Error(err)
			return
		}
		data, err := io.ReadAll(m.Data)
		if err != nil {
			t.Error(err)
		}
		got <- string(m.Command.AffectedSOPInstanceUID) + string(data)
		if _, err := c.Receive(context.Background()); err != io.EOF {
			t.Error(err)
		}
	})
	nc := script(t, address)
	for i := range store {
		control := isCommand
		if i == len(store)-1 {
			control |= isLast
		}
		nc.Write(fragment(1, control, store[i:i+1]))
	}
	two := append(fragment(1, 0, []byte("da")), fragment(1, 0, []byte("ta"))[6:]...)
	binary.BigEndian.PutUint32(two[2:], uint32(len(two)-6))
	nc.Write(two)
	nc.Write(fragment(1, isLast, nil))
	nc.Write([]byte{5, 0, 0, 0, 0, 4, 0, 0, 0, 0})
	if want := []byte{6, 0, 0, 0, 0, 4, 0, 0, 0, 0}; !bytes.Equal(tail(t, nc, 10), want) {
		t.Error("the release was not answered")
	}
	nc.Close()
	if s := <-got; s != "2.25.77data" {
		t.Errorf("received %q", s)
	}
}

// An object whose end never came is never taken for a whole one.
func TestCutOffDataSetIsAnError(t *testing.T) {
	store := vector(t, commandVectors["C-STORE-RQ of a C-MOVE"].listing)
	for name, end := range map[string][]byte{
		"released": {5, 0, 0, 0, 0, 4, 0, 0, 0, 0},
		"closed":   nil,
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			done := make(chan error, 1)
			address := provide(t, func(c *Conn) {
				m, err := c.Receive(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				_, err = io.ReadAll(m.Data)
				done <- err
			})
			nc := script(t, address)
			nc.Write(fragment(1, isCommand|isLast, store))
			nc.Write(fragment(1, 0, []byte("data")))
			nc.Write(end)
			nc.(*net.TCPConn).CloseWrite()
			if err := <-done; !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Error(err)
			}
			nc.Close()
		})
	}
}
