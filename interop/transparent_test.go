package interop

import (
	"crypto/tls"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"cordon/interop/lab"
)

// led is a hospital whose scanners send to their archive, as they always have, and
// the Cordon on the router between them.
type led struct {
	*lab.Hospital
	config, data, stored, image string
	process                     *process
}

func newLed(t *testing.T, whenDead string) *led {
	t.Helper()
	dir := t.TempDir()
	h := &led{
		Hospital: lab.New(t, lab.Routed), config: filepath.Join(dir, "cordon.yaml"), data: filepath.Join(dir, "data"), stored: filepath.Join(dir, "stored"),
		image: filepath.Join(corpus, "valid/pydicom/charset_files/chrGreek.dcm"),
	}
	if err := os.Mkdir(h.stored, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, h.config, fmt.Sprintf(`data: %s
gateway:
  listen: '%s:104'
  transparent: {from: [%s, '%s'], when_dead: %s}
archives:
  - {name: pacs, ae_title: ARCHIVE, address: '%s:11112'}
  - {name: vna, ae_title: VNA, address: '[%s]:11112'}
`, h.data, h.Router.Addr, h.US1.Network, h.US1.Network6, whenDead, h.Archive.Addr, h.Archive.Addr6))
	launch(t, "ip", h.Archive.Command("storescp", "--fork", "--disable-host-lookup", "-aet", "ANY", "--unique-filenames", "-od", h.stored, "11112")[1:]...)
	h.Router.Run(t, "nft", "add table inet hospital; add chain inet hospital input { type filter hook input priority 0; }; add rule inet hospital input tcp dport 9 drop")
	h.Router.Run(t, "ip", "rule", "add", "priority", "500", "fwmark", "7", "lookup", "77")
	return h
}

func (h *led) start(t *testing.T) {
	t.Helper()
	h.process = launch(t, "ip", h.Router.Command(cordonProgram(t), "up", "--config", h.config)[1:]...)
	await(t, "Cordon", func() bool { return strings.Contains(h.process.printed(), `"msg":"ready"`) })
}

// send stores one image from a scanner where it always does: at the archive.
func (h *led) send(from *lab.Host, called, image string) (string, error) {
	return from.Try("storescu", "-to", "4", "-ta", "4", "-td", "4", "-aet", "US1", "-aec", called, h.Archive.Addr.String(), "11112", image)
}

func (h *led) arrived(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir(h.stored)
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

// cli runs a command of Cordon's on the router.
func (h *led) cli(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return h.Router.Try(append([]string{cordonProgram(t)}, append(args, "--config", h.config)...)...)
}

func (h *led) must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := h.cli(t, args...)
	if err != nil {
		t.Fatalf("cordon %q: %v\n%s", args, err, out)
	}
	return out
}

// rules are all of the router, but those of tables that are Cordon's.
func (h *led) rules(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	for _, line := range [][]string{
		{"nft", "list", "ruleset"}, {"ip", "-4", "rule"}, {"ip", "-6", "rule"}, {"ip", "-4", "route", "show", "table", "all"}, {"ip", "-6", "route", "show", "table", "all"},
	} {
		out.WriteString(h.Router.Run(t, line...))
	}
	return out.String()
}

var decides = []string{"--as", "Ada Ashe", "--reason", "nobody may touch the scanners"}

