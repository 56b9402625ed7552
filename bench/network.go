package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"cordon/network"
	"cordon/network/capture"
	traffic "cordon/network/hospital"
)

const sensorTime = 8 * time.Second // of each row

// sensors measures what it costs to look at a link: nobody does; tcpdump, which throws
// all away; Cordon's sensor, which makes conversations of it and holds them against its
// rules. The link is a pair of veth interfaces between two network namespaces.
func sensors(ctx context.Context, b *bench) error {
	l, err := newLink()
	if err != nil {
		return err
	}
	defer l.remove()
	for _, load := range []struct {
		name, unit string
		run        func(*link, context.Context) (float64, error)
	}{
		{"one TCP conversation, as fast as it goes", "Gbit/s", (*link).bulk},
		{"packets of 60 bytes, as fast as one processor sends them", "1000/s", (*link).small},
		{"an hour of a hospital's work, again and again, as fast as one processor sends it", "1000/s", (*link).work},
	} {
		rows := [][]string{{"listener", load.unit, "packets looked at", "dropped", "CPU of the listener %", "rate : nobody's", "CPU : tcpdump's"}}
		var alone, theirs float64
		for _, listen := range []struct {
			name string
			run  func(context.Context, *link, func() error) (listened, error)
		}{{"nobody", nobodyListens}, {"tcpdump -w /dev/null", tcpdumpListens}, {"Cordon's sensor", cordonListens}} {
			var rate float64
			got, err := listen.run(ctx, l, func() (err error) {
				rate, err = load.run(l, ctx)
				return err
			})
			if err != nil {
				return fmt.Errorf("%s, %s: %w", load.name, listen.name, err)
			}
			row := []string{listen.name, fmt.Sprintf("%.1f", rate), "", "", "", "", ""}
			if listen.name == "nobody" {
				alone = rate
			} else {
				cpu := 100 * got.cpu.Seconds() / sensorTime.Seconds()
				row[2], row[3], row[4], row[5] = fmt.Sprint(got.packets), fmt.Sprint(got.drops), fmt.Sprintf("%.1f", cpu), fmt.Sprintf("%.2f", rate/alone)
				if theirs == 0 {
					theirs = cpu
				} else {
					row[6] = fmt.Sprintf("%.2f", cpu/theirs)
				}
			}
			rows = append(rows, row)
		}
		b.table(load.name, rows)
	}
	return nil
}

// listened is what a listener saw and cost.
type listened struct {
	packets, drops uint64
	cpu            time.Duration
}

func nobodyListens(_ context.Context, _ *link, load func() error) (listened, error) {
	return listened{}, load()
}

var tcpdumpCounts = regexp.MustCompile(`(?m)^(\d+) packets? (captured|dropped by kernel)`)

func tcpdumpListens(ctx context.Context, l *link, load func() error) (out listened, err error) {
	var said strings.Builder
	cmd := exec.CommandContext(ctx, "ip", "netns", "exec", l.right, "tcpdump", "-i", "eth0", "-n", "-w", "/dev/null")
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return out, err
	}
	time.Sleep(time.Second)
	err = load()
	if err := errors.Join(cmd.Process.Signal(syscall.SIGINT), cmd.Wait()); err != nil {
		return out, fmt.Errorf("tcpdump: %w\n%s", err, said.String())
	}
	for _, m := range tcpdumpCounts.FindAllStringSubmatch(said.String(), -1) {
		n, _ := strconv.ParseUint(m[1], 10, 64) // digits
		if m[2] == "captured" {
			out.packets = n
		} else {
			out.drops = n
		}
	}
	out.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return out, err
}

func cordonListens(ctx context.Context, l *link, load func() error) (out listened, err error) {
	w, err := network.New(ctx, traffic.New().Config(), network.Parts{})
	if err != nil {
		return out, err
	}
	var s *capture.Sensor
	err = within(l.right, func() (err error) {
		s, err = capture.Open(capture.Config{Interfaces: []string{"eth0"}, Promiscuous: true, CPU: 100}, w)
		return err
	})
	if err != nil {
		return out, err
	}
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	var failed error
	running.Go(func() { failed = w.Run(ctx) })
	running.Go(func() { failed = s.Run(ctx) })
	err = load()
	time.Sleep(1200 * time.Millisecond) // it counts once a second
	st := s.Status()
	stop()
	running.Wait()
	return listened{st.Packets, st.Drops, st.CPU}, errors.Join(err, failed)
}

