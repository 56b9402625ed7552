package dimse

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cordon/dicom"
	"cordon/dicom/ul"
)

// windowed connects two ends whose association has an asynchronous operations window, and runs an Exchange on each.
func windowed(t *testing.T, window *ul.AsyncWindow, serve func(*Exchange) func(context.Context, *Message) error) *Exchange {
	t.Helper()
	return exchangeWith(t, window, limits, nil, serve)
}

func exchangeWith(t *testing.T, window *ul.AsyncWindow, l ul.Limits, ours func(context.Context, *Message) error, serve func(*Exchange) func(context.Context, *Message) error) *Exchange {
	t.Helper()
	address := provideWith(t, l, window, func(c *Conn) {
		var x *Exchange
		x = NewExchange(c, func(ctx context.Context, m *Message) error { return serve(x)(ctx, m) })
		x.Run(context.Background())
	})
	a, err := ul.Dial(t.Context(), address, nil, ul.Request{Calling: "CT1", Called: "PACS", Contexts: contexts, Async: window}, l)
	if err != nil {
		t.Fatal(err)
	}
	c := NewConn(a)
	x := NewExchange(c, ours)
	var running sync.WaitGroup
	running.Go(func() { x.Run(context.Background()) })
	t.Cleanup(func() { c.Close(); running.Wait() })
	return x
}

func TestResponsesOutOfOrderReachTheirOperations(t *testing.T) {
	noLeaks(t)
	const n = 5
	var pending []*Message
	x := windowed(t, &ul.AsyncWindow{Invoked: n, Performed: 1}, func(x *Exchange) func(context.Context, *Message) error {
		return func(ctx context.Context, m *Message) error {
			if _, err := io.Copy(io.Discard, m.Data); err != nil {
				return err
			}
			pending = append(pending, m)
			for i := len(pending) - 1; len(pending) == n && i >= 0; i-- {
				if err := x.Respond(ctx, pending[i], Command{Status: Status(0xB000 + len(pending[i].Command.AffectedSOPInstanceUID))}, nil); err != nil {
					return err
				}
			}
			return nil
		}
	})
	var running sync.WaitGroup
	for i := range n {
		running.Go(func() {
			instance := strings.Repeat("1", i+1)
			rsp, err := x.Store(t.Context(), 3, StoreRequest{SOPClassUID: ctImage, SOPInstanceUID: dicom.UID(instance)}, bytes.NewReader(make([]byte, 100<<10)))
			if err != nil || rsp.Status != Status(0xB000+i+1) {
				t.Errorf("operation %d: status %04X, %v", i, uint16(rsp.Status), err)
			}
		})
	}
	running.Wait()
}

func TestNoMoreOperationsThanTheWindowAllows(t *testing.T) {
	noLeaks(t)
	for _, c := range []struct {
		window *ul.AsyncWindow
		most   int32
	}{{nil, 1}, {&ul.AsyncWindow{Invoked: 3, Performed: 1}, 3}} {
		var under, most atomic.Int32
		var answering sync.WaitGroup
		x := windowed(t, c.window, func(x *Exchange) func(context.Context, *Message) error {
			return func(ctx context.Context, m *Message) error {
				most.Store(max(most.Load(), under.Add(1)))
				answering.Go(func() {
					time.Sleep(20 * time.Millisecond)
					under.Add(-1)
					x.Respond(ctx, m, Command{}, nil)
				})
				return nil
			}
		})
		var running sync.WaitGroup
		for range 9 {
			running.Go(func() {
				o, err := x.Begin(t.Context(), 1, Command{Field: CEchoRQ}, nil)
				if err != nil {
					t.Error(err)
					return
				}
				if r, err := o.Next(t.Context()); err != nil || r.Command.Status != Success {
					t.Errorf("%+v, %v", r, err)
				}
			})
		}
		running.Wait()
		answering.Wait()
		if most.Load() != c.most {
			t.Errorf("window %+v: %d operations at a time, want %d", c.window, most.Load(), c.most)
		}
	}
}

