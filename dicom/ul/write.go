package ul

import (
	"fmt"
	"io"
	"time"
)

const (
	sendBuffer   = 256 << 10       // PDUs are collected up to this many bytes, so that small ones share a write
	abortTimeout = 2 * time.Second // how long sending an A-ABORT may take
	explainLimit = 200 * time.Millisecond
)

// Message control header bits (PS3.8 §E.2).
const (
	controlCommand uint8 = 1
	controlLast    uint8 = 2
)

// outbox is the sending side of a connection.
type outbox struct {
	buf    []byte // whole PDUs, not yet written
	broken bool   // a write failed: what the peer received may end inside a PDU
}

// WriteMessage sends a command set and, unless data is nil, the data set that data yields up to io.EOF, as P-DATA-TF PDUs
// no longer than the peer receives. It returns how many bytes of data it read and sent.
//
// It holds one send buffer, whatever the length of data. An error from data cannot be told to the peer in order, so it
// aborts the association. Concurrent calls send one message after the other.
func (a *Association) WriteMessage(id uint8, command []byte, data io.Reader) (int64, error) {
	if _, ok := a.Context(id); !ok {
		return 0, fmt.Errorf("presentation context %d: not negotiated", id)
	}
	n, err := a.writeMessage(id, command, data)
	switch err := err.(type) {
	case nil:
		return n, nil
	case *writeError:
		return n, a.writeFailed(err.err)
	case *sourceError:
		a.abort(Abort{Source: AbortSourceUser}, err.err)
		return n, fmt.Errorf("reading the data set to send: %w", err.err)
	}
	return n, err
}

type (
	writeError  struct{ err error } // the connection failed
	sourceError struct{ err error } // the caller's reader failed
)

func (e *writeError) Error() string  { return e.err.Error() }
func (e *sourceError) Error() string { return e.err.Error() }

func (a *Association) writeMessage(id uint8, command []byte, data io.Reader) (n int64, err error) {
	a.writing <- struct{}{}
	defer func() { <-a.writing }()
	m := message{a: a, id: id, payload: a.payload()}
	m.reserve(len(command), data != nil)
	if err := m.command(command); err != nil {
		return 0, err
	}
	if data != nil {
		if n, err = m.data(data); err != nil {
			return n, err
		}
	}
	return n, a.flush()
}

// payload is how many bytes of a message fit into a P-DATA-TF with one PDV: an even number, as fragments must have.
func (a *Association) payload() int {
	n := a.limits.MaxSendPDULength
	if p := a.PeerMaxPDU(); p != 0 {
		n = min(n, p)
	}
	return int(max(n, minPDULength)-pdvHeaderLen) &^ 1
}

// message sends one message in fragments.
type message struct {
	a       *Association
	id      uint8
	payload int
}

// reserve makes the send buffer hold the command, and if there is data as many PDUs as make about sendBuffer bytes.
func (m *message) reserve(command int, data bool) {
	out := &m.a.out
	pdu := dataHeaderLen + m.payload
	need := command + (command/m.payload+1)*dataHeaderLen
	if data {
		need += max(1, sendBuffer/pdu)*pdu + 1
	}
	if cap(out.buf) < need {
		out.buf = make([]byte, 0, need)
	}
	out.buf = out.buf[:0]
}

func (m *message) command(p []byte) error {
	for {
		n := min(len(p), m.payload)
		slot, err := m.slot(n)
		if err != nil {
			return err
		}
		copy(slot, p[:n])
		p = p[n:]
		m.put(n, controlCommand, len(p) == 0)
		if len(p) == 0 {
			return nil
		}
	}
}

// data reads each fragment, and the byte after it that tells whether it is the last, into its place in the send buffer.
func (m *message) data(r io.Reader) (total int64, err error) {
	var next byte
	have := 0 // 1 if next is the fragment's first byte
	for {
		slot, err := m.slot(m.payload + 1)
		if err != nil {
			return total, err
		}
		slot[0] = next
		n, err := readUpTo(r, slot[have:])
		n += have
		last := err == io.EOF
		if err != nil && !last {
			return total, &sourceError{err}
		}
		have = 0
		if n > m.payload {
			n, have, next = m.payload, 1, slot[m.payload]
		}
		m.put(n, 0, last)
		total += int64(n)
		if last {
			return total, nil
		}
	}
}

