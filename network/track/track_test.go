package track_test

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"cordon/network"
	"cordon/network/frame"
	"cordon/network/track"
)

// log remembers what was reported.
type log struct {
	flows  []network.Flow
	claims []network.Claim
}

func (l *log) Observe(f network.Flow)     { l.flows = append(l.flows, f) }
func (l *log) Claim(c network.Claim)      { l.claims = append(l.claims, c) }
func (*log) Detected(d network.Detection) {}
func (*log) Asked(network.Asked)          {}

func (l *log) last() network.Flow {
	if len(l.flows) == 0 {
		return network.Flow{}
	}
	return l.flows[len(l.flows)-1]
}

var (
	begin  = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	caller = netip.MustParseAddr("10.1.1.11")
	called = netip.MustParseAddr("10.1.40.40")
	card   = network.MAC{2, 0, 0, 0, 0, 1}
	other  = network.MAC{2, 0, 0, 0, 0, 2}
)

// line plays packets of one connection.
type line struct {
	table *track.Table
	log   *log
	now   time.Time
	port  uint16
}

func newLine(c track.Config) *line {
	l := &log{}
	return &line{track.New(l, c), l, begin, 50000}
}

func (l *line) wait(d time.Duration) { l.now = l.now.Add(d); l.table.Tick(l.now) }

func (l *line) there(flags uint8, seq, ack uint32) { l.send(caller, called, card, flags, seq, ack, 0) }
func (l *line) back(flags uint8, seq, ack uint32)  { l.send(called, caller, other, flags, seq, ack, 0) }

func (l *line) send(from, to netip.Addr, mac network.MAC, flags uint8, seq, ack uint32, size int) {
	p := frame.Packet{Kind: frame.IP, Src: from, Dst: to, SrcMAC: mac, Protocol: network.TCP, Flags: flags, Seq: seq, Ack: ack, Length: 40 + size, Payload: size, SrcPort: l.port, DstPort: 445}
	if from == called {
		p.SrcPort, p.DstPort = p.DstPort, p.SrcPort
	}
	l.table.Packet(l.now, &p)
}

func TestHandshakeIsProvenWhenNobodyObjects(t *testing.T) {
	l := newLine(track.Config{})
	l.there(frame.SYN, 100, 0)
	if f := l.log.last(); !f.Begun || f.State != network.Attempt || f.Proof != "" || f.SrcMAC != card {
		t.Fatalf("%+v", f)
	}
	l.back(frame.SYN|frame.ACK, 500, 101)
	l.there(frame.ACK, 101, 501)
	if f := l.log.last(); f.State != network.Established || !f.Changed || f.Proof != "" {
		t.Fatalf("%+v", f)
	}
	l.wait(99 * time.Millisecond)
	if f := l.log.last(); f.Proof != "" {
		t.Fatalf("too early: %+v", f)
	}
	l.wait(2 * time.Millisecond)
	if f := l.log.last(); f.Proof != network.ByTwoWay {
		t.Fatalf("%+v", f)
	}
}

// A host in whose name somebody called answers what it is told with a reset.
func TestResetOfTheCallerProvesNothing(t *testing.T) {
	l := newLine(track.Config{})
	l.there(frame.SYN, 100, 0)
	l.back(frame.SYN|frame.ACK, 500, 101)
	l.there(frame.ACK, 101, 501) // forged
	l.wait(20 * time.Millisecond)
	l.there(frame.RST, 101, 0) // true
	l.wait(time.Second)
	l.there(frame.ACK|frame.PSH, 101, 501)
	l.wait(time.Second)
	for _, f := range l.log.flows {
		if f.Proof != "" {
			t.Errorf("%+v", f)
		}
	}
	if f := l.log.flows[2]; f.State != network.Refused {
		t.Errorf("%+v", f)
	}
}

// Who does not see the answers cannot guess what to acknowledge.
func TestBlindCallerIsNotEstablished(t *testing.T) {
	l := newLine(track.Config{})
	l.there(frame.SYN, 100, 0)
	l.back(frame.SYN|frame.ACK, 0x90000000, 101)
	l.there(frame.ACK, 101, 12345)
	l.wait(time.Second)
	if f := l.log.last(); f.State != network.Attempt || len(l.log.flows) != 1 {
		t.Errorf("%+v", l.log.flows)
	}
}

