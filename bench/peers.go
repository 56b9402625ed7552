package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tuned are the socket settings with which DCMTK is not held up by Nagle's
// algorithm and small buffers; without them it runs as it is installed.
var tuned = []string{"TCP_NODELAY=1", "TCP_BUFFER_LENGTH=1048576"}

const (
	startTime = 30 * time.Second // for a peer to answer after it was started
	stopTime  = 20 * time.Second // for a peer to end after SIGTERM
)

// A peer is a program that this run started and must stop.
type peer struct {
	cmd  *exec.Cmd
	log  string
	gone chan struct{} // closed once it has ended
}

// start runs a program with its output in dir/log. The goroutine ends with the
// program.
func start(dir string, env []string, argv ...string) (*peer, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close() // the program has its own descriptor
	p := &peer{cmd: exec.Command(program(argv[0]), argv[1:]...), log: log.Name(), gone: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.gone)
		_ = p.cmd.Wait() // how it ended is in its log
	}()
	return p, nil
}

// stop ends the program, gently at first.
func (p *peer) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.gone:
	case <-time.After(stopTime):
		_ = p.cmd.Process.Kill()
		<-p.gone
	}
}

// ready waits until ask succeeds or the program has ended.
func (p *peer) ready(ctx context.Context, ask func() error) error {
	deadline := time.Now().Add(startTime)
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-p.gone:
			text, _ := os.ReadFile(p.log)
			return fmt.Errorf("%s ended: %s", p.cmd.Path, text)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s does not answer: %w", p.cmd.Path, err)
		}
	}
}

// peak is the most memory that the program has had resident, in bytes.
func (p *peer) peak() (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	var kib int64
	if _, err := fmt.Sscanf(after(string(status), "VmHWM:"), "%d kB", &kib); err != nil {
		return 0, fmt.Errorf("reading VmHWM: %w", err)
	}
	return kib << 10, nil
}

// freePort asks the system for a port that nobody listens on.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), nil
}

func echo(port, title string) func() error {
	return func() error {
		return exec.Command("echoscu", "-to", "5", "-aec", title, "127.0.0.1", port).Run()
	}
}

// An upstream is an archive: where it listens, and how many objects it has.
type upstream struct {
	peer  *peer
	title string
	port  string
	count func() (int, error)
}

// startStorescp runs DCMTK's receiver.
func startStorescp(ctx context.Context, dir string, env []string, options ...string) (*upstream, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	files := filepath.Join(dir, "files")
	if err := os.MkdirAll(files, 0o700); err != nil {
		return nil, err
	}
	argv := append(append([]string{"storescp", "-aet", "STORESCP", "-od", files}, options...), port)
	p, err := start(dir, env, argv...)
	if err != nil {
		return nil, err
	}
	u := &upstream{peer: p, title: "STORESCP", port: port, count: func() (int, error) {
		entries, err := os.ReadDir(files)
		return len(entries), err
	}}
	return u, u.begun(ctx)
}

// startOrthanc runs Orthanc with a new, empty store.
func startOrthanc(ctx context.Context, dir string, env []string) (*upstream, error) {
	return startOrthancWith(ctx, dir, env, nil)
}

// startOrthancWith runs it with more settings.
func startOrthancWith(ctx context.Context, dir string, env []string, more map[string]any) (*upstream, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	web, err := freePort()
	if err != nil {
		return nil, err
	}
	portNumber, _ := strconv.Atoi(port)
	webNumber, _ := strconv.Atoi(web)
	settings := map[string]any{
		"Name": "bench", "StorageDirectory": dir, "IndexDirectory": dir,
		"DicomPort": portNumber, "DicomAet": "ORTHANC", "HttpPort": webNumber,
		"RemoteAccessAllowed": false, "AuthenticationEnabled": false,
	}
	maps.Copy(settings, more)
	config, err := json.Marshal(settings)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "orthanc.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		return nil, err
	}
	p, err := start(dir, env, "Orthanc", file)
	if err != nil {
		return nil, err
	}
	u := &upstream{peer: p, title: "ORTHANC", port: port, count: func() (int, error) { return orthancCount(web) }}
	return u, u.begun(ctx)
}

func orthancCount(port string) (int, error) {
	resp, err := http.Get("http://127.0.0.1:" + port + "/statistics")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var s struct{ CountInstances int }
	err = json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&s)
	return s.CountInstances, err
}

// begun waits for the first C-ECHO, and stops the peer if there is none.
func (u *upstream) begun(ctx context.Context) error {
	err := u.peer.ready(ctx, echo(u.port, u.title))
	if err != nil {
		u.peer.stop()
	}
	return err
}

// A gateway is the Cordon under test.
type gateway struct {
	peer *peer
	port string
}

// startCordon runs `cordon up` in front of one archive; more is for its configuration.
func (b *bench) startCordon(ctx context.Context, dir, title, port string, more ...string) (*gateway, error) {
	listen, err := freePort()
	if err != nil {
		return nil, err
	}
	return b.startCordonOn(ctx, listen, dir, title, port, more...)
}

// startCordonOn does so on a port that is chosen already.
func (b *bench) startCordonOn(ctx context.Context, listen, dir, title, port string, more ...string) (*gateway, error) {
	return b.launch(ctx, listen, dir, []string{(&target{title: title, port: port}).archive("upstream")}, more)
}

// startCordonFor runs it in front of archives, given as lines of the configuration.
func (b *bench) startCordonFor(ctx context.Context, dir string, archives []string) (*gateway, error) {
	listen, err := freePort()
	if err != nil {
		return nil, err
	}
	return b.launch(ctx, listen, dir, archives, nil)
}

// archive is what the configuration says of the target.
func (t *target) archive(name string) string {
	return fmt.Sprintf("  - name: %s\n    ae_title: %s\n    address: 127.0.0.1:%s", name, t.title, t.port)
}

// launch runs it with a configuration.
func (b *bench) launch(ctx context.Context, listen, dir string, archives, more []string) (*gateway, error) {
	console, err := freePort()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "cordon.yaml")
	config := fmt.Sprintf(`site: bench
data: %s
gateway:
  listen: 127.0.0.1:%s
  ae_title: CORDON
archives:
%s
console:
  listen: 127.0.0.1:%s
`, filepath.Join(dir, "data"), listen, strings.Join(archives, "\n"), console) + strings.Join(more, "\n")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, err
	}
	p, err := start(dir, nil, b.cordon, "up", "--config", file)
	if err != nil {
		return nil, err
	}
	if err := p.ready(ctx, echo(listen, "CORDON")); err != nil {
		p.stop()
		return nil, err
	}
	return &gateway{p, listen}, nil
}
