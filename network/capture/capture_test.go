//go:build linux

package capture_test

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"cordon/asset"
	"cordon/interop/lab"
	"cordon/network"
	"cordon/network/capture"
)

// A worm on one scanner is noticed within half a second of its first packet, by a
// sensor on the router.
func TestWormIsNoticedInHalfASecond(t *testing.T) {
	h := lab.New(t, lab.Routed)
	var mu sync.Mutex
	var alerts []network.Alert
	var times []time.Time
	raise := func(a network.Alert) {
		mu.Lock()
		defer mu.Unlock()
		alerts, times = append(alerts, a), append(times, time.Now())
	}
	one := func(a netip.Addr) []netip.Prefix { return []netip.Prefix{netip.PrefixFrom(a, a.BitLen())} }
	devices := func() []network.Declared {
		image := []asset.Flow{{Purpose: "dicom", To: one(h.Router.Addr), Protocol: "tcp", Port: 104}}
		return []network.Declared{
			{Name: "us1", Addresses: one(h.US1.Addr), Modality: true, Strict: true, Flows: image},
			{Name: "us2", Addresses: one(h.US2.Addr), Modality: true, Strict: true, Flows: image},
		}
	}
	w, err := network.New(t.Context(), network.Config{Devices: devices, Raise: raise}, network.Parts{})
	if err != nil {
		t.Fatal(err)
	}
	var s *capture.Sensor
	err = h.Router.Do(func() (err error) {
		s, err = capture.Open(capture.Config{Interfaces: []string{"to-us-1", "to-us-2", "to-general"}}, w)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { w.Run(ctx) })
	running.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	defer running.Wait()
	defer cancel()
	h.General.Expose(t, 445)
	h.Router.Expose(t, 104)
	c, err := h.US1.Dial(h.Router.Addr.String()+":104", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	time.Sleep(1200 * time.Millisecond)
	if len(alerts) > 0 {
		t.Fatalf("before: %+v", alerts)
	}
	var targets []netip.AddrPort
	for _, a := range h.Further(20) {
		targets = append(targets, netip.AddrPortFrom(a, 445))
	}
	worm := h.US1.Infect(t, targets, 100)
	time.Sleep(2 * time.Second)
	worm.Stop()
	time.Sleep(100 * time.Millisecond)
	mu.Lock()
	defer mu.Unlock()
	for i, a := range alerts {
		t.Logf("%v: %s %s %s acted %v proof %q: %s, %d times", times[i].Sub(worm.First()).Round(time.Millisecond), a.Rule, a.Device, a.Address, a.Acted, a.Proof, a.Detail, a.Count)
	}
	t.Logf("%+v", s.Status())
}