// link is two hosts, each a network namespace, and what joins them.
type link struct {
	left, right string
}

var leftAddr, rightAddr = netip.MustParseAddr("10.1.0.1"), netip.MustParseAddr("10.1.0.2")

func newLink() (*link, error) {
	l := &link{fmt.Sprintf("bench%d-left", os.Getpid()), fmt.Sprintf("bench%d-right", os.Getpid())}
	for _, line := range []string{
		"netns add " + l.left, "netns add " + l.right,
		"-n " + l.left + " link add eth0 type veth peer name eth0 netns " + l.right,
		"-n " + l.left + " address add " + leftAddr.String() + "/16 dev eth0", "-n " + l.right + " address add " + rightAddr.String() + "/16 dev eth0",
		"-n " + l.left + " link set eth0 up", "-n " + l.right + " link set eth0 up",
	} {
		if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			l.remove()
			return nil, fmt.Errorf("ip %s: %w (network namespaces need root)\n%s", line, err, out)
		}
	}
	return l, nil
}

func (l *link) remove() {
	for _, ns := range []string{l.left, l.right} {
		exec.Command("ip", "netns", "del", ns).Run() // what is there of it
	}
}

// within runs fn with another network namespace's network. Sockets that it opens stay
// there.
func within(namespace string, fn func() error) error {
	done := make(chan error, 1)
	go func() { // ends with fn, and its thread with it
		runtime.LockOSThread() // never unlocked: the thread is spoilt for others
		f, err := os.Open("/run/netns/" + namespace)
		if err == nil {
			defer f.Close()
			err = unix.Setns(int(f.Fd()), unix.CLONE_NEWNET)
		}
		if err == nil {
			err = fn()
		}
		done <- err
	}()
	return <-done
}

// bulk is one TCP conversation; Gbit/s.
func (l *link) bulk(ctx context.Context) (float64, error) {
	var listener net.Listener
	err := within(l.right, func() (err error) {
		listener, err = net.Listen("tcp", ":104")
		return err
	})
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	go func() { // ends with the listener, and its connection with the sender's
		if c, err := listener.Accept(); err == nil {
			io.Copy(io.Discard, c)
			c.Close()
		}
	}()
	var c net.Conn
	err = within(l.left, func() (err error) {
		c, err = net.Dial("tcp", net.JoinHostPort(rightAddr.String(), "104"))
		return err
	})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	b, sent := make([]byte, 256<<10), 0
	for end := time.Now().Add(sensorTime); time.Now().Before(end) && ctx.Err() == nil; {
		n, err := c.Write(b)
		if sent += n; err != nil {
			return 0, err
		}
	}
	return float64(sent) * 8e-9 / sensorTime.Seconds(), ctx.Err()
}

// small sends frames of 60 bytes, all of one UDP conversation; thousands a second.
func (l *link) small(ctx context.Context) (float64, error) {
	s := traffic.New().Story(time.Now(), time.Hour, 1)
	s.Call(time.Now(), traffic.Host{Addr: leftAddr}, traffic.Host{Addr: rightAddr}, 104)
	return l.frames(ctx, s.Packets()[2:3]) // an acknowledgement
}

// work sends the frames of an hour of work.
func (l *link) work(ctx context.Context) (float64, error) {
	return l.frames(ctx, traffic.New().Hour(time.Now(), 1))
}

// frames sends frames as they are, again and again.
func (l *link) frames(ctx context.Context, packets []traffic.Packet) (float64, error) {
	var fd int
	to := &unix.SockaddrLinklayer{}
	err := within(l.left, func() (err error) {
		i, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		to.Ifindex = i.Index
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	var sent int64
	for end := time.Now().Add(sensorTime); time.Now().Before(end) && ctx.Err() == nil; {
		for _, p := range packets[:min(len(packets), 100_000)] {
			if err := unix.Sendto(fd, p.Data, 0, to); err != nil && !errors.Is(err, unix.ENOBUFS) {
				return 0, err
			}
			if sent++; sent%1000 == 0 && time.Now().After(end) {
				break
			}
		}
	}
	return float64(sent) / 1000 / sensorTime.Seconds(), ctx.Err()
}
