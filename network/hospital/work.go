package hospital

import (
	"net/netip"
	"time"

	"cordon/network"
)

var everybody = Host{netip.AddrFrom4([4]byte{255, 255, 255, 255}), network.MAC{255, 255, 255, 255, 255, 255}}

// Work is what goes on when nothing is wrong.
func (s *Story) Work() {
	for i, m := range s.h.Modalities {
		s.switchOn(s.from.Add(time.Duration(i)*time.Minute), m)
		s.modality(m)
	}
	for _, v := range s.h.Workstations {
		s.workstation(v)
	}
	for _, v := range s.h.Office {
		s.office(v)
	}
	s.monitoring()
	s.backup()
	s.remote(s.from.Add(20*time.Minute), s.h.Modalities[2])
}

// switchOn is what a Windows device does at its start, within seconds.
func (s *Story) switchOn(at time.Time, m Host) {
	nobody := Host{netip.IPv4Unspecified(), m.MAC}
	s.datagram(at, nobody, everybody, 68, 67, 300)
	s.datagram(at.Add(50*time.Millisecond), s.h.Domain, everybody, 67, 68, 300)
	s.arp(at.Add(time.Second), m, s.h.Router)
	for i := range 20 {
		s.udp(at.Add(time.Second+time.Duration(i)*40*time.Millisecond), m, s.h.Domain, 53, 40, 120)
	}
	logon := at.Add(2 * time.Second)
	if m == s.h.Modalities[3] {
		s.licence(at.Add(6*time.Second), m) // no Windows
		return
	}
	for i, port := range []uint16{88, 389, 88, 445, 135, 49666, 88, 389, 445} {
		s.tcp(logon.Add(time.Duration(i)*80*time.Millisecond), m, s.h.Domain, port, 2000, 6000, 200*time.Millisecond)
	}
	s.udp(at.Add(4*time.Second), m, s.h.Domain, 123, 48, 48)
	s.licence(at.Add(6*time.Second), m)
	s.tcp(at.Add(8*time.Second), m, s.h.Gateway, 104, 400, 400, 20*time.Millisecond) // C-ECHO
	s.datagram(at.Add(9*time.Second), m, Host{netip.AddrFrom4([4]byte{10, 1, 1, 255}), everybody.MAC}, 138, 138, 200)
	s.datagram(at.Add(9*time.Second), m, Host{netip.AddrFrom4([4]byte{224, 0, 0, 251}), network.MAC{1, 0, 0x5e, 0, 0, 0xfb}}, 5353, 5353, 100)
}

func (s *Story) licence(at time.Time, m Host) {
	s.tcp(at, m, s.h.Licence, 27000, 300, 300, 50*time.Millisecond)
	s.tcp(at.Add(100*time.Millisecond), m, s.h.Licence, 27004, 500, 500, 50*time.Millisecond)
}

// modality is one at work: worklists, images, commitment, and what its system does.
func (s *Story) modality(m Host) {
	s.every(2*time.Minute, func(at time.Time) {
		s.udp(at, m, s.h.Domain, 53, 40, 120)
		s.tcp(at.Add(10*time.Millisecond), m, s.h.Gateway, 104, 2000, 20_000, 300*time.Millisecond)
	})
	s.every(10*time.Minute, func(at time.Time) { s.study(at, m) })
	s.every(17*time.Minute, func(at time.Time) { s.udp(at, m, s.h.Domain, 123, 48, 48) })
	s.every(10*time.Minute, func(at time.Time) { s.licence(at, m) })
	s.every(30*time.Minute, func(at time.Time) { s.datagram(at, m, s.h.Domain, 68, 67, 300) })
	s.every(5*time.Minute, func(at time.Time) { s.arp(at, m, s.h.Router); s.arp(at, s.h.Gateway, m) })
}

// study is one examination: a step begins, images on one association or on one for each,
// the step ends, and the gateway confirms.
func (s *Story) study(at time.Time, m Host) {
	at = s.tcp(at, m, s.h.Gateway, 104, 3000, 1000, 100*time.Millisecond)
	if s.random.IntN(3) == 0 { // a device that opens an association for each image
		for range 120 {
			at = s.tcp(at, m, s.h.Gateway, 104, 520_000, 500, 20*time.Millisecond)
			s.tcp(at, s.h.Gateway, s.h.PACS, 104, 520_000, 500, 20*time.Millisecond)
		}
	} else {
		size := 20_000_000 + s.random.IntN(80_000_000)
		at = s.tcp(at, m, s.h.Gateway, 104, size, 50_000, 20*time.Second)
		s.tcp(at, s.h.Gateway, s.h.PACS, 104, size, 50_000, 20*time.Second)
	}
	at = s.tcp(at, m, s.h.Gateway, 104, 3000, 1000, 100*time.Millisecond)
	s.tcp(at.Add(20*time.Second), s.h.Gateway, m, 104, 5000, 500, 100*time.Millisecond) // N-EVENT-REPORT
}

// workstation reads: queries, retrieves, the web.
func (s *Story) workstation(v Host) {
	s.every(90*time.Second, func(at time.Time) {
		s.tcp(at, v, s.h.PACS, 104, 1000, 30_000, 200*time.Millisecond)
		s.tcp(at.Add(time.Second), s.h.PACS, v, 11112, 40_000_000, 10_000, 8*time.Second)
	})
	s.every(time.Minute, func(at time.Time) { s.udp(at, v, s.h.Domain, 53, 40, 100) })
	s.office(v)
}

// office is a computer that no device is: mail, files, the web.
func (s *Story) office(v Host) {
	s.every(30*time.Second, func(at time.Time) {
		for i := range 3 + s.random.IntN(6) {
			s.tcp(at.Add(time.Duration(i)*100*time.Millisecond), v, s.h.Outside(1+s.random.IntN(200)), 443, 2000, 200_000, time.Second)
		}
	})
	s.every(3*time.Minute, func(at time.Time) { s.tcp(at, v, s.h.Domain, 445, 20_000, 200_000, time.Second) })
}

// monitoring asks everybody, all at once, every few minutes.
func (s *Story) monitoring() {
	s.every(5*time.Minute, func(at time.Time) {
		for i, m := range s.h.Modalities {
			s.ping(at.Add(time.Duration(i)*20*time.Millisecond), s.h.Monitor, m)
			s.udp(at.Add(time.Duration(i)*30*time.Millisecond), s.h.Monitor, m, 161, 80, 200)
		}
		for i := range 60 { // most of them answer
			to := At(100 + i)
			if i%10 != 0 {
				s.ping(at.Add(time.Duration(i)*5*time.Millisecond), s.h.Monitor, to)
			}
		}
	})
}

// backup takes the archive's images away, and the archives' copies of one another.
func (s *Story) backup() {
	at := s.from.Add(5 * time.Minute)
	for range 40 {
		at = s.tcp(at, s.h.Backup, s.h.PACS, 10000, 10_000, 60_000_000, 10*time.Second)
		at = s.tcp(at, s.h.PACS, s.h.VNA, 104, 60_000_000, 10_000, 10*time.Second)
	}
}

// remote is a vendor's session, for which a ticket was opened.
func (s *Story) remote(at time.Time, m Host) {
	for range 3 {
		at = s.tcp(at, s.h.Vendor, m, 5900, 200_000, 5_000_000, 5*time.Minute).Add(time.Minute)
	}
}
