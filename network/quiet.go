package network

import (
	"fmt"
	"net/netip"
	"time"
)

const (
	slot  = 5 * time.Minute
	slots = 288 // of a day
	// usually is how many of them a device must have been heard in to be a talker.
	usually = slots * 9 / 10
	// slack is by how many spans records of other sensors come late.
	slack = 12
)

// day is in which spans of the last day something was heard.
type day struct {
	heard [slots]bool
	n     int
	addr  netip.Addr
}

func (d *day) set(i int64, v bool) {
	at := &d.heard[i%slots]
	switch {
	case v && !*at:
		d.n++
	case !v && *at:
		d.n--
	}
	*at = v
}

// heard notes that both ends of a flow talk, and looks for who has stopped whenever a
// span ends. Time is the sensors' own: when they see nobody, nobody is silent.
func (w *Watch) heard(now time.Time, src, dst host, f *Flow) {
	if w.begun.IsZero() {
		w.begun = now
	}
	i := int64(now.Sub(w.begun) / slot)
	switch {
	case i < w.slot-slack || i > w.slot+slots: // the clock was set
		w.begun, w.slot = now, 0
		w.alive = day{}
		clear(w.days)
		i = 0
	case i < w.slot:
		i = w.slot
	}
	for w.slot < i {
		w.endSlot(now, f.Sensor)
		w.slot++
		w.alive.set(w.slot, false)
		for _, d := range w.days {
			d.set(w.slot, false)
		}
	}
	w.alive.set(w.slot, true)
	w.talks(src, f.Src)
	if f.State == Established {
		w.talks(dst, f.Dst)
	}
}

func (w *Watch) talks(h host, a netip.Addr) {
	if h.device == nil {
		return
	}
	d := w.days[h.name]
	if d == nil {
		d = &day{}
		w.days[h.name] = d
	}
	d.addr = a
	d.set(w.slot, true)
}

// endSlot judges who was silent in the spans that end here: each of them one in which
// the sensors saw somebody.
func (w *Watch) endSlot(now time.Time, sensor string) {
	rule := w.rule(Silent)
	need := max(1, int64(time.Duration(rule.Threshold)*time.Minute/slot))
	if w.slot < slots {
		return // no day yet
	}
	for name, d := range w.days {
		if d.n < usually-int(need) || !w.silentSince(d, need) || w.silentSince(d, need+1) {
			continue
		}
		w.accuse(Silent, charge{
			host: w.hosts.of(d.addr), addr: d.addr, at: now, sensor: sensor, group: "silent",
			detail: fmt.Sprintf("%s was heard in %d of the last %d spans of five minutes, and not for %v", name, d.n, slots, time.Duration(need)*slot),
		})
	}
}

// silentSince reports whether a device was silent, and the sensors were not, in each of
// the last n spans.
func (w *Watch) silentSince(d *day, n int64) bool {
	for k := range n {
		at := (w.slot - k) % slots
		if d.heard[at] || !w.alive.heard[at] {
			return false
		}
	}
	return true
}
