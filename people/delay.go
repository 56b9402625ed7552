package people

import (
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// Who guesses waits, longer with every wrong guess; who is guessed at does not. Wrong
// passwords count against the name at that address, against the address, and against
// the name from anywhere. The last alone would let anybody keep somebody out, so it
// holds up addresses from which there were wrong guesses already, and no others. In
// a browser in which somebody signed in before, nothing counts but what is typed
// there. Nothing is ever locked: the longest wait is a few minutes, and passkeys,
// which cannot be guessed, wait for nothing.

// Wait is an error that says when to try again.
type Wait struct{ For time.Duration }

func (w *Wait) Error() string {
	return fmt.Sprintf("after too many wrong passwords there is a wait: try again in %d s, or use a passkey", int(w.For.Seconds()+1))
}

// kindOf is what wrong passwords are counted for.
type kindOf uint8

const (
	ofPair    kindOf = iota // a name at an address
	ofAddress               // an address
	ofName                  // a name, from anywhere
	ofBrowser               // a name in a browser where it is known
)

// tolerance is how many wrong passwords cost nothing, and how long a wait gets.
var tolerance = [...]struct {
	free    int
	longest time.Duration
}{
	ofPair:    {4, 2 * time.Minute},
	ofAddress: {10, time.Minute},
	ofName:    {20, 5 * time.Minute},
	ofBrowser: {10, time.Minute},
}

type delayKey struct {
	kind    kindOf
	name    string
	address netip.Prefix
}

type delayed struct {
	wrong int
	last  time.Time
}

const (
	forgiven  = time.Hour // without a wrong password
	maxDelays = 20000     // keys; then the oldest of some go
)

type delays struct {
	mu  sync.Mutex
	all map[delayKey]delayed
}

func newDelays() *delays { return &delays{all: map[delayKey]delayed{}} }

// delayKeys are what an attempt counts for.
func delayKeys(folded string, o Origin, known bool) []delayKey {
	if known {
		return []delayKey{{kind: ofBrowser, name: folded + "\x00" + o.Browser}}
	}
	at := network(o.Address)
	return []delayKey{{ofPair, folded, at}, {ofAddress, "", at}, {ofName, folded, netip.Prefix{}}}
}

// network is the address, or for IPv6 the network that one subscriber has.
func network(address string) netip.Prefix {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}
	}
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}

// wait is how long a key has to, yet.
func (d delayed) wait(k kindOf, now time.Time) time.Duration {
	t := tolerance[k]
	over := d.wrong - t.free
	if over < 0 {
		return 0
	}
	return d.last.Add(min(t.longest, time.Second<<min(over, 20))).Sub(now)
}

// take is an error if an attempt must wait. It costs nothing to be told so.
func (d *delays) take(now time.Time, keys []delayKey) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var longest time.Duration
	clean := true // the address is not one that guesses
	for _, k := range keys {
		v, ok := d.all[k]
		if !ok || now.Sub(v.last) > forgiven {
			continue
		}
		if k.kind == ofName && clean {
			continue
		}
		clean = clean && k.kind != ofPair && k.kind != ofAddress
		longest = max(longest, v.wait(k.kind, now))
	}
	if longest > 0 {
		return &Wait{longest}
	}
	return nil
}

// wrong counts a wrong password.
func (d *delays) wrong(now time.Time, keys []delayKey) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, k := range keys {
		v := d.all[k]
		if now.Sub(v.last) > forgiven {
			v.wrong = 0
		}
		d.all[k] = delayed{v.wrong + 1, now}
	}
	d.bound(now)
}

// right forgets what was counted for a person at that address, or in that browser,
// and nothing of the address itself: it may guess at others meanwhile.
func (d *delays) right(keys []delayKey) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, k := range keys {
		if k.kind == ofPair || k.kind == ofBrowser {
			delete(d.all, k)
		}
	}
}

// bound keeps the map from growing: of some, what is forgiven or the oldest goes.
func (d *delays) bound(now time.Time) {
	for len(d.all) > maxDelays {
		var oldest delayKey
		seen, found := 0, false
		for k, v := range d.all { // in no order
			if now.Sub(v.last) > forgiven {
				delete(d.all, k)
				continue
			}
			if !found || v.last.Before(d.all[oldest].last) {
				oldest, found = k, true
			}
			if seen++; seen == 64 {
				break
			}
		}
		delete(d.all, oldest)
	}
}