// Devices that nobody may configure are inspected on their way: the archive sees
// their own address and the title that they call it by. A Cordon that hangs or dies
// is passed by, which is said; off leaves everything as it was.
func TestTransparentModeInspectsAndDoesNotStopImaging(t *testing.T) {
	t.Parallel()
	h := newLed(t, "remove")
	before := h.rules(t)
	h.start(t)
	if now := h.rules(t); now != before {
		t.Errorf("rules before anybody switched it on:\n%s\nwere:\n%s", now, before)
	}
	h.must(t, append([]string{"transparent", "on"}, decides...)...)
	own := h.Archive.Count(t, h.US1, "tcp dport 11112")
	if out, err := h.send(h.US1, "OLD_PACS", h.image); err != nil || h.arrived(t) != 1 {
		t.Fatalf("%v, %d arrived\n%s\n%s\n%s", err, h.arrived(t), out, h.process.log(), h.rules(t)+h.Router.Run(t, "ss", "-tlnp")+h.must(t, "ledger", "tail", "-n", "20"))
	}
	if own.Packets(t) == 0 {
		t.Error("the archive did not see the scanner's own address")
	}
	said := h.must(t, "ledger", "tail", "-n", "100", "--json")
	if !strings.Contains(said, `"called_ae":"OLD_PACS"`) || strings.Count(said, `"kind":"object.delivered"`)+strings.Count(said, `"kind":"transfer.begin"`) == 0 {
		t.Errorf("it did not pass Cordon:\n%s", said)
	}
	hostile := filepath.Join(t.TempDir(), "hostile.dcm")
	text, err := os.ReadFile(h.image)
	if err != nil {
		t.Fatal(err)
	}
	copy(text, "MZ\x90\x00") // a program in the preamble
	write(t, hostile, string(text))
	if out, err := h.send(h.US1, "OLD_PACS", hostile); err != nil {
		t.Errorf("%v\n%s", err, out)
	}

	// What is encrypted cannot be inspected: it ends, and somebody is told.
	nc, err := h.US1.Dial(h.Archive.Addr.String()+":11112", 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	nc.SetDeadline(time.Now().Add(10 * time.Second))
	if err := tls.Client(nc, &tls.Config{InsecureSkipVerify: true}).Handshake(); err == nil {
		t.Error("TLS through Cordon")
	}
	nc.Close()
	await(t, "the record", func() bool {
		return strings.Contains(h.must(t, "ledger", "tail", "-n", "20", "--json"), `"kind":"transparent.encrypted"`)
	})

	// Routes that somebody takes away come back.
	h.Router.Run(t, "ip", "rule", "del", "priority", "11112")
	await(t, "the routing rule", func() bool { return strings.Contains(h.Router.Run(t, "ip", "rule"), "11112:") })

	// IPv6, to an archive that is another Cordon's folder.
	other := filepath.Join(t.TempDir(), "cordon.yaml")
	stored6 := filepath.Join(filepath.Dir(other), "data", "archive")
	write(t, other, fmt.Sprintf("data: %s\ngateway: {listen: '[%s]:11112', ae_title: VNA}\n", filepath.Join(filepath.Dir(other), "data"), h.Archive.Addr6))
	far := launch(t, "ip", h.Archive.Command(cordonProgram(t), "up", "--config", other)[1:]...)
	await(t, "the other Cordon", func() bool { return strings.Contains(far.printed(), `"msg":"ready"`) })
	own6 := h.Archive.Count(t, h.US1, "tcp dport 11112") // of either version; the other is silent now
	if out, err := h.US1.Try(cordonProgram(t), "send", "--calling", "US1", "--called", "VNA", fmt.Sprintf("[%s]:11112", h.Archive.Addr6), h.image); err != nil {
		t.Errorf("IPv6: %v\n%s\n%s", err, out, h.process.log())
	}
	files := 0
	filepath.WalkDir(stored6, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files++
		}
		return nil
	})
	if files != 1 || own6.Packets(t) == 0 {
		t.Errorf("IPv6: %d stored; %d packets", files, own6.Packets(t))
	}
	if n := strings.Count(h.must(t, "ledger", "tail", "-n", "100", "--json"), h.US1.Addr6.String()); n == 0 {
		t.Error("IPv6: it did not pass Cordon")
	}

	// One that hangs is passed by after seconds.
	n := h.arrived(t)
	h.process.cmd.Process.Signal(syscall.SIGSTOP)
	hung := time.Now()
	await(t, "imaging past a Cordon that hangs", func() bool { _, err := h.send(h.US1, "OLD_PACS", h.image); return err == nil && h.arrived(t) > n })
	t.Logf("a Cordon that hangs was passed by after %v", time.Since(hung).Round(100*time.Millisecond))
	h.process.cmd.Process.Signal(syscall.SIGCONT)

	// One that is dead, at once.
	await(t, "Cordon", func() bool { _, err := h.cli(t, "status", "--json"); return err == nil || h.process.ended() })
	n = h.arrived(t)
	h.process.kill()
	dead := time.Now()
	await(t, "imaging past a dead Cordon", func() bool { _, err := h.send(h.US1, "OLD_PACS", h.image); return err == nil })
	t.Logf("a dead Cordon was passed by after %v", time.Since(dead).Round(10*time.Millisecond))
	if h.arrived(t) != n+1 || time.Since(dead) > 10*time.Second {
		t.Errorf("%d arrived, after %v", h.arrived(t)-n, time.Since(dead))
	}

	// It comes back as it was switched, and says what went past it.
	h.start(t)
	n = h.arrived(t)
	if out, err := h.send(h.US1, "OLD_PACS", h.image); err != nil || h.arrived(t) != n+1 {
		t.Errorf("%v\n%s", err, out)
	}
	if said, err := h.cli(t, "deadman", "list"); err != nil || !strings.Contains(said, "transparent mode") {
		t.Errorf("nothing is said of what went past: %v\n%s", err, said)
	}
	h.must(t, append([]string{"transparent", "off"}, decides...)...)
	if now := h.rules(t); now != before {
		t.Errorf("after off:\n%s\nwere:\n%s", now, before)
	}
	n = h.arrived(t)
	if out, err := h.send(h.US1, "OLD_PACS", h.image); err != nil || h.arrived(t) != n+1 {
		t.Errorf("straight to the archive, off: %v\n%s", err, out)
	}
}

