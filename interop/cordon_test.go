package interop

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cordon/interop/ports"
)

const (
	corpus      = "testdata/corpus"
	cordonTitle = "CORDON"
	settleLimit = 60 * time.Second // for something that was started to come about
)

// buildDir is where the program under test is built, once for all tests.
var buildDir string

func TestMain(m *testing.M) {
	var err error
	if buildDir, err = os.MkdirTemp("", "cordon-interop-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(buildDir)
	if page := os.Getenv("CORDON_FAULTS"); page != "" && code == 0 {
		if err := faults.write(page); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// buildCordon builds cmd/cordon at the first call.
var buildCordon = sync.OnceValues(func() (string, error) {
	out := filepath.Join(buildDir, "cordon")
	cmd := exec.Command("go", "build", "-o", out, "cordon/cmd/cordon")
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building cordon: %w\n%s", err, text)
	}
	return out, nil
})

func cordonProgram(t *testing.T) string {
	t.Helper()
	path, err := buildCordon()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// cordon is a Cordon under test, in a process of its own. It keeps its ports and its data directory over restarts.
type cordon struct {
	peer    // where modalities send; Dir is the data directory
	config  string
	Console string // "http://127.0.0.1:port"
	process *process
}

// anyDisk has nothing said of how full the disk of the machine is that the tests run on.
const anyDisk = "disk: {warn_mib: 1}\n"

// newCordon writes a configuration with one archive and starts nothing yet.
// Without an archive it is Cordon's own folder.
func newCordon(t *testing.T, archive *peer) *cordon {
	t.Helper()
	c := &cordon{peer: *newPeer(t, cordonTitle), config: filepath.Join(t.TempDir(), "cordon.yaml")}
	console := fmt.Sprintf("127.0.0.1:%d", ports.Free(t))
	c.Console = "http://" + console
	text := fmt.Sprintf("data: %s\ngateway: {listen: '%s', ae_title: %s}\nconsole: {listen: '%s'}\n"+anyDisk, c.Dir, c.Address, c.AETitle, console)
	if archive != nil {
		text += fmt.Sprintf("archives: [{name: pacs, ae_title: %s, address: '%s'}]\n", archive.AETitle, archive.Address)
	}
	write(t, c.config, text)
	return c
}

// startCordon starts a Cordon in front of the archive, or of its own folder.
func startCordon(t *testing.T, archive *peer) *cordon {
	t.Helper()
	c := newCordon(t, archive)
	c.start(t)
	return c
}

// start starts it, again perhaps, and waits until it answers.
func (c *cordon) start(t *testing.T) {
	t.Helper()
	c.process = launch(t, cordonProgram(t), "up", "--config", c.config)
	c.awaitReady(t)
}

// cli runs a command of Cordon's on this data directory.
func (c *cordon) cli(t *testing.T, args ...string) said {
	t.Helper()
	return cordonCommand(t, append(args, "--config", c.config)...)
}

// said is what a command printed, and its exit code.
type said struct {
	out, err string
	code     int
}

// cordonCommand runs a command line of Cordon's to its end.
func cordonCommand(t *testing.T, args ...string) said {
	t.Helper()
	cmd := exec.Command(cordonProgram(t), args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	timer := time.AfterFunc(runLimit, func() { cmd.Process.Kill() })
	defer timer.Stop()
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("cordon %q: %v", args, err)
	}
	return said{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// status is the part of `cordon status --json` that tests look at.
type status struct {
	Level   string
	Held    int
	Spooled int
	Alarms  int
	Objects struct{ Received, Delivered, Held, Spooled, Refused, Panics int }
	Rescan  struct{ Waiting, Recalls int }

	Associations int
	Archives     []struct {
		Up     bool
		Queued int
	}
}

func (c *cordon) status(t *testing.T) status {
	t.Helper()
	said := c.cli(t, "status", "--json")
	var s status
	if err := json.Unmarshal([]byte(said.out), &s); err != nil {
		t.Fatalf("cordon status: %v in %q, %s", err, said.out, said.err)
	}
	return s
}

// held lists the vault by SOP Instance UID.
func (c *cordon) held(t *testing.T) map[string]vaultItem {
	t.Helper()
	said := c.cli(t, "vault", "list", "--json")
	if said.code != 0 {
		t.Fatalf("cordon vault list: exit code %d: %s", said.code, said.err)
	}
	items := map[string]vaultItem{}
	for line := range strings.Lines(said.out) {
		var v vaultItem
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("cordon vault list: %v in %q", err, line)
		}
		items[v.Instance] = v
	}
	return items
}

type vaultItem struct {
	ID       string `json:"id"`
	State    string `json:"state"`
	Instance string `json:"sop_instance_uid"`
	Findings []struct{ ID, Severity, Where string }
}

// alive fails the test unless the process runs, answers C-ECHO and says that it is healthy.
func (c *cordon) alive(t *testing.T) {
	t.Helper()
	if c.process.ended() {
		t.Fatalf("cordon has ended:\n%s", c.process.log())
	}
	if err := c.echo(t.Context()); err != nil {
		t.Fatalf("cordon does not answer: %v\n%s", err, c.process.log())
	}
	rsp, err := http.Get(c.Console + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	rsp.Body.Close()
	if rsp.StatusCode != http.StatusOK {
		t.Errorf("/healthz: %s", rsp.Status)
	}
}

// awaitDrained returns once nothing waits for the archive.
func (c *cordon) awaitDrained(t *testing.T) {
	t.Helper()
	await(t, "the spool to be delivered", func() bool { return c.status(t).Spooled == 0 })
}

// await polls until the condition holds.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(settleLimit); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v for %s", settleLimit, what)
		}
	}
}

// process is a program that tests start, watch and kill.
type process struct {
	cmd  *exec.Cmd
	out  *os.File
	done chan struct{}
}

// launch starts a program, which ends with the test at the latest. One goroutine waits for it and ends with it.
func launch(t *testing.T, name string, args ...string) *process {
	t.Helper()
	return launchCommand(t, command(t, name, args...))
}

// launchCommand is launch for a command that was prepared otherwise.
func launchCommand(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	name := filepath.Base(cmd.Path)
	out, err := os.CreateTemp(t.TempDir(), name+"-*.log")
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: cmd, out: out, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", name, err)
	}
	go func() {
		defer close(p.done)
		p.cmd.Wait()
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s printed:\n%s", name, p.log())
		}
		out.Close()
	})
	return p
}

