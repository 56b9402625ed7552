package network

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"cordon/metric"
)

// Observe takes a flow.
func (w *Watch) Observe(f Flow) {
	w.parts.Metrics.Count(metric.NetworkFlows, 1, f.Sensor)
	w.mu.Lock()
	defer w.mu.Unlock()
	if f.Time.IsZero() {
		f.Time = time.Now()
	}
	f.Src, f.Dst = f.Src.Unmap().WithZone(""), f.Dst.Unmap().WithZone("")
	if nobody(f.Src) || !f.Dst.IsValid() {
		return
	}
	src, dst := w.hosts.of(f.Src), w.hosts.of(f.Dst)
	w.heard(f.Time, src, dst, &f)
	if f.Broadcast || nobody(f.Dst) || f.Protocol == 0 || !src.inside && !dst.inside {
		return
	}
	f.Proof = w.proof(&f, src)
	purpose, ok := allowed(&f, src, dst)
	r := w.see(&f, src)
	known := w.learned(r, src.device, f.Time) || src.device == nil && w.learned(r, dst.device, f.Time)
	if !ok && w.undeclared(&f, src, dst, known) && r != nil {
		r.accused = true
	}
	w.scan(&f, src, ok || known && apart(f.Time, r.first) > justSeen)
	w.flood(&f, src, dst)
	w.rate(&f, src, dst, purpose)
	w.beacon(&f, src, dst, ok)
	w.believed(&f, src, dst)
}

// justSeen is how old what is learned must be not to count among many new ones.
const justSeen = 10 * time.Minute

// undeclared looks at a flow that nothing allows, and reports whether it is held
// against anybody. known: it was learned, which excuses a new peer or service, not
// what worms do.
func (w *Watch) undeclared(f *Flow, src, dst host, known bool) bool {
	if !f.Begun && f.State != Established {
		return false
	}
	if f.Midway && f.State != Established {
		return false // who called is a guess, and an answer may still set it right
	}
	switch {
	case src.device != nil:
		id := w.outgoing(f, src, dst)
		if known && (id == NewPeer || id == NewService) {
			return false
		}
		w.accuse(id, charge{host: src, addr: f.Src, peer: f.Dst, group: w.group(f.Dst, dst), flow: f})
	case dst.device != nil && src.server == nil && !known:
		w.accuse(Inbound, charge{host: dst, addr: f.Dst, peer: f.Src, group: w.group(f.Src, src), flow: f})
	default:
		return false
	}
	return true
}

// outgoing is the rule that says most about what a device does. One that is off
// leaves it to the next.
func (w *Watch) outgoing(f *Flow, src, dst host) string {
	if lateral(f) && w.on(Lateral) {
		return Lateral
	}
	if src.device.Modality && dst.device != nil && dst.device.Modality && w.on(EastWest) {
		return EastWest
	}
	if src.device.mentions(f.Dst) && w.on(NewService) {
		return NewService
	}
	return NewPeer
}

// lateral reports whether a port is one that worms travel on: remote procedure calls,
// NetBIOS, SMB, RDP, WinRM, Telnet, SSH, and the databases and remote desktops that
// came with scanners.
func lateral(f *Flow) bool {
	if f.Protocol == UDP {
		return f.DstPort == 1434 // SQL Slammer
	}
	if f.Protocol != TCP {
		return false
	}
	switch f.DstPort {
	case 22, 23, 135, 139, 445, 512, 513, 514, 593, 1433, 2323, 3389, 5555, 5900, 5985, 5986:
		return true
	}
	return false
}

// scan counts whom a device calls that it is not declared to, and whom anybody else
// calls without an answer.
func (w *Watch) scan(f *Flow, src host, expected bool) {
	if f.Midway || expected && src.device != nil {
		return
	}
	id, ports := ScanHosts, ScanPorts
	if src.device == nil {
		id, ports = StrangerScans, StrangerScans
	}
	t, rule := w.talker(f.Src, f.Time), w.rule(id)
	t.hosts.open(f.Time, rule.Within)
	if src.device == nil && f.State == Established {
		t.hosts.take(f.Dst)
		if p := t.ports[f.Dst]; p != nil {
			p.take(f.DstPort)
		}
		return
	}
	if t.hosts.add(f.Dst, f.Proof) {
		if p, is := t.hosts.passed(rule.Threshold); is {
			w.accuse(id, charge{host: src, addr: f.Src, peer: f.Dst, peers: peers(&t.hosts), flow: f, proof: p, counted: true, group: "scan", detail: fmt.Sprintf("%d destinations in %v", t.hosts.count(), rule.Within)})
		}
	}
	w.scanPorts(f, src, t, ports)
}

func (w *Watch) scanPorts(f *Flow, src host, t *talker, id string) {
	if f.Protocol != TCP && f.Protocol != UDP {
		return
	}
	rule := w.rule(id)
	p := t.ports[f.Dst]
	if p == nil {
		if len(t.ports) >= maxScanned {
			for peer := range t.ports { // any: who calls that many is found by their number
				delete(t.ports, peer)
				break
			}
		}
		if t.ports == nil {
			t.ports = map[netip.Addr]*tally[uint16]{}
		}
		p = &tally[uint16]{}
		t.ports[f.Dst] = p
	}
	p.open(f.Time, rule.Within)
	if !p.add(f.DstPort, f.Proof) {
		return
	}
	if proof, is := p.passed(rule.Threshold); is {
		w.accuse(id, charge{host: src, addr: f.Src, peer: f.Dst, flow: f, proof: proof, counted: true, group: f.Dst.String(), detail: fmt.Sprintf("%d ports of %s in %v", p.count(), f.Dst, rule.Within)})
	}
}

