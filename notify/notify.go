// Package notify tells the service manager how this process does: sd_notify(3),
// the datagrams that systemd expects of a service of Type=notify.
//
// Ordinary use:
//
//	m, err := notify.Open(os.Getenv)        // nil where no service manager listens
//	defer m.Close()
//	err = m.Ready()                          // requests are accepted
//	go m.Watch(ctx, check)                   // beats as long as check says so
//	err = m.Stopping()
//
// The life of a beat: Watch calls check three times within the interval after
// which the manager takes the process for hung (WatchdogSec=). Only a check that
// answers in time and without an error is followed by a beat. So one that fails
// once costs nothing, and one that fails for the whole interval costs a restart.
//
// It knows no other message, starts nothing, and asks the manager nothing.
package notify

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// Manager is the service manager's socket. A nil one takes every message and
// does nothing. Its methods may be called from any goroutine.
type Manager struct {
	conn  *net.UnixConn
	every time.Duration // of WatchdogSec=; 0: no beats are expected
}

// Open reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, as env returns them,
// and opens the socket. Without the first there is no manager, which is no error.
func Open(env func(string) string) (*Manager, error) {
	path := env("NOTIFY_SOCKET")
	if path == "" {
		return nil, nil
	}
	if path[0] != '/' && path[0] != '@' { // '@': an abstract name, which package net writes alike
		return nil, fmt.Errorf("NOTIFY_SOCKET=%q: expected a path or an abstract name", path)
	}
	every, err := interval(env("WATCHDOG_USEC"), env("WATCHDOG_PID"), os.Getpid())
	if err != nil {
		return nil, err
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("service manager's socket: %w", err)
	}
	return &Manager{conn: conn, every: every}, nil
}

// interval is WatchdogSec=, if it is meant for the process pid.
func interval(usec, owner string, pid int) (time.Duration, error) {
	if usec == "" || owner != "" && owner != strconv.Itoa(pid) {
		return 0, nil
	}
	n, err := strconv.ParseInt(usec, 10, 64)
	if err != nil || n <= 0 || n > int64(24*time.Hour/time.Microsecond) {
		return 0, fmt.Errorf("WATCHDOG_USEC=%q: expected microseconds, at most a day", usec)
	}
	return time.Duration(n) * time.Microsecond, nil
}

// Ready says that the service does its work.
func (m *Manager) Ready() error { return m.send("READY=1") }

// Stopping says that the service ends by its own will.
func (m *Manager) Stopping() error { return m.send("STOPPING=1") }

// Status is a line for whoever asks the manager (systemctl status).
func (m *Manager) Status(line string) error {
	return m.send("STATUS=" + strings.Map(oneLine, line))
}

// oneLine leaves out what would begin another message.
func oneLine(r rune) rune {
	if r < ' ' {
		return -1
	}
	return r
}

// Extend asks for more time to start or to stop.
func (m *Manager) Extend(by time.Duration) error {
	return m.send("EXTEND_TIMEOUT_USEC=" + strconv.FormatInt(by.Microseconds(), 10))
}

// send writes one datagram. A manager whose queue is full for a second is as bad
// as one that has gone.
func (m *Manager) send(message string) error {
	if m == nil {
		return nil
	}
	if err := m.conn.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := m.conn.Write([]byte(message)); err != nil {
		return fmt.Errorf("telling the service manager: %w", err)
	}
	return nil
}

// Watched reports whether the manager expects beats.
func (m *Manager) Watched() bool { return m != nil && m.every > 0 }

// Watch beats until ctx ends: three times in each interval check is called, with
// a third of the interval to answer, and nil is followed by a beat. failed is told of each
// error. Without an interval Watch returns at once.
func (m *Manager) Watch(ctx context.Context, check func(context.Context) error, failed func(error)) {
	if !m.Watched() {
		return
	}
	tick := time.NewTicker(m.every / 3)
	defer tick.Stop()
	for {
		err := m.beat(ctx, check)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			failed(err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// errLate is a check that has not answered.
var errLate = errors.New("no answer in time")

func (m *Manager) beat(ctx context.Context, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, m.every/3, errLate)
	defer cancel()
	if err := check(ctx); err != nil {
		return err
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return m.send("WATCHDOG=1")
}

// Close closes the socket.
func (m *Manager) Close() error {
	if m == nil {
		return nil
	}
	return m.conn.Close()
}
