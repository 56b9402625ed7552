// Package interop holds the tests against real peers. It has no code of its own.
//
// A peer that is not installed fails its test; nothing is skipped. The helpers here start peers on free ports of
// 127.0.0.1 with their files in the test's temporary directory, wait until they answer, and end them, with all their
// children, when the test ends.
//
//	scp := startStoreSCP(t, "+B", "--fork") // DCMTK's storage provider, storing into scp.Dir
//	orthanc := startOrthanc(t, map[string]any{"DicomCheckCalledAet": true})
//	out := run(t, "storescu", "-aet", "CT1", scp.Host, scp.Port, file)
package interop

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/interop/ports"
)

const (
	readyLimit = 20 * time.Second // for a peer to answer its first C-ECHO
	runLimit   = 2 * time.Minute  // for a command to end
)

// testFiles is the directory of pydicom's test files (Debian's python3-pydicom).
const testFiles = "/usr/lib/python3/dist-packages/pydicom/data/test_files"

// peer is a running DICOM application of someone else's.
type peer struct {
	AETitle    dicom.AETitle
	Host, Port string // as commands take them
	Address    string // "127.0.0.1:port"
	Dir        string // where it stores
	HTTP       string // Orthanc's REST interface, "http://127.0.0.1:port"; else empty
	tls        *tls.Config
	hangsUp    bool // it may reset a connection before its last answer was read: who asks it directly asks again
}

// startStoreSCP starts DCMTK's storescp with the flags; it stores into Dir.
func startStoreSCP(t testing.TB, flags ...string) *peer {
	t.Helper()
	p := newPeer(t, "STORESCP")
	args := append([]string{"-od", p.Dir, "-aet", string(p.AETitle)}, flags...)
	start(t, p.Dir, "storescp", append(args, p.Port)...)
	p.awaitReady(t)
	return p
}

// startOrthanc starts Orthanc with an empty store in Dir. Settings are added to, or replace, those of its configuration.
// Every AE title may store, and nobody needs to log in.
func startOrthanc(t testing.TB, settings map[string]any) *peer {
	t.Helper()
	p := newPeer(t, "ORTHANC")
	port, _ := strconv.Atoi(p.Port)
	rest := ports.Free(t)
	p.HTTP = fmt.Sprintf("http://127.0.0.1:%d", rest)
	config := map[string]any{
		"Name": "peer", "StorageDirectory": p.Dir, "IndexDirectory": p.Dir, "Plugins": []string{},
		"DicomAet": string(p.AETitle), "DicomPort": port, "DicomCheckCalledAet": false, "DicomAlwaysAllowStore": true,
		"HttpPort": rest, "RemoteAccessAllowed": false, "AuthenticationEnabled": false, "StableAge": 1,
	}
	for k, v := range settings {
		config[k] = v
	}
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(p.Dir, "orthanc.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, p.Dir, "Orthanc", file)
	p.awaitREST(t)
	p.awaitReady(t)
	return p
}

func newPeer(t testing.TB, title dicom.AETitle) *peer {
	t.Helper()
	port := strconv.Itoa(ports.Free(t))
	return &peer{AETitle: title, Host: "127.0.0.1", Port: port, Address: net.JoinHostPort("127.0.0.1", port), Dir: t.TempDir()}
}

// start runs a command until the test ends, in a process group of its own, so that forked children end with it. What it
// printed is logged if the test failed. One goroutine waits for it and ends with it.
func start(t testing.TB, dir, name string, args ...string) {
	t.Helper()
	cmd := command(t, name, args...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	log, err := os.Create(filepath.Join(t.TempDir(), filepath.Base(name)+".log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", name, err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		cmd.Wait()
	}()
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-done
		log.Close()
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("%s printed:\n%s", name, bytes.TrimSpace(text[max(0, len(text)-4096):]))
		}
	})
}

// run runs a command to its end and returns what it printed. It fails the test if the exit status is not 0.
func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := try(t, name, args...)
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return out
}

// try runs a command to its end and returns what it printed and how it ended.
func try(t testing.TB, name string, args ...string) (string, error) {
	t.Helper()
	cmd := command(t, name, args...)
	timer := time.AfterFunc(runLimit, func() { cmd.Process.Kill() })
	defer timer.Stop()
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// command looks the program up, also in /usr/sbin, where Debian has Orthanc.
func command(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath(filepath.Join("/usr/sbin", name))
	}
	if err != nil {
		t.Fatalf("%s is needed and not installed (make peers): %v", name, err)
	}
	return exec.Command(path, args...)
}

// awaitReady returns once the peer answers a C-ECHO.
func (p *peer) awaitReady(t testing.TB) {
	t.Helper()
	var err error
	for end := time.Now().Add(readyLimit); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = p.echo(t.Context()); err == nil {
			return
		}
	}
	t.Fatalf("%s at %s did not become ready: %v", p.AETitle, p.Address, err)
}

// awaitREST returns once Orthanc's REST interface, which it opens last, answers.
func (p *peer) awaitREST(t testing.TB) {
	t.Helper()
	var err error
	for end := time.Now().Add(readyLimit); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var rsp *http.Response
		if rsp, err = http.Get(p.HTTP + "/system"); err == nil {
			rsp.Body.Close()
			return
		}
	}
	t.Fatalf("%s at %s did not become ready: %v", p.AETitle, p.HTTP, err)
}

func (p *peer) echo(ctx context.Context) error {
	c, err := p.dial(ctx, ul.ProposedContext{AbstractSyntax: dicom.Verification, TransferSyntaxes: []dicom.UID{dicom.ImplicitVRLittleEndian}})
	if err != nil {
		return err
	}
	defer c.Close()
	if status, err := c.Echo(ctx); err != nil || status != dimse.Success {
		return fmt.Errorf("C-ECHO: status %04X: %w", uint16(status), err)
	}
	return c.Release(ctx)
}

// dial opens an association with the peer as CORDON, with Cordon itself as another.
func (p *peer) dial(ctx context.Context, contexts ...ul.ProposedContext) (*dimse.Conn, error) {
	calling := dicom.AETitle(cordonTitle)
	if p.AETitle == calling {
		calling = "PROBE"
	}
	a, err := ul.Dial(ctx, p.Address, p.tls, ul.Request{Calling: calling, Called: p.AETitle, Contexts: contexts}, ul.Limits{ARTIM: 5 * time.Second})
	if err != nil {
		return nil, err
	}
	return dimse.NewConn(a), nil
}

// get returns the body of a REST resource of Orthanc's.
func (p *peer) get(t testing.TB, path string) []byte {
	t.Helper()
	rsp, err := http.Get(p.HTTP + path)
	if err != nil {
		t.Fatal(err)
	}
	defer rsp.Body.Close()
	body, err := io.ReadAll(rsp.Body)
	if err != nil || rsp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v", path, rsp.Status, err)
	}
	return body
}
