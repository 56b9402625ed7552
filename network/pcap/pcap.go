// Package pcap reads recorded traffic: pcap files (draft-ietf-opsawg-pcap) in either
// byte order, with microseconds or nanoseconds.
//
//	r, err := pcap.NewReader(file)
//	for { at, data, err := r.Next(); … }   // io.EOF at the end
//	ok := r.Decode(&packet, data)
//
// It keeps one packet in memory. pcapng is not read: "tcpdump -r FILE -w OTHER" or
// "editcap -F pcap FILE OTHER" makes a pcap file of one.
package pcap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"cordon/network/frame"
)

// Reader reads a file.
type Reader struct {
	r     io.Reader
	order binary.ByteOrder
	nano  bool
	link  uint32
	buf   []byte
	head  [16]byte
}

// Magic numbers of a file's first four bytes.
const (
	magicMicro = 0xa1b2c3d4
	magicNano  = 0xa1b23c4d
	magicNG    = 0x0a0d0d0a
)

// Types of links (https://www.tcpdump.org/linktypes.html).
const (
	linkEthernet = 1
	linkRaw12    = 12
	linkRaw      = 101
	linkCooked   = 113
	linkCooked2  = 276
	linkIPv4     = 228
	linkIPv6     = 229
)

// maxPacket bounds what one packet is said to have captured.
const maxPacket = 256 << 10

// ErrNG means that the file is pcapng.
var ErrNG = errors.New(`this is pcapng; make a pcap file of it: tcpdump -r FILE -w OTHER`)

// NewReader reads the head of a file.
func NewReader(r io.Reader) (*Reader, error) {
	var head [24]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, fmt.Errorf("pcap file: %w", err)
	}
	p := &Reader{r: r, order: binary.LittleEndian}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		switch order.Uint32(head[:]) {
		case magicMicro:
			p.order = order
		case magicNano:
			p.order, p.nano = order, true
		case magicNG:
			return nil, ErrNG
		default:
			continue
		}
		p.link = p.order.Uint32(head[20:]) & 0xffff
		if !p.known() {
			return nil, fmt.Errorf("pcap file: link type %d is not read; Ethernet (1), raw IP (101) and Linux cooked (113, 276) are", p.link)
		}
		return p, nil
	}
	return nil, errors.New("no pcap file")
}

func (r *Reader) known() bool {
	switch r.link {
	case linkEthernet, linkRaw12, linkRaw, linkCooked, linkCooked2, linkIPv4, linkIPv6:
		return true
	}
	return false
}

// Next returns the next packet, which is good until the next call.
func (r *Reader) Next() (at time.Time, data []byte, err error) {
	if _, err := io.ReadFull(r.r, r.head[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return at, nil, io.EOF
		}
		return at, nil, fmt.Errorf("pcap file: %w", err)
	}
	seconds, part, size := r.order.Uint32(r.head[:]), r.order.Uint32(r.head[4:]), r.order.Uint32(r.head[8:])
	if size > maxPacket {
		return at, nil, fmt.Errorf("pcap file: a packet of %d bytes; at most %d", size, maxPacket)
	}
	if !r.nano {
		part = min(part, 999_999) * 1000
	}
	if cap(r.buf) < int(size) {
		r.buf = make([]byte, size)
	}
	data = r.buf[:size]
	if _, err := io.ReadFull(r.r, data); err != nil {
		return at, nil, fmt.Errorf("pcap file: cut short: %w", err)
	}
	return time.Unix(int64(seconds), int64(part)).UTC(), data, nil
}

// Decode reads the headers of a packet of the file.
func (r *Reader) Decode(p *frame.Packet, data []byte) bool {
	switch r.link {
	case linkEthernet:
		return frame.Ethernet(p, data)
	case linkCooked:
		return frame.Cooked(p, data, false)
	case linkCooked2:
		return frame.Cooked(p, data, true)
	}
	return frame.Network(p, data)
}
