package capture

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"cordon/network"
	"cordon/network/frame"
	"cordon/network/track"
)

// Sensor listens on some interfaces.
type Sensor struct {
	config Config
	ring   *ring
	table  *track.Table
	packet frame.Packet
	now    time.Time // of the block under way

	indexes    []uint32
	local      map[netip.Addr]bool // heard coming in: what goes out of theirs is forwarded
	thin       []track.Tuple
	overloaded bool

	before  time.Duration // what Run's thread had worked when Run began
	spent   time.Duration // in this window of the budget
	window  time.Time
	skipped bool // the budget ran out in this second
	calm    int  // seconds without

	mu     sync.Mutex // guards what follows
	status Status
}

const (
	tick       = 50 * time.Millisecond
	window     = 100 * time.Millisecond
	calmAfter  = 10 // seconds without overload, and all packets are looked at again
	maxLocal   = 1 << 14
	reckonedBy = time.Second
)

// Open opens a sensor that reports to sink; Run must follow. Interfaces that are not
// there yet are waited for.
func Open(c Config, sink network.Sink) (*Sensor, error) {
	if len(c.Interfaces) == 0 {
		return nil, errors.New("capturing: no interfaces; name some, such as eth1")
	}
	if len(c.Ignore) > maxIgnored {
		return nil, fmt.Errorf("capturing: %d networks to ignore; at most %d", len(c.Ignore), maxIgnored)
	}
	if c.CPU == 0 {
		c.CPU = defaultCPU
	}
	if c.Ring == 0 {
		c.Ring = defaultRing
	}
	r, err := openRing(c.Ring)
	if err != nil {
		return nil, err
	}
	s := &Sensor{
		config: c, ring: r, local: map[netip.Addr]bool{},
		table: track.New(sink, track.Config{Sensor: strings.Join(c.Interfaces, ","), Flows: c.Flows}),
	}
	s.status.Since = time.Now()
	if err = s.look(); err == nil {
		err = r.listen()
	}
	if err != nil {
		return nil, errors.Join(err, r.close())
	}
	return s, nil
}

// Name is how the sensor calls itself in what it reports.
func (s *Sensor) Name() string { return strings.Join(s.config.Interfaces, ",") }

// look finds the interfaces, which may come and go, and has the filter follow.
func (s *Sensor) look() error {
	var indexes []uint32
	var states []Interface
	for _, name := range s.config.Interfaces {
		index, err := s.ring.index(name)
		state := Interface{Name: name, Heard: err == nil}
		if err != nil {
			state.Why = err.Error()
		}
		states = append(states, state)
		if index != 0 {
			indexes = append(indexes, index)
		}
	}
	s.mu.Lock()
	s.status.Interfaces = states
	s.mu.Unlock()
	if s.indexes != nil && slices.Equal(indexes, s.indexes) {
		return nil
	}
	if s.config.Promiscuous {
		for _, index := range indexes {
			if err := s.ring.promiscuous(index); err != nil {
				return fmt.Errorf("capturing: %w", err)
			}
		}
	}
	s.indexes = append([]uint32{}, indexes...)
	return s.ring.setFilter(s.indexes, s.config.Ignore, s.thin, s.overloaded)
}

// Run listens until ctx ends. It takes a thread of its own, whose time is what the
// sensor costs.
func (s *Sensor) Run(ctx context.Context) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer s.ring.close()
	s.before = threadTime() // of whatever the thread did until now
	second := time.Now()
	s.window = second
	for ctx.Err() == nil {
		if err := s.ring.wait(int(tick.Milliseconds())); err != nil {
			return fmt.Errorf("capturing: %w", err)
		}
		s.work()
		if now := time.Now(); now.Sub(second) >= reckonedBy {
			second = now
			if err := s.reckon(now); err != nil {
				return fmt.Errorf("capturing: %w", err)
			}
		}
	}
	s.table.Close(time.Now())
	return nil
}

// work takes the blocks that are ready, as far as the budget goes; then it sleeps, and
// the kernel drops what the ring has no room for.
func (s *Sensor) work() {
	s.now = time.Now()
	if s.now.Sub(s.window) >= window {
		s.window, s.spent = s.now, 0
	}
	budget := window * time.Duration(s.config.CPU) / 100
	for range s.ring.blocks {
		if !s.ring.block(s.take) {
			break
		}
		now := time.Now()
		s.spent += now.Sub(s.now)
		s.now = now
		if s.spent >= budget {
			s.skipped = true
			time.Sleep(window - min(window, now.Sub(s.window)))
			break
		}
	}
	s.table.Tick(time.Now())
}

// Types of hardware (ARPHRD_…).
const (
	hwEthernet = unix.ARPHRD_ETHER
	hwLoopback = unix.ARPHRD_LOOPBACK
)

// take looks at one frame.
func (s *Sensor) take(data []byte, link uint16, outgoing bool, _ uint32) {
	p := &s.packet
	var ok bool
	switch {
	case link == hwLoopback && outgoing:
		return // comes in again
	case link == hwEthernet || link == hwLoopback:
		ok = frame.Ethernet(p, data)
	default: // tunnels
		ok = frame.Network(p, data)
	}
	if !ok {
		return
	}
	if outgoing {
		if s.local[p.Src] {
			return // forwarded: counted when it came in
		}
		p.SrcMAC = network.MAC{} // this host's, whoever's packet it is
		if p.Kind == frame.Neighbour {
			return
		}
	} else if len(s.indexes) > 1 && p.Kind == frame.IP && !s.local[p.Src] {
		if len(s.local) >= maxLocal {
			clear(s.local)
		}
		s.local[p.Src] = true
	}
	s.table.Packet(s.now, p)
}

// reckon counts, and has the filter fit what is to be left out.
func (s *Sensor) reckon(now time.Time) error {
	drops, err := s.ring.drops()
	if err != nil {
		return err
	}
	thin := s.table.Thin(now, maxThin)
	overloaded := s.overload(drops > 0)
	if !slices.Equal(thin, s.thin) || overloaded != s.overloaded {
		s.thin, s.overloaded = thin, overloaded
		s.table.Sample(overloaded)
		if err := s.ring.setFilter(s.indexes, s.config.Ignore, thin, overloaded); err != nil {
			return err
		}
	}
	s.count(now, drops)
	return s.look()
}

// overload reports whether the sensor has too much to do: the budget ran out or packets
// were dropped, not long ago.
func (s *Sensor) overload(dropped bool) bool {
	if s.calm++; s.skipped || dropped {
		s.calm = 0
	}
	s.skipped = false
	return s.calm < calmAfter && (s.calm == 0 || s.overloaded)
}

func (s *Sensor) count(now time.Time, drops uint64) {
	spent := threadTime() - s.before
	t := s.table.Stats()
	s.mu.Lock()
	defer s.mu.Unlock()
	st := &s.status
	if drops > 0 {
		st.Dropped = now
	}
	st.Packets, st.Bytes, st.Odd, st.Flows, st.Displaced = t.Packets, t.Bytes, t.Odd, t.Flows, t.Displaced
	st.Drops += drops
	st.Thinned, st.Overloaded, st.CPU = len(s.thin), s.overloaded, spent
}

// threadTime is what the thread under us has worked since it began.
func threadTime() time.Duration {
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_THREAD, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// Status is how it stands, as of the last second.
func (s *Sensor) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.status
	st.Interfaces = append([]Interface{}, st.Interfaces...)
	return st
}
