package notify

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// listen is a service manager: a socket, and what the environment says of it.
func listen(t *testing.T, name, usec string) (*net.UnixConn, func(string) string) {
	t.Helper()
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, func(key string) string {
		return map[string]string{"NOTIFY_SOCKET": name, "WATCHDOG_USEC": usec, "WATCHDOG_PID": strconv.Itoa(os.Getpid())}[key]
	}
}

// heard is the next message within the time, or "".
func heard(t *testing.T, l *net.UnixConn, within time.Duration) string {
	t.Helper()
	buf := make([]byte, 1<<10)
	l.SetReadDeadline(time.Now().Add(within))
	n, err := l.Read(buf)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

func TestEveryMessageArrives(t *testing.T) {
	for _, name := range []string{filepath.Join(t.TempDir(), "notify"), "@cordon-notify-" + strconv.Itoa(os.Getpid())} {
		l, env := listen(t, name, "")
		m, err := Open(env)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		for _, c := range []struct {
			send func() error
			want string
		}{
			{m.Ready, "READY=1"},
			{func() error { return m.Status("flows\nWATCHDOG=1") }, "STATUS=flowsWATCHDOG=1"},
			{func() error { return m.Extend(2 * time.Second) }, "EXTEND_TIMEOUT_USEC=2000000"},
			{m.Stopping, "STOPPING=1"},
		} {
			if err := c.send(); err != nil {
				t.Fatal(err)
			}
			if got := heard(t, l, 5*time.Second); got != c.want {
				t.Errorf("%s: %q, want %q", name, got, c.want)
			}
		}
	}
}

func TestWithoutAManagerNothingHappens(t *testing.T) {
	m, err := Open(func(string) string { return "" })
	if err != nil || m != nil {
		t.Fatalf("%v, %v", m, err)
	}
	m.Watch(t.Context(), nil, nil)
	if err := errors.Join(m.Ready(), m.Stopping(), m.Close()); err != nil {
		t.Error(err)
	}
}

func TestEnvironmentIsHeldAgainstItsForm(t *testing.T) {
	for _, c := range []struct {
		usec, owner string
		want        time.Duration
		bad         bool
	}{
		{"30000000", "", 30 * time.Second, false},
		{"30000000", "7", 30 * time.Second, false},
		{"30000000", "8", 0, false}, // another process's
		{"", "7", 0, false},
		{"-1", "7", 0, true},
		{"soon", "7", 0, true},
	} {
		got, err := interval(c.usec, c.owner, 7)
		if got != c.want || (err != nil) != c.bad {
			t.Errorf("%+v: %v, %v", c, got, err)
		}
	}
	if _, err := Open(func(string) string { return "relative" }); err == nil {
		t.Error("a relative path was taken")
	}
}

func TestItBeatsOnlyWhileTheCheckAnswers(t *testing.T) {
	l, env := listen(t, filepath.Join(t.TempDir(), "notify"), "300000")
	m, err := Open(env)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var state atomic.Int32 // 0 well, 1 an error, 2 hangs
	var met atomic.Int32   // checks that were not well
	check := func(ctx context.Context) error {
		switch state.Load() {
		case 1:
			met.Add(1)
			return errors.New("rejected")
		case 2:
			met.Add(1)
			<-ctx.Done() // and says nothing of it
		}
		return nil
	}
	var failures atomic.Int32
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { // ends with stop
		m.Watch(ctx, check, func(error) { failures.Add(1) })
		close(done)
	}()
	for range 5 {
		if got := heard(t, l, 5*time.Second); got != "WATCHDOG=1" {
			t.Fatalf("%q", got)
		}
	}
	for _, bad := range []int32{1, 2} {
		before := met.Load()
		state.Store(bad)
		for end := time.Now().Add(5 * time.Second); met.Load() == before; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("it is not checked any more")
			}
		}
		for heard(t, l, time.Millisecond) != "" { // what was on its way
		}
		if got := heard(t, l, 700*time.Millisecond); got != "" {
			t.Errorf("state %d: %q", bad, got)
		}
		state.Store(0)
		if got := heard(t, l, 5*time.Second); got != "WATCHDOG=1" {
			t.Errorf("after state %d: %q", bad, got)
		}
	}
	if failures.Load() == 0 {
		t.Error("no failure was told")
	}
	stop()
	<-done
}
