package network

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// card is the network card that an address was last proven to have.
type card struct {
	mac   MAC
	heard time.Time // last, from this card
}

// carrier is a network card that sends, and whose addresses it sends from.
type carrier struct {
	subjects [3]string // different ones, as far as they go
	n        int
}

const (
	maxCards    = 1 << 14
	adopted     = 24 * time.Hour // of silence of the old card, and a new one is believed
	cardUnheard = time.Minute
)

// carry notes that a card sends from an address. One that sends from the addresses of
// three hosts or more is a router's, and proves nothing about any.
func (w *Watch) carry(mac MAC, a netip.Addr, h host) {
	if mac == (MAC{}) || mac.group() {
		return
	}
	c := w.carriers[mac]
	if c == nil {
		if len(w.carriers) >= maxCards {
			clear(w.carriers)
		}
		c = &carrier{}
		w.carriers[mac] = c
	}
	subject := h.name
	switch {
	case subject != "":
	case a.Is6() && a.IsLinkLocalUnicast():
		return // every host has one beside its own
	default:
		subject = a.String()
	}
	if c.n < len(c.subjects) && !slices.Contains(c.subjects[:c.n], subject) {
		c.subjects[c.n] = subject
		c.n++
	}
}

// forwards reports whether a card sends what others send.
func (w *Watch) forwards(mac MAC) bool {
	c := w.carriers[mac]
	return c != nil && c.n == len(c.subjects)
}

// proof is what a flow proves about its caller. A conversation held to the end by
// somebody else's card proves nothing against the device, nor does one in which another
// card had a say that is not a router's, which sends again what the device sent.
func (w *Watch) proof(f *Flow, src host) Proof {
	w.carry(f.SrcMAC, f.Src, src)
	if src.device == nil || f.SrcMAC == (MAC{}) {
		return f.Proof
	}
	owner, known := w.owner(f.Src, src.device)
	if f.OtherMAC != (MAC{}) && !w.forwards(f.OtherMAC) && !slices.Contains(owner, f.OtherMAC) {
		return NoProof
	}
	switch {
	case w.forwards(f.SrcMAC):
		return f.Proof
	case known && !slices.Contains(owner, f.SrcMAC):
		w.changed(f.Src, f.SrcMAC, src, f.Time, f.Sensor, f.Proof == ByTwoWay)
		return NoProof
	case known:
		w.renew(f.Src, f.SrcMAC, f.Time)
		return max2(f.Proof, ByMAC)
	case f.Proof == ByTwoWay:
		w.believe(f.Src, f.SrcMAC, f.Time)
	}
	return f.Proof
}

func max2(a, b Proof) Proof {
	if b.better(a) {
		return b
	}
	return a
}

// owner are the cards that an address of a device may send from.
func (w *Watch) owner(a netip.Addr, d *device) ([]MAC, bool) {
	if len(d.Hardware) > 0 {
		return d.Hardware, true
	}
	c, ok := w.cards[a]
	if !ok || w.forwards(c.mac) {
		return nil, false
	}
	return []MAC{c.mac}, true
}

// believe takes a card for that of an address.
func (w *Watch) believe(a netip.Addr, mac MAC, now time.Time) {
	if _, known := w.cards[a]; !known && len(w.cards) >= maxCards {
		return
	}
	w.cards[a] = card{mac: mac, heard: now}
	w.cardsChanged[a] = true
}

func (w *Watch) renew(a netip.Addr, mac MAC, now time.Time) {
	if c, ok := w.cards[a]; ok && c.mac == mac && apart(now, c.heard) > cardUnheard {
		c.heard = now
		w.cards[a] = c
		w.cardsChanged[a] = true
	}
}

// changed says that another card has a device's address; and believes it once the old
// one has been silent for a day, and the new one has held conversations.
func (w *Watch) changed(a netip.Addr, mac MAC, h host, at time.Time, sensor string, talked bool) {
	c, learned := w.cards[a]
	if learned && len(h.device.Hardware) == 0 && talked && at.Sub(c.heard) > adopted {
		w.believe(a, mac, at)
		return
	}
	detail := fmt.Sprintf("%s is %s's, and sends from %s", a, h.name, mac)
	if learned {
		detail += fmt.Sprintf("; it sent from %s until %s", c.mac, c.heard.UTC().Format(time.DateTime))
	}
	w.accuse(AddressChange, charge{host: h, addr: a, at: at, sensor: sensor, group: mac.String(), service: "arp", detail: detail})
}

// Claim takes a claim of an address.
func (w *Watch) Claim(c Claim) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.Time.IsZero() {
		c.Time = time.Now()
	}
	a := c.Addr.Unmap().WithZone("")
	h := w.hosts.of(a)
	w.carry(c.MAC, a, h)
	if h.device == nil || w.forwards(c.MAC) {
		return
	}
	owner, known := w.owner(a, h.device)
	switch {
	case !known: // a claim alone is not believed
	case slices.Contains(owner, c.MAC):
		w.renew(a, c.MAC, c.Time)
	default:
		w.changed(a, c.MAC, h, c.Time, c.Sensor, false)
	}
}
