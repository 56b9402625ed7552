package hospital

import (
	"time"

	"cordon/network/frame"
)

// Worm calls one host after the other on a port: every third answers.
func (s *Story) Worm(at time.Time, m Host, port uint16, n int, every time.Duration) {
	for i := range n {
		to := At(1 + i%250)
		if i%3 == 0 {
			s.tcp(at, m, to, port, 40, 0, 10*time.Millisecond)
		} else {
			s.syn(at, m, to, port)
		}
		at = at.Add(every)
	}
}

// Call is one conversation.
func (s *Story) Call(at time.Time, a, b Host, port uint16) {
	s.tcp(at, a, b, port, 500, 500, 50*time.Millisecond)
}

// Try is a call that nobody answers.
func (s *Story) Try(at time.Time, a, b Host, port uint16) { s.syn(at, a, b, port) }

// Forge is a call in the name of a, from somebody else's hardware. Whoever is called
// answers a, who knows nothing of it and says so; and the forger, who works together
// with b, goes on as if he had been answered.
func (s *Story) Forge(at time.Time, a Host, from Host, b Host, port uint16) {
	as := Host{a.Addr, from.MAC}
	mine := s.syn(at, as, b, port)
	seq := s.seq
	s.segment(at.Add(delay), b, a, port, mine, seq+7, seq+1, frame.SYN|frame.ACK, 0)
	s.segment(at.Add(2*delay), as, b, mine, port, seq+1, seq+8, frame.ACK, 0)
	s.segment(at.Add(3*delay), a, b, mine, port, seq+1, 0, frame.RST, 0)
	s.segment(at.Add(4*delay), as, b, mine, port, seq+1, seq+8, frame.ACK|frame.PSH, 40)
	s.segment(at.Add(5*delay), b, a, port, mine, seq+8, seq+41, frame.ACK, 0)
}

// Beacon calls somebody outside, at an interval that varies by a part either way.
func (s *Story) Beacon(at time.Time, m, to Host, n int, every time.Duration, jitter float64) {
	for range n {
		s.tcp(at, m, to, 443, 300, 100, 50*time.Millisecond)
		at = at.Add(every + time.Duration((s.random.Float64()*2-1)*jitter*float64(every)))
	}
}

// Flood asks one host for connections, from addresses that nobody has.
func (s *Story) Flood(at time.Time, from, to Host, port uint16, n int, every time.Duration) {
	for i := range n {
		as := host(100+i/250, 1+i%250)
		as.MAC = from.MAC
		s.syn(at.Add(time.Duration(i)*every), as, to, port)
	}
}

// Claim says in ARP that an address has another card.
func (s *Story) Claim(at time.Time, a, from Host) { s.arp(at, s.h.Router, Host{a.Addr, from.MAC}) }
