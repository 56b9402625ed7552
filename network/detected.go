package network

import (
	"fmt"
	"hash/maphash"
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
		at: d.Time, sensor: d.Sensor, service: service(d.Protocol, d.DstPort), group: plain(d.ID),
		severity: severityOf(d.Level), detail: fmt.Sprintf("%s (%s): %s to %s", plain(d.Signature), plain(d.ID), d.Src, d.Dst),
	}
	switch {
	case src.device != nil:
		c.host, c.addr, c.peer, c.proof = src, d.Src, d.Dst, d.Proof
		w.accuse(Recognised, c)
	case dst.device != nil:
		c.host, c.addr, c.peer = dst, d.Dst, d.Src
		w.accuse(Attacked, c)
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
