package gateway

import (
	"crypto/tls"
	"strings"
	"sync"
)

// outletPrefix begins the names under which custody knows devices that objects
// go out to, so that none of them is an archive's.
const outletPrefix = "device/"

// outletName is how custody and the archive status name a device that objects
// go out to.
func outletName(device string) string { return outletPrefix + device }

// isOutlet reports whether a name of custody's is a device's.
func isOutlet(name string) (device string, ok bool) { return strings.CutPrefix(name, outletPrefix) }

// outlets are the devices that objects go out to, by name: what is known of
// their health. They are made as they are needed, since the register changes.
type outlets struct {
	wake chan struct{} // holds at most one token

	mu    sync.Mutex
	known map[string]*archive
	busy  map[string]bool // those that are delivered to now
}

func newOutlets() outlets {
	return outlets{wake: make(chan struct{}, 1), known: map[string]*archive{}, busy: map[string]bool{}}
}

// begin takes a device's turn to be delivered to, unless it has one; end ends it.
func (o *outlets) begin(device string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.busy[device] {
		return false
	}
	o.busy[device] = true
	return true
}

func (o *outlets) end(device string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.busy, device)
}

func (o *outlets) wakeUp() {
	select {
	case o.wake <- struct{}{}:
	default: // a token is there already
	}
}

// outlet is where objects for a device are sent: as an archive is, under its
// own AE title. It is not ok for a device that nothing can be sent to.
func (g *Gateway) outlet(device string) (*archive, bool) {
	d, ok := g.site().Device(device)
	if !ok {
		return nil, false
	}
	at, ok := d.Outlet()
	if !ok {
		return nil, false
	}
	g.outlets.mu.Lock()
	defer g.outlets.mu.Unlock()
	a := g.outlets.known[device]
	if a == nil || a.upstream.Address != at.String() || a.upstream.AETitle != d.AETitle {
		a = newArchive(Upstream{Name: outletName(device), AETitle: d.AETitle, Address: at.String(), TLS: func() *tls.Config { return g.outletTLS(device) }})
		g.outlets.known[device] = a
	}
	return a, true
}

// outletTLS is how the next connection to a device is secured; nil is plain TCP.
func (g *Gateway) outletTLS(device string) *tls.Config {
	d, ok := g.site().Device(device)
	if !ok || g.config.OutletTLS == nil {
		return nil
	}
	return g.config.OutletTLS(d)
}

// target is an archive, or a device as custody names it; nil if the
// configuration does not have it.
func (g *Gateway) target(name string) *archive {
	if device, ok := isOutlet(name); ok {
		a, _ := g.outlet(device)
		return a
	}
	return g.archives[name]
}