func TestShortConversationIsProvenBeforeItIsForgotten(t *testing.T) {
	l := newLine(track.Config{})
	l.there(frame.SYN, 100, 0)
	l.back(frame.SYN|frame.ACK, 500, 101)
	l.there(frame.ACK, 101, 501)
	l.there(frame.ACK|frame.FIN, 101, 501)
	l.back(frame.ACK|frame.FIN, 501, 102)
	l.wait(110 * time.Millisecond)
	n := len(l.log.flows)
	if n < 2 || l.log.flows[n-2].Proof != network.ByTwoWay || l.log.flows[n-1].State != network.Closed {
		t.Errorf("%+v", l.log.flows)
	}
	l.wait(time.Minute)
	if st := l.table.Stats(); st.Flows != 0 {
		t.Errorf("%+v", st)
	}
}

func TestRefusals(t *testing.T) {
	l := newLine(track.Config{})
	l.there(frame.SYN, 100, 0)
	l.back(frame.RST|frame.ACK, 0, 101)
	if f := l.log.last(); f.State != network.Refused {
		t.Errorf("by the other end: %+v", f)
	}
	l = newLine(track.Config{})
	l.there(frame.SYN, 100, 0)
	p := frame.Packet{Kind: frame.IP, Src: netip.MustParseAddr("10.1.0.254"), Dst: caller, Protocol: network.ICMP, Type: 3, Inner: frame.Tuple{Src: caller, Dst: called, Protocol: network.TCP, SrcPort: 50000, DstPort: 445}}
	l.table.Packet(l.now, &p)
	if f := l.log.last(); f.State != network.Refused {
		t.Errorf("by a router: %+v", f)
	}
}

func TestAnotherConnectionWithTheSamePorts(t *testing.T) {
	l := newLine(track.Config{})
	l.there(frame.SYN, 100, 0)
	l.there(frame.SYN, 100, 0) // again, since nobody answered
	l.there(frame.SYN, 9000, 0)
	begun := 0
	for _, f := range l.log.flows {
		if f.Begun {
			begun++
		}
	}
	if begun != 2 {
		t.Errorf("%d begun", begun)
	}
}

func TestMidwayIsAGuess(t *testing.T) {
	l := newLine(track.Config{})
	l.back(frame.ACK, 500, 100)
	if f := l.log.last(); !f.Midway || f.Src != caller || f.DstPort != 445 {
		t.Errorf("%+v", f)
	}
	l.there(frame.ACK, 100, 501)
	if f := l.log.last(); f.State != network.Established || f.Proof != "" {
		t.Errorf("%+v", f)
	}
}

// One who calls everybody displaces his own conversations, and nobody else's.
func TestScannerDisplacesHimself(t *testing.T) {
	l := newLine(track.Config{Flows: 1000, PerCaller: 100})
	l.there(frame.SYN, 100, 0)
	l.back(frame.SYN|frame.ACK, 500, 101)
	l.there(frame.ACK, 101, 501)
	for i := range 5000 {
		p := frame.Packet{Kind: frame.IP, Src: netip.MustParseAddr("10.1.1.99"), Protocol: network.TCP, Flags: frame.SYN, SrcPort: uint16(i), DstPort: 445}
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], 0x0a020000+uint32(i))
		p.Dst = netip.AddrFrom4(a)
		l.table.Packet(l.now, &p)
	}
	if st := l.table.Stats(); st.Flows != 101 || st.Displaced != 4900 {
		t.Errorf("%+v", st)
	}
	for i := range 5000 { // the same with sources that nobody has
		p := frame.Packet{Kind: frame.IP, Dst: called, Protocol: network.TCP, Flags: frame.SYN, SrcPort: 1, DstPort: 445}
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], 0x0b000000+uint32(i))
		p.Src = netip.AddrFrom4(a)
		l.table.Packet(l.now, &p)
	}
	if st := l.table.Stats(); st.Flows > 1000 {
		t.Errorf("%+v", st)
	}
	l.log.flows = nil
	l.wait(200 * time.Millisecond)
	if f := l.log.last(); f.Proof != network.ByTwoWay {
		t.Errorf("the conversation of before is gone: %+v", f)
	}
}

