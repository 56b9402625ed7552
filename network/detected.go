package network

import (
	"fmt"
	"hash/maphash"
	"net/netip"
	"strings"
	"time"
	"unicode"
)

// Detected takes what an intrusion detection system recognised.
func (w *Watch) Detected(d Detection) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if d.Time.IsZero() {
		d.Time = time.Now()
	}
	d.Src, d.Dst = d.Src.Unmap().WithZone(""), d.Dst.Unmap().WithZone("")
	src, dst := w.hosts.of(d.Src), w.hosts.of(d.Dst)
	c := charge{
		at: d.Time, sensor: d.Sensor, service: Service(d.Protocol, d.DstPort), group: plain(d.ID),
		severity: severityOf(d.Level), detail: fmt.Sprintf("%s (%s): %s to %s", plain(d.Signature), plain(d.ID), d.Src, d.Dst),
	}
	switch {
	case src.device != nil:
		c.host, c.addr, c.peer, c.proof = src, d.Src, d.Dst, d.Proof
		if t := talkOf(d); c.proof == NoProof && w.proven(t, d.Time) {
			c.proof = ByTwoWay
		} else if c.proof == NoProof {
			w.doubt(t, c)
		}
		w.accuse(Recognised, c)
	case dst.device != nil:
		c.host, c.addr, c.peer = dst, d.Dst, d.Src
		w.accuse(Attacked, c)
	}
}

// talk names a conversation by its ends.
type talk struct {
	src, dst         netip.Addr
	srcPort, dstPort uint16
	protocol         Protocol
}

func (t talk) turned() talk { return talk{t.dst, t.src, t.dstPort, t.srcPort, t.protocol} }

func talkOf(d Detection) talk { return talk{d.Src, d.Dst, d.SrcPort, d.DstPort, d.Protocol} }

const (
	maxDoubts  = 1024
	maxProofs  = 1 << 14
	provenLast = 10 * time.Minute
)

// doubt is a detection that nothing proves yet.
type doubt struct {
	charge charge
	at     time.Time
}

// proven reports whether a conversation, and no other of the same ends, was proven
// lately: anybody can send one packet in the name of a device to whom it talks.
func (w *Watch) proven(t talk, now time.Time) bool {
	for _, t := range []talk{t, t.turned()} {
		if at, ok := w.proofs[t]; ok && apart(now, at) < provenLast {
			return true
		}
	}
	return false
}

// doubt keeps a detection until its conversation is proven.
func (w *Watch) doubt(t talk, c charge) {
	if len(w.doubts) >= maxDoubts {
		clear(w.doubts)
	}
	w.doubts[t] = doubt{c, c.at}
}

// believed notes that a conversation is proven, and says again what was recognised in
// it.
func (w *Watch) believed(f *Flow, src, dst host) {
	if f.Proof != ByTwoWay || src.device == nil && dst.device == nil {
		return
	}
	t := talk{f.Src, f.Dst, f.SrcPort, f.DstPort, f.Protocol}
	if len(w.proofs) >= maxProofs {
		clear(w.proofs)
	}
	w.proofs[t] = f.Time
	for _, t := range []talk{t, t.turned()} {
		d, ok := w.doubts[t]
		if !ok || apart(f.Time, d.at) > provenLast {
			continue
		}
		delete(w.doubts, t)
		d.charge.proof, d.charge.again = ByTwoWay, true
		w.accuse(Recognised, d.charge)
	}
}

// severityOf is how bad Suricata's severity is (1 is high).
func severityOf(level int) Severity {
	switch {
	case level <= 1:
		return Critical
	case level == 2:
		return Warning
	}
	return Notice
}

// plain is foreign text without what would disturb a list, and not too long.
func plain(s string) string {
	const most = 120
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, strings.ToValidUTF8(s, ""))
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	return s
}

// Asked takes a name that was looked up.
func (w *Watch) Asked(a Asked) {
	if !a.Missing {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if a.Time.IsZero() {
		a.Time = time.Now()
	}
	addr := a.Src.Unmap().WithZone("")
	h := w.hosts.of(addr)
	if h.device == nil {
		return
	}
	t, rule := w.talker(addr, a.Time), w.rule(StrangeNames)
	t.names.open(a.Time, rule.Within)
	if !t.names.add(maphash.String(w.seed, a.Name), NoProof) {
		return
	}
	if proof, is := t.names.passed(rule.Threshold); is {
		w.accuse(StrangeNames, charge{
			host: h, addr: addr, at: a.Time, sensor: a.Sensor, group: "names", service: "dns", proof: proof,
			detail: fmt.Sprintf("%d names that do not exist in %v", t.names.count(), rule.Within),
		})
	}
}
