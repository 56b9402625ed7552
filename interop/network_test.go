package interop

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cordon/asset"
	"cordon/interop/lab"
	"cordon/network"
	"cordon/network/capture"
)

// sensed is a hospital with a sensor on its router.
type sensed struct {
	*lab.Hospital
	watch  *network.Watch
	sensor *capture.Sensor

	mu     sync.Mutex
	alerts []network.Alert
	times  []time.Time
}

func alone(a netip.Addr) []netip.Prefix { return []netip.Prefix{netip.PrefixFrom(a, a.BitLen())} }

func newSensed(t *testing.T, shape lab.Shape, c capture.Config) *sensed {
	t.Helper()
	h := &sensed{Hospital: lab.New(t, shape)}
	devices := func() []network.Declared {
		image := []asset.Flow{
			{Purpose: "dicom", To: append(alone(h.Router.Addr), alone(h.Router.Addr6)...), Protocol: "tcp", Port: 104},
		}
		return []network.Declared{
			{Name: "us1", Addresses: append(alone(h.US1.Addr), alone(h.US1.Addr6)...), Modality: true, Strict: true, Flows: image},
			{Name: "us2", Addresses: append(alone(h.US2.Addr), alone(h.US2.Addr6)...), Modality: true, Strict: true, Flows: image},
		}
	}
	w, err := network.New(t.Context(), network.Config{
		Devices: devices, Raise: h.raise,
		Servers: []network.Server{
			{Name: "gateway", Addresses: append(alone(h.Router.Addr), alone(h.Router.Addr6)...), Ports: []uint16{104}},
			{Name: "archive", Addresses: alone(h.Archive.Addr), Ports: []uint16{104}},
		},
	}, network.Parts{})
	if err != nil {
		t.Fatal(err)
	}
	h.watch = w
	for _, s := range []*lab.Host{h.US1, h.US2, h.Archive, h.General, h.Laptop} {
		c.Interfaces = append(c.Interfaces, s.Port)
	}
	err = h.Router.Do(func() (err error) {
		h.sensor, err = capture.Open(c, w)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := w.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	running.Go(func() {
		if err := h.sensor.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	h.Router.Expose(t, 104)
	for _, s := range []*lab.Host{h.US1, h.US2} {
		h.call(t, s, h.Router.Addr, 104)
	}
	time.Sleep(300 * time.Millisecond)
	if got := h.found(); len(got) > 0 {
		t.Fatalf("before anything happened: %+v", got)
	}
	return h
}

func (h *sensed) raise(a network.Alert) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.alerts, h.times = append(h.alerts, a), append(h.times, time.Now())
}

func (h *sensed) found() []network.Alert {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]network.Alert(nil), h.alerts...)
}

// first is how long after begin a rule's first alert came that says so much.
func (h *sensed) first(begin time.Time, rule string, fits func(network.Alert) bool) (time.Duration, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, a := range h.alerts {
		if a.Rule == rule && fits(a) {
			return h.times[i].Sub(begin), true
		}
	}
	return 0, false
}

func (h *sensed) call(t *testing.T, s *lab.Host, to netip.Addr, port uint16) {
	t.Helper()
	c, err := s.Dial(netip.AddrPortFrom(to, port).String(), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// A worm on one scanner is noticed within half a second of its first packet, routed and
// on a bridge, and its neighbour is left in peace. It runs alone: the half second is the
// sensor's, not what browsers leave of it.
func TestWormIsNoticedInHalfASecond(t *testing.T) {
	for name, shape := range map[string]lab.Shape{"routed": lab.Routed, "bridged": lab.Bridged} {
		t.Run(name, func(t *testing.T) {
			h := newSensed(t, shape, capture.Config{})
			h.General.Expose(t, 445)
			h.US2.Expose(t, 445)
			targets := []netip.AddrPort{netip.AddrPortFrom(h.US2.Addr, 445), netip.AddrPortFrom(netip.MustParseAddr("10.77.40.200"), 445)}
			for _, a := range h.Further(20) {
				targets = append(targets, netip.AddrPortFrom(a, 445))
			}
			worm := h.US1.Infect(t, targets, 100)
			time.Sleep(time.Second)
			worm.Stop()
			for _, rule := range []string{network.Lateral, network.ScanHosts} {
				took, ok := h.first(worm.First(), rule, func(a network.Alert) bool { return a.May() && a.Device == "us1" })
				if !ok || took > 500*time.Millisecond {
					t.Errorf("%s: %v after the first packet, %v", rule, took, ok)
				}
				t.Logf("%s, proven: %v after the first packet", rule, took.Round(time.Millisecond))
			}
			for _, a := range h.found() {
				if a.Device != "us1" {
					t.Errorf("%+v", a)
				}
			}
		})
	}
}

// The same over IPv6.
func TestWormOverIPv6(t *testing.T) {
	h := newSensed(t, lab.Routed, capture.Config{})
	h.General.Expose(t, 3389)
	begin := time.Now()
	h.call(t, h.US1, h.General.Addr6, 3389)
	var took time.Duration
	awaitTrue(t, "noticed", func() (ok bool) {
		took, ok = h.first(begin, network.Lateral, network.Alert.May)
		return ok
	})
	if took > 500*time.Millisecond {
		t.Errorf("%v: %+v", took, h.found())
	}
}

// A visitor sends packets in the name of a scanner, and of the archive: whoever is
// called answers them, and they object. Nothing may be done to either.
func TestNobodyIsContainedByForgedPackets(t *testing.T) {
	t.Parallel()
	h := newSensed(t, lab.Routed, capture.Config{})
	h.General.Expose(t, 445)
	h.call(t, h.Archive, h.General.Addr, 445) // the archive is a host like others
	for _, victim := range []*lab.Host{h.US1, h.Archive} {
		for i, to := range h.Further(30) {
			forge(t, h.Laptop, victim.Addr, to, uint16(20000+i), 445)
		}
	}
	awaitTrue(t, "the forged scan was seen", func() bool {
		return slices.ContainsFunc(h.found(), func(a network.Alert) bool { return a.Rule == network.ScanHosts && a.Device == "us1" })
	})
	time.Sleep(time.Second) // for what else may be said of it
	for _, a := range h.found() {
		t.Logf("%s %s %s acted %v proof %q: %s", a.Rule, a.Device, a.Address, a.Acted, a.Proof, a.Detail)
		if a.May() {
			t.Errorf("something may be done because of %+v", a)
		}
	}
}

// forge sends a SYN with an address that is not the host's own.
func forge(t *testing.T, s *lab.Host, src, dst netip.Addr, from, to uint16) {
	t.Helper()
	b := make([]byte, 40)
	b[0], b[8], b[9] = 4<<4|5, 64, unix.IPPROTO_TCP
	binary.BigEndian.PutUint16(b[2:], 40)
	copy(b[12:], src.AsSlice())
	copy(b[16:], dst.AsSlice())
	binary.BigEndian.PutUint16(b[20:], from)
	binary.BigEndian.PutUint16(b[22:], to)
	binary.BigEndian.PutUint32(b[24:], 1000)
	b[32], b[33] = 5<<4, 2
	binary.BigEndian.PutUint16(b[34:], 1024)
	sum := uint32(unix.IPPROTO_TCP) + 20
	for i := 12; i < 40; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	binary.BigEndian.PutUint16(b[36:], ^uint16(sum))
	err := s.Do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Sendto(fd, b, 0, &unix.SockaddrInet4{Addr: dst.As4()})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Images at the full rate of the link are no flood, and cost the sensor little: their
// packets are thinned, and their bytes counted all the same.
func TestBulkImagesAreThinnedAndNoFlood(t *testing.T) {
	h := newSensed(t, lab.Routed, capture.Config{})
	l := h.Router.Listen(t, ":11112") // beside Expose's own
	go func() {                       // ends with l
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(io.Discard, c); c.Close() }() // ends with its connection
		}
	}()
	before, begin := h.sensor.Status(), time.Now()
	sent := sendFor(t, h.US1, netip.AddrPortFrom(h.Router.Addr, 11112), 3*time.Second)
	took := time.Since(begin)
	time.Sleep(1200 * time.Millisecond)
	st := h.sensor.Status()
	cpu := (st.CPU - before.CPU).Seconds() / took.Seconds()
	t.Logf("%.1f Gbit/s: %d packets looked at, %d dropped, %.1f %% of a processor", float64(sent)*8e-9/took.Seconds(), st.Packets-before.Packets, st.Drops-before.Drops, 100*cpu)
	if cpu > 0.6 {
		t.Errorf("%.0f %% of a processor", 100*cpu)
	}
	for _, a := range h.found() {
		if a.Rule != network.NewService { // the port is none of the gateway's
			t.Errorf("%+v", a)
		}
	}
	rows, err := h.watch.Seen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r.Device == "us1" && r.Port == 11112 {
			if share := float64(r.Bytes) / float64(sent); share < 0.95 || share > 1.25 {
				t.Errorf("%d bytes seen of %d sent", r.Bytes, sent)
			}
			return
		}
	}
	t.Error("the images were not seen")
}

func sendFor(t *testing.T, s *lab.Host, to netip.AddrPort, d time.Duration) (sent int) {
	t.Helper()
	c, err := s.Dial(to.String(), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b := make([]byte, 256<<10)
	for end := time.Now().Add(d); time.Now().Before(end); {
		n, err := c.Write(b)
		if err != nil {
			t.Fatal(err)
		}
		sent += n
	}
	return sent
}

// What comes faster than the sensor may look at it is dropped and counted; the sensor
// keeps to its time, and still sees a worm.
func TestOverloadIsCountedAndBounded(t *testing.T) {
	h := newSensed(t, lab.Routed, capture.Config{CPU: 5, Ring: 1 << 20})
	h.General.Expose(t, 445)
	stop := make(chan struct{})
	var flooding sync.WaitGroup
	flooding.Go(func() { // ends with stop
		var c net.Conn
		err := h.Laptop.Do(func() (err error) {
			c, err = net.Dial("udp", fmt.Sprintf("%s:9", h.General.Addr))
			return err
		})
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		for b := make([]byte, 64); ; {
			select {
			case <-stop:
				return
			default:
				c.Write(b) // refused, mostly
			}
		}
	})
	before, begin := h.sensor.Status(), time.Now()
	time.Sleep(3 * time.Second)
	worm := time.Now()
	for range 5 {
		h.call(t, h.US1, h.General.Addr, 445)
	}
	time.Sleep(1500 * time.Millisecond)
	st, took := h.sensor.Status(), time.Since(begin)
	close(stop)
	flooding.Wait()
	cpu := (st.CPU - before.CPU).Seconds() / took.Seconds()
	t.Logf("%d packets looked at, %d dropped, overloaded %v, %.1f %% of a processor", st.Packets, st.Drops, st.Overloaded, 100*cpu)
	if st.Drops == 0 || !st.Overloaded || st.Dropped.IsZero() {
		t.Errorf("%+v", st)
	}
	if cpu > 0.15 {
		t.Errorf("%.0f %% of a processor; 5 are allowed", 100*cpu)
	}
	if took, ok := h.first(worm, network.Lateral, func(network.Alert) bool { return true }); ok {
		t.Logf("the worm was seen after %v", took)
	}
}

// An interface that goes and comes back is heard again.
func TestInterfaceComesBack(t *testing.T) {
	t.Parallel()
	h := newSensed(t, lab.Routed, capture.Config{})
	h.Router.Run(t, "ip", "link", "set", h.US1.Port, "down")
	awaitTrue(t, "is not heard", func() bool { return !heard(h.sensor.Status(), h.US1.Port) })
	h.Router.Run(t, "ip", "link", "set", h.US1.Port, "up")
	awaitTrue(t, "is heard", func() bool { return heard(h.sensor.Status(), h.US1.Port) })
}

func heard(st capture.Status, name string) bool {
	for _, i := range st.Interfaces {
		if i.Name == name {
			return i.Heard
		}
	}
	return false
}

func awaitTrue(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not after 5 s: %s", what)
		}
	}
}