// Of a thinned conversation what was carried is read off its sequence numbers.
func TestThinnedBytesAreReckoned(t *testing.T) {
	l := newLine(track.Config{})
	l.there(frame.SYN, 100, 0)
	l.back(frame.SYN|frame.ACK, 500, 101)
	l.there(frame.ACK, 101, 501)
	l.wait(200 * time.Millisecond)
	seq := uint32(101)
	for range 1000 {
		l.send(caller, called, card, frame.ACK, seq, 501, 1448)
		seq += 1448
	}
	thin := l.table.Thin(l.now, 8)
	if len(thin) != 1 || thin[0].Src != caller || thin[0].DstPort != 445 {
		t.Fatalf("%+v", thin)
	}
	const packets = 64_000
	for i := range packets { // one in 64 is seen
		if i%64 == 63 {
			l.send(caller, called, card, frame.ACK, seq, 501, 1448)
		}
		seq += 1448
	}
	l.wait(time.Second)
	l.table.Close(l.now)
	var total uint64
	for _, f := range l.log.flows {
		total += f.Bytes
	}
	if want := uint64(1448 * (packets + 1000)); total < want || total > want+want/20 {
		t.Errorf("%d bytes; expected %d and headers", total, want)
	}
}

// A clock that is set, by a day either way, loses nothing and invents nothing.
func TestClockIsSet(t *testing.T) {
	for _, by := range []time.Duration{-24 * time.Hour, 24 * time.Hour} {
		l := newLine(track.Config{})
		l.there(frame.SYN, 100, 0)
		l.wait(by)
		l.port++
		l.there(frame.SYN, 100, 0)
		l.back(frame.SYN|frame.ACK, 500, 101)
		l.there(frame.ACK, 101, 501)
		l.wait(200 * time.Millisecond)
		if f := l.log.last(); f.Proof != network.ByTwoWay {
			t.Errorf("%v: %+v", by, f)
		}
	}
}

func TestClaimsAreToldOnce(t *testing.T) {
	l := newLine(track.Config{})
	p := frame.Packet{Kind: frame.Neighbour, Claimed: caller, Claimant: card}
	for range 10 {
		l.table.Packet(l.now, &p)
	}
	p.Claimant = other
	l.table.Packet(l.now, &p)
	if len(l.log.claims) != 2 {
		t.Errorf("%+v", l.log.claims)
	}
}

// Any frames at all, in any order: bounded, and everybody who is remembered is
// accounted for.
func FuzzTable(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8})
	f.Fuzz(func(t *testing.T, data []byte) {
		l := newLine(track.Config{Flows: 16, PerCaller: 4})
		for ; len(data) >= 6; data = data[6:] {
			p := frame.Packet{
				Kind: frame.IP, Src: netip.AddrFrom4([4]byte{10, 0, 0, data[0] & 15}), Dst: netip.AddrFrom4([4]byte{10, 0, 0, data[1] & 15}),
				Protocol: []network.Protocol{network.TCP, network.UDP, network.ICMP, 47}[data[2]&3], Flags: data[3], Seq: uint32(data[4]), Ack: uint32(data[5]),
				SrcPort: uint16(data[2] >> 4), DstPort: uint16(data[4] >> 5), Type: data[5], Length: int(data[4]), Payload: int(data[3]),
			}
			l.table.Packet(l.now, &p)
			if data[0]&0x80 != 0 {
				l.wait(time.Duration(int8(data[1])) * time.Second)
			}
			l.table.Thin(l.now, 2)
		}
		if st := l.table.Stats(); st.Flows > 16 {
			t.Errorf("%+v", st)
		}
		l.table.Close(l.now)
		if st := l.table.Stats(); st.Flows != 0 {
			t.Errorf("%+v", st)
		}
	})
}
