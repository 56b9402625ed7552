package dimse

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"cordon/dicom/ul"
)

// asks connects a bare user to an Exchange.
func asks(t *testing.T, window *ul.AsyncWindow, serve func(*Exchange, *Message) error) *Conn {
	t.Helper()
	address := provideWith(t, limits, window, func(c *Conn) {
		var x *Exchange
		x = NewExchange(c, func(_ context.Context, m *Message) error { return serve(x, m) })
		x.Run(context.Background())
	})
	a, err := ul.Dial(t.Context(), address, nil, ul.Request{Calling: "CT1", Called: "PACS", Contexts: contexts, Async: window}, limits)
	if err != nil {
		t.Fatal(err)
	}
	c := NewConn(a)
	t.Cleanup(func() { c.Close() })
	return c
}

func send(t *testing.T, c *Conn, id uint8, rq Command, bytesOfData int) error {
	t.Helper()
	var data io.Reader
	if bytesOfData > 0 {
		data = bytes.NewReader(make([]byte, bytesOfData))
	}
	return c.Send(t.Context(), id, rq, data)
}

func receive(t *testing.T, c *Conn) Command {
	t.Helper()
	m, err := c.Receive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return m.Command
}

// A message id is one operation's until its final response, and free as soon as that has come.
func TestMessageIDOfAnOperationUnderWayIsRefused(t *testing.T) {
	noLeaks(t)
	store := func(id uint16) Command {
		return Command{Field: CStoreRQ, MessageID: id, AffectedSOPClassUID: ctImage, AffectedSOPInstanceUID: "1.2"}
	}
	for name, c := range map[string]struct {
		window    *ul.AsyncWindow
		duplicate Status
	}{
		"window":    {&ul.AsyncWindow{Invoked: 4, Performed: 1}, DuplicateInvocation},
		"unlimited": {&ul.AsyncWindow{}, DuplicateInvocation},
		"none":      {nil, WarningCoercion}, // the next one waits until the first has been answered
	} {
		t.Run(name, func(t *testing.T) {
			var first *Message
			conn := asks(t, c.window, func(x *Exchange, m *Message) error {
				if _, err := io.Copy(io.Discard, m.Data); err != nil {
					return err
				}
				switch {
				case first == nil:
					first = m
					return nil
				case m.Command.MessageID == first.Command.MessageID:
					return x.Respond(context.Background(), m, Command{Status: WarningCoercion}, nil)
				}
				if err := x.Respond(context.Background(), m, Command{Status: Success}, nil); err != nil {
					return err
				}
				return x.Respond(context.Background(), first, Command{Status: Success}, nil)
			})
			for _, id := range []uint16{7, 7, 8} {
				if err := send(t, conn, 3, store(id), 100<<10); err != nil {
					t.Fatal(err)
				}
			}
			for i, want := range []struct {
				id     uint16
				status Status
			}{{7, c.duplicate}, {8, Success}, {7, Success}} {
				if got := receive(t, conn); got.MessageIDBeingRespondedTo != want.id || got.Status != want.status {
					t.Errorf("response %d: %+v", i, got)
				}
			}
			if err := send(t, conn, 3, store(7), 100); err != nil {
				t.Fatal(err)
			}
			if got := receive(t, conn); got.Status != WarningCoercion {
				t.Errorf("after the final response: %+v", got)
			}
		})
	}
}

// A data set that should not be there is skipped, but not for ever.
func TestDataSetThatNobodyReadsHasALimit(t *testing.T) {
	noLeaks(t)
	window := &ul.AsyncWindow{Invoked: 4, Performed: 1}
	never := Command{Field: CFindRQ, MessageID: 7, AffectedSOPClassUID: ctImage}
	echo := Command{Field: CEchoRQ, MessageID: 9}
	for name, rq := range map[string]Command{
		"C-ECHO":    {Field: CEchoRQ, MessageID: 1},
		"C-CANCEL":  {Field: CCancelRQ, MessageIDBeingRespondedTo: 7},
		"duplicate": never,
	} {
		for _, n := range []int{maxUnread, maxUnread + 1} {
			conn := asks(t, window, func(x *Exchange, m *Message) error {
				if m.Command.Field != CEchoRQ {
					return nil
				}
				return x.Respond(context.Background(), m, Command{}, nil)
			})
			err := errors.Join(send(t, conn, 3, never, 100), send(t, conn, 3, rq, n))
			if err == nil {
				err = send(t, conn, 1, echo, 0)
			}
			for answered := false; err == nil && !answered; {
				var m *Message
				if m, err = conn.Receive(t.Context()); err == nil {
					answered = m.Command.MessageIDBeingRespondedTo == echo.MessageID
				}
			}
			if (err != nil) != (n > maxUnread) {
				t.Errorf("%s with %d bytes: %v", name, n, err)
			}
		}
	}
}
