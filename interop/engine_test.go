package interop

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/md5"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cordon/engine"
	"cordon/finding"
	"cordon/inspect/compose"
	"cordon/interop/ports"
)

// clamd is a ClamAV daemon with a signature directory of its own.
type clamd struct {
	*process
	config string
	unix   string // addresses, as the configuration of an engine has them
	tcp    string
}

// startClamd starts clamd with four kinds of signatures: EICAR anywhere, the digest of ClamAV's test program, a rule for
// what is a Windows program and a DICOM file at once. settings are added to its configuration.
func startClamd(t *testing.T, settings ...string) *clamd {
	t.Helper()
	dir := t.TempDir()
	db := filepath.Join(dir, "db")
	if err := os.Mkdir(db, 0o755); err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(filepath.Join(clamFiles, "clam.exe"))
	if err != nil {
		t.Fatal(err)
	}
	c := &clamd{config: filepath.Join(dir, "clamd.conf"), unix: "unix:" + filepath.Join(dir, "s"), tcp: fmt.Sprintf("tcp:127.0.0.1:%d", ports.Free(t))}
	for name, text := range map[string]string{
		"eicar.ndb":    fmt.Sprintf("Interop.Eicar:0:*:%x\n", compose.EICAR()),
		"clam.hdb":     fmt.Sprintf("%x:%d:Interop.Clam\n", md5.Sum(program), len(program)),
		"polyglot.yar": "rule polyglot { strings: $dicm = \"DICM\" condition: uint16(0) == 0x5a4d and $dicm at 128 }\n",
		"../clamd.conf": fmt.Sprintf("Foreground yes\nDatabaseDirectory %s\nTemporaryDirectory %s\nLocalSocket %s\nTCPSocket %s\nTCPAddr 127.0.0.1\n%s\n",
			db, dir, strings.TrimPrefix(c.unix, "unix:"), strings.TrimPrefix(c.tcp, "tcp:127.0.0.1:"), strings.Join(settings, "\n")),
	} {
		if err := os.WriteFile(filepath.Join(db, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c.start(t)
	return c
}

// start starts clamd, again if it was killed, and returns when it answers.
func (c *clamd) start(t *testing.T) {
	t.Helper()
	c.process = launch(t, "clamd", "--config-file="+c.config)
	awaitEngine(t, engine.NewClamd(engine.ClamdConfig{Address: c.tcp}))
}

func (c *clamd) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// scanner is what the engines have in common.
type scanner interface {
	Name() string
	Scan(ctx context.Context, r io.Reader, size int64) finding.EngineResult
	State(ctx context.Context) engine.State
}

func awaitEngine(t testing.TB, e scanner) {
	t.Helper()
	var s engine.State
	for end := time.Now().Add(readyLimit); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if s = e.State(t.Context()); s.Up {
			return
		}
	}
	t.Fatalf("%s did not become ready: %s", s.Name, s.Error)
}

func scan(t testing.TB, e scanner, piece []byte) finding.EngineResult {
	t.Helper()
	return e.Scan(t.Context(), bytes.NewReader(piece), int64(len(piece)))
}

// polyglot is a file that is a Windows program and a DICOM file at once, as far as their first bytes say.
func polyglot() []byte {
	o := compose.CT(16, 16)
	file := bytes.Clone(o.File())
	copy(file, "MZ")
	return file
}

// noise is what no signature is about, and what no cache of clamd's has seen.
func noise(n int) []byte {
	p := make([]byte, n)
	rand.Read(p)
	return p
}

// pieces are what a scanner with the signatures of startClamd must say something about.
func pieces(t testing.TB) []struct {
	name  string
	piece []byte
	want  finding.Result
} {
	t.Helper()
	program, err := os.ReadFile(filepath.Join(clamFiles, "clam.exe"))
	if err != nil {
		t.Fatal(err)
	}
	image := compose.CT(256, 256)
	return []struct {
		name  string
		piece []byte
		want  finding.Result
	}{
		{"nothing", nil, finding.Clean},
		{"a byte", []byte("x"), finding.Clean},
		{"noise", noise(3 << 20), finding.Clean},
		{"an image", image.File(), finding.Clean},
		{"EICAR", compose.EICAR(), finding.ResultMalicious},
		{"EICAR in the middle", append(noise(100000), compose.EICAR()...), finding.ResultMalicious},
		{"a listed program", program, finding.ResultMalicious},
		{"a polyglot", polyglot(), finding.ResultMalicious},
	}
}

func mustScan(t *testing.T, e scanner) {
	t.Helper()
	for _, p := range pieces(t) {
		if got := scan(t, e, p.piece); got.Result != p.want || got.Signatures == "" {
			t.Errorf("%s, %s: %+v, want %v", e.Name(), p.name, got, p.want)
		}
	}
}

func TestClamdFindsAndClears(t *testing.T) {
	c := startClamd(t, "AlertExceedsMax yes")
	for _, address := range []string{c.unix, c.tcp} {
		e := engine.NewClamd(engine.ClamdConfig{Address: address})
		mustScan(t, e)
		if s := e.State(t.Context()); !s.Up || !strings.HasPrefix(s.Signatures, "ClamAV ") || s.Warning != "" || !s.SignaturesAt.IsZero() {
			t.Errorf("%+v", s)
		}
	}
	e := engine.NewClamd(engine.ClamdConfig{Address: c.unix})
	for name, piece := range map[string][]byte{"Interop.Eicar.UNOFFICIAL": compose.EICAR(), "YARA.polyglot.UNOFFICIAL": polyglot()} {
		if got := scan(t, e, piece); got.Detail != name {
			t.Errorf("found %q, want %q", got.Detail, name)
		}
	}
}

// ClamAV's test files hold one program in many wrappings. With the digest of that program alone, clamd finds it in all that
// it can unpack: at least the archives.
func TestClamdOpensContainers(t *testing.T) {
	e := engine.NewClamd(engine.ClamdConfig{Address: startClamd(t).unix})
	found := map[string]bool{}
	files := filesIn(t, clamFiles)
	for _, file := range files {
		piece, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got := scan(t, e, piece)
		if got.Result == finding.Unscanned {
			t.Errorf("%s: %+v", file, got)
		}
		if got.Result == finding.ResultMalicious {
			found[filepath.Base(file)] = true
		}
	}
	for _, name := range []string{"clam.exe", "clam.zip", "clam.7z", "clam.arj", "clam.cab", "clam.exe.bz2", "clam.tar.gz", "clam.mail"} {
		if !found[name] {
			t.Errorf("%s: not found", name)
		}
	}
	t.Logf("found in %d of %d files", len(found), len(files))
}

// What is over a limit, ours or clamd's, is not scanned; never clean.
func TestOverALimitIsUnscanned(t *testing.T) {
	c := startClamd(t, "StreamMaxLength 1M", "MaxFileSize 100K", "MaxScanSize 200K", "AlertExceedsMax yes")
	for _, address := range []string{c.unix, c.tcp} {
		e := engine.NewClamd(engine.ClamdConfig{Address: address})
		small := engine.NewClamd(engine.ClamdConfig{Address: address, MaxStream: 1000})
		for name, test := range map[string]struct {
			e     *engine.Clamd
			piece []byte
		}{
			"StreamMaxLength":         {e, noise(2 << 20)},
			"far over":                {e, noise(20 << 20)},
			"MaxFileSize":             {e, noise(150000)},
			"MaxFileSize, then EICAR": {e, append(noise(150000), compose.EICAR()...)},
			"MaxRecursion":            {e, nestedGzip(60)},
			"ours":                    {small, noise(1001)},
		} {
			if got := scan(t, test.e, test.piece); got.Result != finding.Unscanned || got.Detail == "" {
				t.Errorf("%s: %+v", name, got)
			}
		}
		if got := scan(t, e, noise(90000)); got.Result != finding.Clean {
			t.Errorf("under all limits: %+v", got)
		}
	}
}

func nestedGzip(depth int) []byte {
	p := compose.EICAR()
	for range depth {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		w.Write(p)
		w.Close()
		p = b.Bytes()
	}
	return p
}

// As it comes, clamd says OK about what its limits kept it from reading. No client can see that in an answer, so it is
// found out beforehand.
func TestClamdThatHidesItsLimitsIsNoticed(t *testing.T) {
	c := startClamd(t, "MaxFileSize 100K")
	e := engine.NewClamd(engine.ClamdConfig{Address: c.unix})
	if s := e.State(t.Context()); !s.Up || !strings.Contains(s.Warning, "AlertExceedsMax") {
		t.Errorf("%+v", s)
	}
	hidden := append(noise(150000), compose.EICAR()...)
	if got := scan(t, e, hidden); got.Result != finding.Clean {
		t.Errorf("clamd no longer hides its limits: %+v; docs/engines.md says that it does", got)
	}
}

// A member of an archive is read up to MaxFileSize, and clamd says OK, AlertExceedsMax or not. With MaxScanSize no
// larger, the member meets that as well, and clamd says so. docs/engines.md asks for it.
func TestClamdReadsMembersUpToMaxFileSize(t *testing.T) {
	late := zipped(t, append(make([]byte, 300000), compose.EICAR()...))
	for settings, want := range map[string]finding.Result{
		"AlertExceedsMax yes\nMaxFileSize 200K":                     finding.Clean,
		"AlertExceedsMax yes\nMaxFileSize 200K\nMaxScanSize 200K":   finding.Unscanned,
		"AlertExceedsMax yes\nMaxFileSize 1000K\nMaxScanSize 1000K": finding.ResultMalicious,
	} {
		e := engine.NewClamd(engine.ClamdConfig{Address: startClamd(t, settings).unix})
		if got := scan(t, e, late); got.Result != want {
			t.Errorf("%q: %+v, want %v", settings, got, want)
		}
	}
}

// A bomb that takes longer than MaxScanTime.
func TestClamdOutOfTimeIsUnscanned(t *testing.T) {
	e := engine.NewClamd(engine.ClamdConfig{Address: startClamd(t, "MaxScanTime 50", "AlertExceedsMax yes").unix, MaxStream: 100 << 20})
	if got := scan(t, e, append(noise(50<<20), compose.EICAR()...)); got.Result != finding.Unscanned {
		t.Errorf("%+v", got)
	}
}

// zipped returns an archive with one member.
func zipped(t *testing.T, member []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("member")
	if err != nil {
		t.Fatal(err)
	}
	w.Write(member)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// clamd is killed and started again while pieces are scanned: no hit is ever called clean, no scan hangs, and the same
// engine works again afterwards.
func TestClamdRestart(t *testing.T) {
	c := startClamd(t)
	e := engine.NewClamd(engine.ClamdConfig{Address: c.unix, Timeout: 5 * time.Second})
	var (
		stop     atomic.Bool
		results  [3]atomic.Int32
		scanners sync.WaitGroup
		hostile  = append(noise(500000), compose.EICAR()...)
	)
	for range 4 {
		scanners.Go(func() {
			for !stop.Load() {
				took := timed(func() { results[scan(t, e, hostile).Result].Add(1) })
				if took > 6*time.Second {
					t.Errorf("a scan took %v", took)
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	for range 3 {
		time.Sleep(200 * time.Millisecond)
		c.kill()
		time.Sleep(100 * time.Millisecond)
		if s := e.State(t.Context()); s.Up {
			t.Errorf("%+v", s)
		}
		c.start(t)
	}
	before := results[finding.ResultMalicious].Load()
	await(t, "hits after the restart", func() bool { return results[finding.ResultMalicious].Load() > before+3 })
	stop.Store(true)
	scanners.Wait()
	if results[finding.Clean].Load() != 0 || results[finding.Unscanned].Load() == 0 {
		t.Errorf("clean %d, malicious %d, not scanned %d", results[finding.Clean].Load(), results[finding.ResultMalicious].Load(), results[finding.Unscanned].Load())
	}
	t.Logf("malicious %d, not scanned %d, clean 0", results[finding.ResultMalicious].Load(), results[finding.Unscanned].Load())
}

// clamd dies when half of a piece was sent, and is there again when the rest is.
func TestClamdDiesMidStream(t *testing.T) {
	c := startClamd(t)
	e := engine.NewClamd(engine.ClamdConfig{Address: c.unix})
	killing := readerFunc(func(p []byte) (int, error) {
		c.kill()
		c.start(t)
		return 0, io.EOF
	})
	piece := io.MultiReader(bytes.NewReader(noise(1<<20)), killing, bytes.NewReader(noise(1<<20)))
	if got := e.Scan(t.Context(), piece, -1); got.Result != finding.Unscanned {
		t.Errorf("%+v", got)
	}
	if got := scan(t, e, compose.EICAR()); got.Result != finding.ResultMalicious {
		t.Errorf("afterwards: %+v", got)
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// clamd that is stopped (SIGSTOP) accepts connections and answers nothing.
func TestStoppedClamdIsUnscannedInTime(t *testing.T) {
	c := startClamd(t)
	e := engine.NewClamd(engine.ClamdConfig{Address: c.unix, Timeout: 500 * time.Millisecond})
	if got := scan(t, e, noise(1000)); got.Result != finding.Clean {
		t.Fatalf("%+v", got)
	}
	c.signal(t, syscall.SIGSTOP)
	took := timed(func() {
		if got := scan(t, e, noise(1000)); got.Result != finding.Unscanned || !strings.Contains(got.Detail, "no time left") {
			t.Errorf("%+v", got)
		}
	})
	if took > 2*time.Second {
		t.Errorf("took %v", took)
	}
	c.signal(t, syscall.SIGCONT)
	if got := scan(t, e, noise(1000)); got.Result != finding.Clean {
		t.Errorf("%+v", got)
	}
}

// startCICAP starts Debian's c-icap with its echo service, and returns the service's URL.
func startCICAP(t *testing.T) string {
	t.Helper()
	dir, port := t.TempDir(), ports.Free(t)
	config := filepath.Join(dir, "c-icap.conf")
	libraries := "/usr/lib/x86_64-linux-gnu/c_icap"
	if found, _ := filepath.Glob("/usr/lib/*/c_icap"); len(found) > 0 {
		libraries = found[0]
	}
	text := fmt.Sprintf("PidFile %[1]s/pid\nCommandsSocket %[1]s/ctl\nServerLog %[1]s/server.log\nAccessLog %[1]s/access.log\nTmpDir %[1]s\n"+
		"StartServers 1\nMaxServers 1\nThreadsPerChild 8\nMinSpareThreads 2\nMaxSpareThreads 8\nKeepAliveTimeout 10\nPort 127.0.0.1:%[2]d\n"+
		"ModulesDir %[3]s\nServicesDir %[3]s\nLoadMagicFile /etc/c-icap/c-icap.magic\nService echo srv_echo.so\n", dir, port, libraries)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	start(t, dir, "c-icap", "-N", "-f", config)
	return fmt.Sprintf("icap://127.0.0.1:%d/echo", port)
}

// c-icap's echo service finds nothing. It hands back what it got, answers 204 when it has everything, or, of some longer
// pieces, already at the end of the preview: those it has not seen.
func TestCICAPEcho(t *testing.T) {
	e := engine.NewICAP(engine.ICAPConfig{URL: startCICAP(t)})
	awaitEngine(t, e)
	s := e.State(t.Context())
	if s.Signatures == "" {
		t.Errorf("%+v", s)
	}
	for range 3 {
		for _, size := range []int{0, 1, 1000, 1024, 1025, 2000, 100000, 1 << 20, 3 << 20} {
			got := scan(t, e, noise(size))
			early := size > 1024 && strings.Contains(got.Detail, "before it had the whole piece")
			if got.Result != finding.Clean && !early || got.Signatures != s.Signatures {
				t.Errorf("%d bytes: %+v", size, got)
			}
		}
	}
	absent := engine.NewICAP(engine.ICAPConfig{URL: startCICAP(t) + "-that-is-not-there"})
	await(t, "c-icap to answer", func() bool { return strings.Contains(absent.State(t.Context()).Error, "404") })
}
