package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// ward is three machines in a row, each a network namespace: a modality, Cordon's,
// an archive. The modality has no route to the archive.
type ward struct {
	modality, cordon, archive string
	config, data, stored      string
	image                     string
}

const (
	wardListen  = "10.77.1.1"
	wardArchive = "10.77.2.2"
)

func newWard(t *testing.T) *ward {
	t.Helper()
	dir, id := t.TempDir(), os.Getpid()
	w := &ward{
		fmt.Sprintf("modality-%d", id), fmt.Sprintf("cordon-%d", id), fmt.Sprintf("archive-%d", id),
		filepath.Join(dir, "cordon.yaml"), filepath.Join(dir, "data"), filepath.Join(dir, "stored"),
		filepath.Join(corpus, "valid/pydicom/charset_files/chrGreek.dcm"),
	}
	if err := os.Mkdir(w.stored, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, ns := range []string{w.modality, w.cordon, w.archive} {
		run(t, "ip", "netns", "add", ns)
		t.Cleanup(func() { run(t, "ip", "netns", "del", ns) })
		run(t, "ip", "-n", ns, "link", "set", "lo", "up")
	}
	for _, c := range []struct{ left, leftAddress, right, rightAddress string }{
		{w.modality, "10.77.1.2/24", w.cordon, wardListen + "/24"},
		{w.cordon, "10.77.2.1/24", w.archive, wardArchive + "/24"},
	} {
		run(t, "ip", "link", "add", "ward0", "netns", c.left, "type", "veth", "peer", "name", "ward1", "netns", c.right)
		run(t, "ip", "-n", c.left, "address", "add", c.leftAddress, "dev", "ward0")
		run(t, "ip", "-n", c.right, "address", "add", c.rightAddress, "dev", "ward1")
		run(t, "ip", "-n", c.left, "link", "set", "ward0", "up")
		run(t, "ip", "-n", c.right, "link", "set", "ward1", "up")
	}
	run(t, "ip", "netns", "exec", w.cordon, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
	write(t, w.config, fmt.Sprintf(`data: %s
gateway: {listen: '%s:104'}
archives: [{name: pacs, ae_title: ARCHIVE, address: '%s:11112'}]
deadman: {archive: pacs, after: 5s}
`, w.data, wardListen, wardArchive))
	return w
}

// in is a command line in a namespace.
func in(ns string, args ...string) []string { return append([]string{"netns", "exec", ns}, args...) }

func (w *ward) start(t *testing.T) *process {
	t.Helper()
	p := launch(t, "ip", in(w.cordon, cordonProgram(t), "up", "--config", w.config)...)
	await(t, "Cordon", func() bool { return strings.Contains(p.printed(), `"msg":"ready"`) })
	return p
}

// send stores one image, from the modality to where it always sends.
func (w *ward) send(t *testing.T) (string, error) {
	t.Helper()
	return try(t, "ip", in(w.modality, "storescu", "-to", "5", "-aet", "CT1", "-aec", "ARCHIVE", wardListen, "104", w.image)...)
}

func (w *ward) arrived(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir(w.stored)
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

// open reports whether the bypass leads anywhere now.
func (w *ward) open(t *testing.T) bool {
	t.Helper()
	rules, _ := try(t, "ip", in(w.cordon, "nft", "list", "table", "inet", "cordon_deadman")...)
	return strings.Contains(rules, "dnat ip to "+wardArchive+":11112") && strings.Contains(rules, "expires")
}

func (w *ward) cli(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return try(t, cordonProgram(t), append(args, "--config", w.config)...)
}

// While Cordon is down, and the site has chosen so, images go to the archive
// straight. It is undone by itself, said, and on the ledger; rules that are not
// Cordon's stay as they are.
func TestTheDeadMansBypassLeadsToTheArchiveWhileCordonIsDown(t *testing.T) {
	w := newWard(t)
	launch(t, "ip", in(w.archive, "storescp", "-aet", "ARCHIVE", "--unique-filenames", "-od", w.stored, "11112")...)
	run(t, "ip", in(w.cordon, "nft", "add table inet hospital; add chain inet hospital input { type filter hook input priority 0; }; add rule inet hospital input tcp dport 9 drop")...)
	hospital := run(t, "ip", in(w.cordon, "nft", "list", "table", "inet", "hospital")...)

	p := w.start(t)
	watcher := launch(t, "ip", in(w.cordon, cordonProgram(t), "deadman", "watch", "--config", w.config)...)
	await(t, "the watcher", func() bool { return strings.Contains(watcher.printed(), `"msg":"watching"`) })
	if out, err := w.send(t); err != nil || w.arrived(t) != 1 {
		t.Fatalf("through Cordon: %v, %d arrived\n%s", err, w.arrived(t), out)
	}
	if w.open(t) {
		t.Fatal("the bypass is open while Cordon answers")
	}

	p.kill()
	killed := time.Now()
	if _, err := w.send(t); err == nil {
		t.Error("stored although nobody listens, and before the time has passed")
	}
	await(t, "the bypass", func() bool { return w.open(t) })
	if after := time.Since(killed); after < 4*time.Second {
		t.Errorf("open after %v already", after)
	}
	out, err := w.send(t)
	if err != nil || w.arrived(t) != 2 {
		t.Fatalf("past Cordon: %v, %d arrived\n%s", err, w.arrived(t), out)
	}
	t.Logf("the archive was reached %v after Cordon was killed", time.Since(killed).Round(100*time.Millisecond))

	p = w.start(t)
	back := time.Now()
	await(t, "the bypass to be undone", func() bool { return !w.open(t) })
	t.Logf("undone %v after Cordon was ready", time.Since(back).Round(100*time.Millisecond))
	if out, err := w.send(t); err != nil || w.arrived(t) != 3 {
		t.Fatalf("through Cordon again: %v, %d arrived\n%s", err, w.arrived(t), out)
	}
	await(t, "the ledger", func() bool {
		said, err := w.cli(t, "ledger", "tail", "-n", "100", "--json")
		return err == nil && strings.Count(said, `"kind":"deadman.opened"`) == 1 && strings.Count(said, `"kind":"deadman.closed"`) == 1
	})
	if said, err := w.cli(t, "status"); err == nil || !strings.Contains(said, "Images went past Cordon to archive pacs, uninspected, once") {
		t.Errorf("the status does not say so: %v\n%s", err, said)
	}
	if said, err := w.cli(t, "deadman", "review", "--as", "Ada Ashe", "--reason", "the study was inspected in the archive"); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
	if said, _ := w.cli(t, "status"); strings.Contains(said, "past Cordon") {
		t.Errorf("still an alarm:\n%s", said)
	}

	// A watcher that is killed leaves nothing that lasts; one that stops leaves nothing.
	p.kill()
	await(t, "the bypass", func() bool { return w.open(t) })
	watcher.kill()
	if rules := run(t, "ip", in(w.cordon, "nft", "list", "table", "inet", "cordon_deadman")...); !strings.Contains(rules, "timeout 30s") {
		t.Errorf("it does not lapse by itself:\n%s", rules)
	}
	watcher = launch(t, "ip", in(w.cordon, cordonProgram(t), "deadman", "watch", "--config", w.config)...)
	await(t, "the bypass, taken over", func() bool { return strings.Contains(watcher.printed(), "uninspected") && w.open(t) })
	if code := watcher.terminate(); code != 0 {
		t.Errorf("exit code %d: %s", code, watcher.log())
	}
	if w.open(t) {
		t.Error("the watcher has stopped, and the bypass stands")
	}
	if now := run(t, "ip", in(w.cordon, "nft", "list", "table", "inet", "hospital")...); now != hospital {
		t.Errorf("rules of others have changed:\n%s\nwere:\n%s", now, hospital)
	}
}