func TestPendingResponsesUntilCancelled(t *testing.T) {
	noLeaks(t)
	cancelled := make(chan uint16, 1)
	var answering sync.WaitGroup
	x := windowed(t, nil, func(x *Exchange) func(context.Context, *Message) error {
		return func(ctx context.Context, m *Message) error {
			if m.Command.Field == CCancelRQ {
				cancelled <- m.Command.MessageIDBeingRespondedTo
				return nil
			}
			answering.Go(func() {
				for {
					select {
					case id := <-cancelled:
						if id != m.Command.MessageID {
							t.Errorf("cancelled message %d, want %d", id, m.Command.MessageID)
						}
						x.Respond(ctx, m, Command{Status: Cancel}, nil)
						return
					default:
						x.Respond(ctx, m, Command{Status: Pending}, strings.NewReader("identifier"))
					}
				}
			})
			return nil
		}
	})
	o, err := x.Begin(t.Context(), 1, Command{Field: CFindRQ}, strings.NewReader("identifier"))
	if err != nil {
		t.Fatal(err)
	}
	pending := 0
	for {
		r, err := o.Next(t.Context())
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if r.Command.Status == Cancel {
			continue
		}
		if pending++; string(r.Data) != "identifier" || r.Command.Status != Pending {
			t.Errorf("%+v", r)
		}
		if pending == 20 {
			if err := o.Cancel(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if pending < 20 {
		t.Errorf("%d pending responses", pending)
	}
	answering.Wait()
}

func TestRequestsInBothDirectionsAtOnce(t *testing.T) {
	noLeaks(t)
	var ours *Exchange
	taken := make(chan string, 1)
	ready := make(chan struct{})
	var moving sync.WaitGroup
	ours = exchangeWith(t, nil, limits, func(ctx context.Context, m *Message) error { // C-STORE within the C-GET
		<-ready
		data, err := io.ReadAll(m.Data)
		if err != nil {
			return err
		}
		taken <- string(data)
		return ours.Respond(ctx, m, Command{}, nil)
	}, func(x *Exchange) func(context.Context, *Message) error {
		return func(ctx context.Context, m *Message) error {
			moving.Go(func() {
				rsp, err := x.Store(ctx, 3, StoreRequest{SOPClassUID: ctImage, SOPInstanceUID: "1.2"}, strings.NewReader("an image"))
				if err != nil {
					t.Error(err)
				}
				x.Respond(ctx, m, Command{Status: rsp.Status}, nil)
			})
			return nil
		}
	})
	close(ready)
	o, err := ours.Begin(t.Context(), 1, Command{Field: CGetRQ}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := o.Next(t.Context()); err != nil || r.Command.Status != Success {
		t.Errorf("%+v, %v", r, err)
	}
	if got := <-taken; got != "an image" {
		t.Errorf("%q", got)
	}
	moving.Wait()
}

func TestOperationsLearnWhyTheAssociationEnded(t *testing.T) {
	noLeaks(t)
	x := windowed(t, nil, func(x *Exchange) func(context.Context, *Message) error {
		return func(context.Context, *Message) error { return errors.New("no more") }
	})
	o, err := x.Begin(t.Context(), 1, Command{Field: CEchoRQ}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var abort *ul.Abort
	if r, err := o.Next(t.Context()); !errors.As(err, &abort) {
		t.Errorf("%+v, %v", r, err)
	}
	<-x.Ended()
	if _, err := x.Begin(t.Context(), 1, Command{Field: CEchoRQ}, nil); !errors.As(err, &abort) {
		t.Errorf("after the end: %v", err)
	}
}

func TestResponseThatNobodyAskedForAborts(t *testing.T) {
	noLeaks(t)
	for name, answer := range map[string]func(*Exchange, context.Context, *Message) error{
		"another message": func(x *Exchange, ctx context.Context, m *Message) error {
			return x.c.Send(ctx, m.ContextID, Command{Field: CEchoRSP, MessageIDBeingRespondedTo: m.Command.MessageID + 1}, nil)
		},
		"another service": func(x *Exchange, ctx context.Context, m *Message) error {
			return x.c.Send(ctx, m.ContextID, Command{Field: CFindRSP, MessageIDBeingRespondedTo: m.Command.MessageID}, nil)
		},
		"twice": func(x *Exchange, ctx context.Context, m *Message) error {
			x.Respond(ctx, m, Command{Status: Cancel}, nil)
			return x.Respond(ctx, m, Command{}, nil)
		},
		"identifier without an end": func(x *Exchange, ctx context.Context, m *Message) error {
			return x.Respond(ctx, m, Command{}, io.LimitReader(zeros{}, 2<<20))
		},
	} {
		x := windowed(t, nil, func(x *Exchange) func(context.Context, *Message) error {
			return func(ctx context.Context, m *Message) error { return answer(x, ctx, m) }
		})
		o, err := x.Begin(t.Context(), 1, Command{Field: CEchoRQ}, nil)
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-x.Ended():
		case <-time.After(5 * time.Second):
			t.Errorf("%s: the association goes on", name)
		}
		o.Abandon()
	}
}

func TestAbandonedOperationKeepsItsPlaceUntilItsEnd(t *testing.T) {
	noLeaks(t)
	answer := make(chan struct{})
	var answering sync.WaitGroup
	x := windowed(t, nil, func(x *Exchange) func(context.Context, *Message) error {
		return func(ctx context.Context, m *Message) error {
			answering.Go(func() {
				<-answer
				x.Respond(ctx, m, Command{}, nil)
			})
			return nil
		}
	})
	brief, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := x.Store(brief, 3, StoreRequest{SOPClassUID: ctImage, SOPInstanceUID: "1.2"}, strings.NewReader("image")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a silent provider: %v", err)
	}
	brief, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := x.Begin(brief, 1, Command{Field: CEchoRQ}, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second operation in a window of one: %v", err)
	}
	close(answer)
	if o, err := x.Begin(t.Context(), 1, Command{Field: CEchoRQ}, nil); err != nil {
		t.Error(err)
	} else if r, err := o.Next(t.Context()); err != nil || r.Command.Status != Success {
		t.Errorf("%+v, %v", r, err)
	}
	answering.Wait()
}

func TestOperationsLearnOfAFault(t *testing.T) {
	noLeaks(t)
	ended := make(chan error, 1)
	address := provideWith(t, limits, nil, func(c *Conn) {
		defer func() { recover() }()
		var x *Exchange
		x = NewExchange(c, func(ctx context.Context, m *Message) error {
			o, err := x.Begin(ctx, 1, Command{Field: CEchoRQ}, nil)
			if err != nil {
				return err
			}
			go func() { // ends with the operation
				_, err := o.Next(context.Background())
				ended <- err
			}()
			panic("a fault of serve's")
		})
		x.Run(context.Background())
	})
	a, err := ul.Dial(t.Context(), address, nil, ul.Request{Calling: "CT1", Called: "PACS", Contexts: contexts}, limits)
	if err != nil {
		t.Fatal(err)
	}
	c := NewConn(a)
	defer c.Close()
	if err := c.Send(t.Context(), 1, Command{Field: CEchoRQ, MessageID: 1}, nil); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err == nil {
			t.Error("it was answered")
		}
	case <-time.After(5 * time.Second):
		t.Fatal("it waits for ever")
	}
}

// Some archives refuse an object before they have received it whole, and then hang up.
func TestRequestAnsweredBeforeItIsSentGivesItsPlaceBackOnce(t *testing.T) {
	noLeaks(t)
	x := windowed(t, nil, func(x *Exchange) func(context.Context, *Message) error {
		return func(ctx context.Context, m *Message) error {
			return x.Respond(ctx, m, Command{Status: OutOfResources}, nil) // the data set is still coming
		}
	})
	answered := make(chan struct{})
	data := readerFunc(func(p []byte) (int, error) {
		select {
		case <-answered:
			return 0, errors.New("the archive hung up")
		default:
			return len(p), nil
		}
	})
	o, err := x.Prepare(t.Context(), 3, CStoreRQ)
	if err != nil {
		t.Fatal(err)
	}
	sent := make(chan error, 1)
	go func() { // ends with what is sent
		sent <- o.Send(t.Context(), StoreRequest{SOPClassUID: ctImage, SOPInstanceUID: "1.2"}.command(), data)
	}()
	if r, err := o.Next(t.Context()); err != nil || r.Command.Status != OutOfResources {
		t.Fatalf("%+v, %v", r, err)
	}
	for len(x.places) > 0 { // until the final response has given the place back
		time.Sleep(time.Millisecond)
	}
	close(answered)
	select {
	case err := <-sent:
		if err == nil {
			t.Error("half a data set was sent")
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the request never ends")
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// A peer that waits for us is not idle, and neither is one that we wait for.
func TestSilenceDuringAnOperationIsNotIdleness(t *testing.T) {
	noLeaks(t)
	l := limits
	l.Idle = 100 * time.Millisecond
	var answering sync.WaitGroup
	x := exchangeWith(t, nil, l, nil, func(x *Exchange) func(context.Context, *Message) error {
		return func(ctx context.Context, m *Message) error {
			answering.Go(func() {
				time.Sleep(5 * l.Idle)
				x.Respond(ctx, m, Command{}, nil)
			})
			return nil
		}
	})
	o, err := x.Begin(t.Context(), 1, Command{Field: CMoveRQ}, strings.NewReader("identifier"))
	if err != nil {
		t.Fatal(err)
	}
	if r, err := o.Next(t.Context()); err != nil || r.Command.Status != Success {
		t.Errorf("%+v, %v", r, err)
	}
	answering.Wait()
	select {
	case <-x.Ended():
	case <-time.After(5 * time.Second):
		t.Error("an association that is idle does not end")
	}
}

func TestRequestWithoutAnybodyToServeIt(t *testing.T) {
	noLeaks(t)
	got := make(chan Status, 1)
	var asking sync.WaitGroup
	x := windowed(t, nil, func(x *Exchange) func(context.Context, *Message) error {
		return func(ctx context.Context, m *Message) error {
			asking.Go(func() {
				o, err := x.Begin(ctx, 1, Command{Field: CEchoRQ}, nil)
				if err != nil {
					t.Error(err)
					return
				}
				r, _ := o.Next(ctx)
				got <- r.Command.Status
				x.Respond(ctx, m, Command{}, nil)
			})
			return nil
		}
	})
	o, err := x.Begin(t.Context(), 1, Command{Field: CEchoRQ}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Next(t.Context()); err != nil {
		t.Error(err)
	}
	if s := <-got; s != UnrecognizedOperation {
		t.Errorf("status %04X", uint16(s))
	}
	asking.Wait()
}

// FuzzExchange sends fragments to an exchange that serves requests and awaits responses: whatever comes, it does not panic,
// it ends with its connection, and no data set that is kept is longer than its limit.
func FuzzExchange(f *testing.F) {
	fragment := func(id, control byte, data []byte) []byte {
		b := binary.BigEndian.AppendUint32([]byte{4, 0}, uint32(len(data)+6))
		b = binary.BigEndian.AppendUint32(b, uint32(len(data)+2))
		return append(append(b, id, control), data...)
	}
	set := func(c Command) []byte {
		b, err := c.Encode()
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	echo := set(Command{Field: CEchoRQ, MessageID: 1})
	f.Add(fragment(1, 3, echo))
	f.Add(append(fragment(3, 3, set(Command{Field: CStoreRQ, MessageID: 2, HasData: true})), fragment(3, 2, []byte("data"))...))
	f.Add(append(fragment(1, 1, echo[:20]), fragment(1, 3, echo[20:])...))
	f.Add(fragment(1, 3, set(Command{Field: CCancelRQ, MessageIDBeingRespondedTo: 1})))
	f.Add(fragment(1, 3, set(Command{Field: CFindRSP, MessageIDBeingRespondedTo: 1, Status: Pending})))
	const most = 512
	f.Fuzz(func(t *testing.T, b []byte) {
		ours, theirs := net.Pipe()
		peer := make(chan struct{})
		go func() { // ends when both sides have closed
			defer close(peer)
			defer theirs.Close()
			a, err := ul.Receive(context.Background(), theirs, limits)
			if err != nil {
				return
			}
			as, err := a.Accept(a.Request.Respond(func(p ul.ProposedContext) ul.AcceptedContext {
				return ul.AcceptedContext{TransferSyntax: p.TransferSyntaxes[0]}
			}))
			if err != nil {
				return
			}
			defer as.Close()
			var x *Exchange
			x = NewExchange(NewConn(as), func(ctx context.Context, m *Message) error {
				if m.Data != nil {
					if _, err := io.Copy(io.Discard, m.Data); err != nil {
						return err
					}
				}
				if m.Command.Field == CCancelRQ {
					return nil
				}
				return x.Respond(ctx, m, Command{}, nil)
			})
			x.LimitReplies(most)
			go func() { // ends with the exchange
				if o, err := x.Begin(context.Background(), 1, Command{Field: CFindRQ}, nil); err == nil {
					for r, err := o.Next(context.Background()); err == nil; r, err = o.Next(context.Background()) {
						if len(r.Data) > most {
							t.Errorf("%d bytes kept", len(r.Data))
						}
					}
				}
			}()
			x.Run(context.Background())
		}()
		go io.Copy(io.Discard, ours) // ends when it is closed
		ours.SetWriteDeadline(time.Now().Add(5 * time.Second))
		ours.Write(append(requestPDU(), b...))
		ours.Close()
		<-peer
	})
}

// requestPDU is an A-ASSOCIATE-RQ for contexts.
func requestPDU() []byte {
	item := func(kind byte, parts ...[]byte) []byte {
		value := bytes.Join(parts, nil)
		return append(binary.BigEndian.AppendUint16([]byte{kind, 0}, uint16(len(value))), value...)
	}
	body := append([]byte{0, 1, 0, 0}, "PACS            CT1             "...)
	body = append(body, make([]byte, 32)...)
	body = append(body, item(0x10, []byte(ul.ApplicationContextName))...)
	for _, c := range contexts {
		body = append(body, item(0x20, []byte{c.ID, 0, 0, 0}, item(0x30, []byte(c.AbstractSyntax)), item(0x40, []byte(c.TransferSyntaxes[0])))...)
	}
	body = append(body, item(0x50, item(0x51, []byte{0, 0, 0x40, 0}))...)
	return append(binary.BigEndian.AppendUint32([]byte{1, 0}, uint32(len(body))), body...)
}