// flood counts the connections that are asked for and not completed: of each device
// and server that is called, by whomever, and of each device that calls.
func (w *Watch) flood(f *Flow, src, dst host) {
	if f.Protocol != TCP || f.Midway {
		return
	}
	c := call{f.Src, f.DstPort, f.SrcPort}
	if dst.known() {
		t, rule := w.talker(f.Dst, f.Time), w.rule(SYNFlood)
		if t.wanted.open(f.Time, rule.Within); t.wanted.since.Equal(f.Time) {
			t.done = 0
		}
		switch {
		case f.State == Attempt && f.Begun:
			if p, is := t.wanted.passed(rule.Threshold); t.wanted.add(c, NoProof) && is && t.done < t.wanted.count()/4 {
				w.accuse(SYNFlood, charge{host: dst, addr: f.Dst, peer: f.Src, flow: f, proof: p, counted: true, group: "flood", detail: fmt.Sprintf("%d connections begun and %d completed in %v", t.wanted.count(), t.done, rule.Within)})
			}
		case f.State == Established && f.Changed:
			t.wanted.take(c)
			t.done++
		case f.State == Refused:
			t.wanted.take(c)
		}
	}
	if src.device == nil {
		return
	}
	c.peer = f.Dst
	t, rule := w.talker(f.Src, f.Time), w.rule(Flooding)
	t.calls.open(f.Time, rule.Within)
	switch {
	case f.State == Attempt && f.Begun:
		if t.calls.add(c, f.Proof) {
			if p, is := t.calls.passed(rule.Threshold); is {
				w.accuse(Flooding, charge{host: src, addr: f.Src, peer: f.Dst, flow: f, proof: p, counted: true, group: "flood", detail: fmt.Sprintf("%d connections begun and not completed in %v", t.calls.count(), rule.Within)})
			}
		}
	case f.State == Established, f.State == Refused:
		t.calls.take(c)
	}
}

// rate compares how many connections a device opens in a minute, images left out,
// with what it is used to.
func (w *Watch) rate(f *Flow, src, dst host, purpose string) {
	if f.Protocol != TCP || !f.Begun || f.Midway || src.device == nil || images(f, dst, purpose) {
		return
	}
	t, rule := w.talker(f.Src, f.Time), w.rule(RateStep)
	n := t.minute.add(f.Time, f.Proof)
	if p, is := t.minute.passed(rule.Threshold); is {
		w.accuse(RateStep, charge{host: src, addr: f.Src, peer: f.Dst, flow: f, proof: p, counted: true, group: "rate", detail: fmt.Sprintf("%d connections in a minute; %.1f are usual", n, t.minute.mean)})
	}
}

// beacon looks at the times at which a device calls somebody outside.
func (w *Watch) beacon(f *Flow, src, dst host, declared bool) {
	if src.device == nil || dst.inside || declared || f.Midway || f.Protocol != TCP && f.Protocol != UDP {
		return
	}
	t, rule, at := w.talker(f.Src, f.Time), w.rule(Beacon), target{f.Dst, f.Protocol, f.DstPort}
	b := t.beacons[at]
	switch {
	case b == nil && !f.Begun:
		return
	case b == nil:
		if len(t.beacons) >= maxBeacons {
			dropOldest(t.beacons)
		}
		if t.beacons == nil {
			t.beacons = map[target]*beats{}
		}
		b = &beats{}
		t.beacons[at] = b
	}
	if f.Begun {
		b.port = f.SrcPort
		b.beat(f.Time, rule.Threshold, f.Proof != NoProof)
	} else if f.Proof != NoProof && f.SrcPort == b.port {
		b.answered()
	}
	if mean, is := b.regular(rule.Threshold); is {
		w.accuse(Beacon, charge{host: src, addr: f.Src, peer: f.Dst, flow: f, proof: b.proof(), counted: true, group: f.Dst.String(), detail: fmt.Sprintf("every %v, %d times in a row", mean.Round(time.Second), rule.Threshold+1)})
	}
}

func dropOldest(all map[target]*beats) {
	var oldest target
	for k, b := range all {
		if !oldest.addr.IsValid() || b.last.Before(all[oldest].last) {
			oldest = k
		}
	}
	delete(all, oldest)
}

// group is what alerts about a peer are put together under.
func (w *Watch) group(a netip.Addr, h host) string {
	switch {
	case h.device != nil && h.device.Modality:
		return "modalities"
	case h.server != nil:
		return h.server.Name
	case !h.inside:
		return "outside"
	}
	bits := 24
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // of every address there is one
	return p.String()
}

// Service names what is called, such as tcp/445.
func Service(p Protocol, port uint16) string {
	if p == ICMP || p == ICMPv6 || port == 0 {
		return p.String()
	}
	return p.String() + "/" + strconv.Itoa(int(port))
}
