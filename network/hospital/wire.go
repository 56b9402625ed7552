package hospital

import (
	"encoding/binary"
	"net/netip"
	"time"

	"cordon/network"
	"cordon/network/frame"
)

// Host is one end.
type Host struct {
	Addr netip.Addr
	MAC  network.MAC
}

// wire makes frames of conversations.
type wire struct {
	out  []Packet
	port uint16 // the last one that a caller used
	seq  uint32
}

// Packet is a frame and when it passes.
type Packet struct {
	At   time.Time
	Data []byte // of Size bytes, what a sensor keeps
	Size int
}

const (
	delay   = 300 * time.Microsecond // between two ends
	segment = 32 << 10               // bytes of a data packet: as a network card hands them over
	kept    = 128                    // bytes of a frame
)

func (w *wire) next() uint16 {
	if w.port++; w.port < 49152 {
		w.port = 49152
	}
	return w.port
}

// tcp is a conversation: up and down are bytes, over lasts from its first data to its
// last. It returns when it has ended.
func (w *wire) tcp(at time.Time, a, b Host, port uint16, up, down int, over time.Duration) time.Time {
	from := w.next()
	w.seq += 1 << 20
	mine, yours := w.seq, w.seq+1<<19
	step := func() time.Time { at = at.Add(delay); return at }
	w.segment(at, a, b, from, port, mine, 0, frame.SYN, 0)
	w.segment(step(), b, a, port, from, yours, mine+1, frame.SYN|frame.ACK, 0)
	mine, yours = mine+1, yours+1
	w.segment(step(), a, b, from, port, mine, yours, frame.ACK, 0)
	n := up/segment + down/segment + 2
	pause := over / time.Duration(n)
	for up > 0 || down > 0 {
		at = at.Add(max(delay, pause))
		if size := min(up, segment); size > 0 {
			w.segment(at, a, b, from, port, mine, yours, frame.ACK|frame.PSH, size)
			mine, up = mine+uint32(size), up-size
			w.segment(step(), b, a, port, from, yours, mine, frame.ACK, 0)
		}
		if size := min(down, segment); size > 0 {
			w.segment(step(), b, a, port, from, yours, mine, frame.ACK|frame.PSH, size)
			yours, down = yours+uint32(size), down-size
			w.segment(step(), a, b, from, port, mine, yours, frame.ACK, 0)
		}
	}
	w.segment(step(), a, b, from, port, mine, yours, frame.FIN|frame.ACK, 0)
	w.segment(step(), b, a, port, from, yours, mine+1, frame.FIN|frame.ACK, 0)
	w.segment(step(), a, b, from, port, mine+1, yours+1, frame.ACK, 0)
	return at
}

// SYN is the first packet of a connection, from whoever's hardware.
func (w *wire) syn(at time.Time, a, b Host, port uint16) uint16 {
	from := w.next()
	w.seq += 1 << 20
	w.segment(at, a, b, from, port, w.seq, 0, frame.SYN, 0)
	return from
}

func (w *wire) segment(at time.Time, a, b Host, from, to uint16, seq, ack uint32, flags byte, size int) {
	h := make([]byte, 20)
	binary.BigEndian.PutUint16(h, from)
	binary.BigEndian.PutUint16(h[2:], to)
	binary.BigEndian.PutUint32(h[4:], seq)
	binary.BigEndian.PutUint32(h[8:], ack)
	h[12], h[13] = 5<<4, flags
	w.ip(at, a, b, network.TCP, h, size)
}

// udp is a question and, with down, its answer.
func (w *wire) udp(at time.Time, a, b Host, port uint16, up, down int) {
	from := w.next()
	w.datagram(at, a, b, from, port, up)
	if down > 0 {
		w.datagram(at.Add(delay), b, a, port, from, down)
	}
}

func (w *wire) datagram(at time.Time, a, b Host, from, to uint16, size int) {
	h := make([]byte, 8)
	binary.BigEndian.PutUint16(h, from)
	binary.BigEndian.PutUint16(h[2:], to)
	binary.BigEndian.PutUint16(h[4:], uint16(8+size))
	w.ip(at, a, b, network.UDP, h, size)
}

func (w *wire) ping(at time.Time, a, b Host) {
	w.ip(at, a, b, network.ICMP, []byte{frame.Echo, 0, 0, 0, 0, 1, 0, 1}, 56)
	w.ip(at.Add(delay), b, a, network.ICMP, []byte{frame.EchoReply, 0, 0, 0, 0, 1, 0, 1}, 56)
}

// arp is a question who has an address, and the answer.
func (w *wire) arp(at time.Time, a, b Host) {
	body := make([]byte, 28)
	copy(body, []byte{0, 1, 8, 0, 6, 4, 0, 2})
	copy(body[8:], b.MAC[:])
	copy(body[14:], b.Addr.AsSlice())
	copy(body[18:], a.MAC[:])
	copy(body[24:], a.Addr.AsSlice())
	w.ethernet(at, b.MAC, a.MAC, 0x0806, body, 0)
}

func (w *wire) ip(at time.Time, a, b Host, p network.Protocol, h []byte, size int) {
	if a.Addr.Is6() {
		head := make([]byte, 40, 40+len(h))
		head[0] = 6 << 4
		binary.BigEndian.PutUint16(head[4:], uint16(len(h)+size))
		head[6], head[7] = byte(p), 64
		copy(head[8:], a.Addr.AsSlice())
		copy(head[24:], b.Addr.AsSlice())
		w.ethernet(at, a.MAC, b.MAC, 0x86dd, append(head, h...), size)
		return
	}
	head := make([]byte, 20, 20+len(h))
	head[0], head[8], head[9] = 4<<4|5, 64, byte(p)
	binary.BigEndian.PutUint16(head[2:], uint16(20+len(h)+size))
	copy(head[12:], a.Addr.AsSlice())
	copy(head[16:], b.Addr.AsSlice())
	w.ethernet(at, a.MAC, b.MAC, 0x0800, append(head, h...), size)
}

func (w *wire) ethernet(at time.Time, from, to network.MAC, kind uint16, body []byte, size int) {
	data := make([]byte, 14, 14+len(body))
	copy(data, to[:])
	copy(data[6:], from[:])
	binary.BigEndian.PutUint16(data[12:], kind)
	data = append(data, body...)
	full := len(data) + size
	for len(data) < min(full, kept) {
		data = append(data, 0)
	}
	w.out = append(w.out, Packet{at, data, full})
}