// readUpTo fills p, or returns io.EOF with what there was. Unlike io.ReadFull it keeps apart the end of the data and a
// reader's own io.ErrUnexpectedEOF, which says that the data are cut short: they must not go out as if they were whole.
func readUpTo(r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var k int
		k, err = r.Read(p[n:])
		n += k
	}
	if n == len(p) && err == io.EOF {
		return n, nil // it comes again with the next read
	}
	return n, err
}

// slot returns room for n bytes of a fragment behind the headers that put will write, flushing to make it.
func (m *message) slot(n int) ([]byte, error) {
	out := &m.a.out
	if len(out.buf)+dataHeaderLen+n > cap(out.buf) {
		if err := m.a.flush(); err != nil {
			return nil, err
		}
	}
	start := len(out.buf) + dataHeaderLen
	return out.buf[start : start+n], nil
}

// put writes the headers of the n bytes in the slot and adds the PDU to the send buffer.
func (m *message) put(n int, control uint8, last bool) {
	if last {
		control |= controlLast
	}
	out := &m.a.out
	at := len(out.buf)
	out.buf = out.buf[:at+dataHeaderLen+n]
	putDataHeader(out.buf[at:], m.id, control, n)
}

// flush writes the collected PDUs (DT-1, AR-7).
func (a *Association) flush() error {
	if len(a.out.buf) == 0 {
		return nil
	}
	if err := a.armWrite(evt9DataRequest); err != nil {
		return err
	}
	_, err := a.nc.Write(a.out.buf)
	a.out.buf = a.out.buf[:0]
	if err != nil {
		a.out.broken = true
		return &writeError{err}
	}
	return nil
}

// armWrite moves the machine by a local event and sets the deadline of the write that follows, both at once, so that an
// abort from another goroutine either prevents the write or shortens it.
func (a *Association) armWrite(e event) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.cause != nil {
		return a.cause
	}
	act, err := a.machine.step(e)
	if err != nil {
		return err
	}
	a.runTimer(act)
	return a.nc.SetWriteDeadline(time.Now().Add(a.limits.WriteTimeout))
}

// sendControl moves the machine by a local event and sends the PDU that goes with it.
func (a *Association) sendControl(e event, pdu []byte) error {
	a.writing <- struct{}{}
	err := a.armWrite(e)
	if err == nil {
		if _, err = a.nc.Write(pdu); err != nil {
			a.out.broken = true
			err = &writeError{err}
		}
	}
	<-a.writing
	if w, ok := err.(*writeError); ok {
		return a.writeFailed(w.err)
	}
	return err
}

// send writes a PDU for which the machine has already moved. If another write does not make way in time, or was cut off,
// the connection is of no more use.
func (a *Association) send(pdu []byte, timeout time.Duration) error {
	a.mu.Lock()
	a.nc.SetWriteDeadline(time.Now().Add(timeout))
	a.mu.Unlock()
	select {
	case a.writing <- struct{}{}:
	case <-time.After(timeout):
		return a.nc.Close()
	}
	defer func() { <-a.writing }()
	if a.out.broken {
		return nil
	}
	_, err := a.nc.Write(pdu)
	if a.state() == sta13 { // our last word: let the peer see the end, while we wait for its own
		a.out.broken = true
		if c, ok := a.nc.(interface{ CloseWrite() error }); ok {
			c.CloseWrite()
		}
	}
	return err
}

func (a *Association) sendAbort(ab Abort) error {
	if err := a.send(encodeAbort(ab), abortTimeout); err != nil {
		return fmt.Errorf("sending A-ABORT: %w", err)
	}
	return nil
}

// writeFailed ends the association after a write error and returns its cause: what the peer said before it closed, if it said anything.
func (a *Association) writeFailed(err error) error {
	err = fmt.Errorf("writing: %w", err)
	if a.rmu.TryLock() {
		a.in.writeErr = err
		for a.ended() == nil {
			a.in.pdvs = nil
			a.receive()
		}
		a.rmu.Unlock()
	}
	if _, stepErr := a.step(evt17TransportClosed, err); stepErr == nil {
		a.nc.Close()
	}
	return a.ended()
}
