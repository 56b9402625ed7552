package track

import (
	"time"

	"cordon/network"
	"cordon/network/frame"
)

// begun notes the sequence numbers of the first packet that was seen.
func (f *flow) begun(p *frame.Packet) {
	switch {
	case p.Flags&(frame.SYN|frame.ACK) == frame.SYN:
		f.isn = p.Seq
	case p.Flags&frame.SYN != 0 && f.src == p.Dst: // its answer; the first was missed
		f.isn = p.Ack - 1
	}
}

// tcp follows the handshake and the end (RFC 9293 §3.5, §3.6).
func (t *Table) tcp(now time.Time, f *flow, p *frame.Packet) {
	called := p.Src == f.src
	if called && p.SrcMAC != f.srcMAC {
		f.otherMAC = p.SrcMAC
	}
	switch {
	case p.Flags&frame.RST != 0:
		t.reset(now, f, p)
	case called && f.answered && f.state == network.Attempt && p.Flags&frame.ACK != 0 && p.Ack-f.answer-1 < 1<<30:
		f.from = now
		t.change(now, f, network.Established)
		t.wait(f)
	case !called && p.Flags&(frame.SYN|frame.ACK) == frame.SYN|frame.ACK && p.Ack == f.isn+1:
		f.answered, f.answer = true, p.Seq
	case f.midway && !f.answered && f.state == network.Attempt && f.next[0] != 0 && f.next[1] != 0:
		t.change(now, f, network.Established) // both talk; how it began nobody saw
	}
	if p.Flags&frame.FIN != 0 {
		f.end(called)
		if f.ends == 3 && f.state == network.Established && !f.waits {
			t.change(now, f, network.Closed)
		}
	}
}

func (f *flow) end(called bool) {
	if called {
		f.ends |= 1
	} else {
		f.ends |= 2
	}
}

// reset ends a conversation. The caller's, without an acknowledgement and before
// anything was proven, says that it never called: somebody did in its name.
func (t *Table) reset(now time.Time, f *flow, p *frame.Packet) {
	called := p.Src == f.src
	switch {
	case called && !f.proven && p.Flags&frame.ACK == 0:
		f.waits = false
		t.change(now, f, network.Refused)
	case !called && f.state == network.Attempt:
		t.change(now, f, network.Refused)
	case f.state == network.Established:
		f.ends = 3
		if !f.waits {
			t.change(now, f, network.Closed)
		}
	}
}

// wait has a conversation proven when its caller's host has had time to object.
func (t *Table) wait(f *flow) {
	if f.midway || len(t.due) >= maxDue {
		return
	}
	f.waits = true
	t.due = append(t.due, f)
}

const maxDue = 1 << 14

// prove reports those that nobody objected to. They wait in the order in which they
// were established.
func (t *Table) prove(now time.Time) {
	done := 0
	for _, f := range t.due {
		if apart(now, f.from) < grace {
			break
		}
		done++
		if !f.waits || t.flows[f.key] != f {
			continue
		}
		f.waits, f.proven = false, true
		t.sink.Observe(f.report(now, t.conf.Sensor))
		if f.ends == 3 {
			t.change(now, f, network.Closed)
		}
	}
	t.due = append(t.due[:0], t.due[done:]...)
}