// kill ends the process as a power failure would, and returns when it is gone.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.done
}

// terminate asks it to end, waits, and returns its exit code.
func (p *process) terminate() int {
	p.cmd.Process.Signal(syscall.SIGTERM)
	return p.wait()
}

func (p *process) wait() int {
	<-p.done
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// printed is everything so far.
func (p *process) printed() string {
	text, _ := os.ReadFile(p.out.Name())
	return string(text)
}

func (p *process) log() string { return string(tail([]byte(p.printed()))) }

func tail(text []byte) []byte { return bytes.TrimSpace(text[max(0, len(text)-6000):]) }

// peakMemory is the most memory that the process has had resident so far, in bytes.
func (p *process) peakMemory(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if kib, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.ParseInt(strings.Fields(kib)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Fatal("/proc does not say VmHWM")
	return 0
}

// remove deletes a REST resource of Orthanc's.
func (p *peer) remove(t *testing.T, path string) {
	t.Helper()
	rq, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, p.HTTP+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	rsp, err := http.DefaultClient.Do(rq)
	if err != nil {
		t.Fatal(err)
	}
	defer rsp.Body.Close()
	if rsp.StatusCode != http.StatusOK {
		t.Fatalf("DELETE %s: %s", path, rsp.Status)
	}
}

// instances lists the SOP Instance UIDs of everything that an Orthanc has stored.
func (p *peer) instances(t *testing.T) map[string]bool {
	t.Helper()
	var all []struct {
		MainDicomTags struct{ SOPInstanceUID string }
	}
	if err := json.Unmarshal(p.get(t, "/instances?expand"), &all); err != nil {
		t.Fatal(err)
	}
	uids := map[string]bool{}
	for _, i := range all {
		uids[i.MainDicomTags.SOPInstanceUID] = true
	}
	return uids
}

// orthancProcess finds the process of an Orthanc by its configuration file, which is in this test's own directory; 0 if
// it has ended.
func orthancProcess(t *testing.T, p *peer) int {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range all {
		line, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		args := strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")
		if len(args) == 2 && filepath.Base(args[0]) == "Orthanc" && args[1] == filepath.Join(p.Dir, "orthanc.json") {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			return pid
		}
	}
	return 0
}

func orthancRuns(t *testing.T, p *peer) bool { return orthancProcess(t, p) != 0 }

// killOrthanc ends an Orthanc as a power failure would.
func killOrthanc(t *testing.T, p *peer) {
	t.Helper()
	pid := orthancProcess(t, p)
	if pid == 0 {
		t.Fatal("Orthanc does not run")
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, "Orthanc to end", func() bool { return !orthancRuns(t, p) })
}

// useData gives a Cordon that has not been started another data directory.
func (c *cordon) useData(t *testing.T, dir string) {
	t.Helper()
	text, err := os.ReadFile(c.config)
	if err != nil {
		t.Fatal(err)
	}
	write(t, c.config, strings.Replace(string(text), c.Dir, dir, 1))
	c.Dir = dir
}