// Where the site has chosen that nothing passes without Cordon, nothing does; and off
// undoes it without Cordon, too.
func TestTransparentModeStopsWhereTheSiteChoseSo(t *testing.T) {
	t.Parallel()
	h := newLed(t, "stop")
	before := h.rules(t)
	h.start(t)
	h.must(t, append([]string{"transparent", "on"}, decides...)...)
	if out, err := h.send(h.US1, "ARCHIVE", h.image); err != nil || h.arrived(t) != 1 {
		t.Fatalf("%v, %d arrived\n%s\n%s", err, h.arrived(t), out, h.process.log())
	}
	h.process.kill()
	if _, err := h.send(h.US1, "ARCHIVE", h.image); err == nil || h.arrived(t) != 1 {
		t.Errorf("it passed without Cordon: %d arrived", h.arrived(t))
	}
	if out, err := h.send(h.US2, "ARCHIVE", h.image); err != nil {
		t.Errorf("a device that is not led here: %v\n%s", err, out)
	}
	h.must(t, append([]string{"transparent", "off"}, decides...)...)
	if now := h.rules(t); now != before {
		t.Errorf("after off without Cordon:\n%s\nwere:\n%s", now, before)
	}
	if out, err := h.send(h.US1, "ARCHIVE", h.image); err != nil {
		t.Errorf("after off: %v\n%s", err, out)
	}
}

// An ordinary restart is none of the times in which images went past Cordon: nothing
// does, for the seconds that it takes. A stop that is longer is one.
func TestARestartInTransparentModeLetsNothingPast(t *testing.T) {
	t.Parallel()
	h := newLed(t, "remove")
	stop := func() {
		t.Helper()
		h.process.cmd.Process.Signal(syscall.SIGTERM)
		await(t, "the end of Cordon", h.process.ended)
	}
	h.start(t)
	h.must(t, append([]string{"transparent", "on"}, decides...)...)
	began := time.Now()
	stop()
	if out, err := h.US1.Try("storescu", "-to", "1", "-ta", "1", "-td", "1", "-aet", "US1", "-aec", "ARCHIVE", h.Archive.Addr.String(), "11112", h.image); err == nil || h.arrived(t) != 0 {
		t.Errorf("past a Cordon that restarts: %v, %d arrived\n%s", err, h.arrived(t), out)
	}
	h.start(t)
	took := time.Since(began)
	if out, err := h.send(h.US1, "ARCHIVE", h.image); err != nil || h.arrived(t) != 1 {
		t.Errorf("%v, %d arrived\n%s\n%s", err, h.arrived(t), out, h.process.log())
	}
	if said := h.must(t, "deadman", "list"); strings.Contains(said, "transparent mode") != (took > 5*time.Second) {
		t.Errorf("after a restart of %v: %s", took, said)
	}
	stop()
	await(t, "imaging past a Cordon that was stopped", func() bool { _, err := h.send(h.US1, "ARCHIVE", h.image); return err == nil })
	h.start(t)
	if said := h.must(t, "deadman", "list"); !strings.Contains(said, "transparent mode") {
		t.Errorf("nothing is said of what went past: %s", said)
	}
}
