package interop

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cordon/interop/lab"
)

// visited is a hospital with zones, and the Cordon on its router.
type visited struct {
	*lab.Hospital
	config  string
	process *process
}

func newVisited(t *testing.T) *visited {
	t.Helper()
	dir := t.TempDir()
	h := &visited{Hospital: lab.New(t, lab.Routed), config: filepath.Join(dir, "cordon.yaml")}
	write(t, h.config, fmt.Sprintf(`data: %s
gateway: {listen: '%s:104'}
archives: [{name: pacs, ae_title: ARCHIVE, address: '%s:11112'}]
devices:
  - {name: us-1, ae_title: US1, addresses: [%s], flows: [{purpose: time, to: [%s], protocol: udp, port: 123, needed: true}]}
  - {name: us-2, ae_title: US2, addresses: [%s]}
plan:
  zones:
    - {name: modalities, networks: [%s, %s]}
    - {name: archive, networks: [%s]}
    - {name: visitors, networks: [%s, '%s']}
  management: [%s]
`, filepath.Join(dir, "data"), h.Router.Addr, h.Archive.Addr, h.US1.Addr, h.Services.Addr, h.US2.Addr, h.US1.Network, h.US2.Network, h.Archive.Network, h.Laptop.Network, h.Laptop.Network6, h.Workstation.Addr))
	h.start(t)
	for _, s := range []*lab.Host{h.US1, h.US2, h.Archive} {
		s.Expose(t, 80, 445)
	}
	return h
}

func (h *visited) start(t *testing.T) {
	t.Helper()
	h.process = launch(t, "ip", h.Router.Command(cordonProgram(t), "up", "--config", h.config)[1:]...)
	await(t, "Cordon", func() bool { return strings.Contains(h.process.printed(), `"msg":"ready"`) })
}

func (h *visited) cli(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return h.Router.Try(append([]string{cordonProgram(t)}, append(args, "--config", h.config)...)...)
}

func (h *visited) must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := h.cli(t, args...)
	if err != nil {
		t.Fatalf("cordon %q: %v\n%s", args, err, out)
	}
	return out
}

// reaches reports whether a host opens a connection.
func reaches(from *lab.Host, to netip.Addr, port int) bool {
	c, err := from.Dial(net.JoinHostPort(to.String(), fmt.Sprint(port)), time.Second)
	if err == nil {
		c.Close()
	}
	return err == nil
}

// X7: a vendor's laptop reaches nothing without a ticket; with one it reaches what the
// ticket names, from the machine that the ticket is for, until it ends.
func TestNoTicketNoRoute(t *testing.T) {
	t.Parallel()
	h := newVisited(t)
	if reaches(h.Laptop, h.US1.Addr, 80) || reaches(h.Laptop, h.Archive.Addr, 80) || reaches(h.Laptop, h.US1.Addr6, 80) {
		t.Fatal("a visitor reaches something without a ticket")
	}
	if !reaches(h.US2, h.US1.Addr, 80) {
		t.Fatal("without a plan, a device does not reach another")
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "declaration.txt"), "clean, and we are liable")
	stick := filepath.Join(dir, "stick")
	if err := os.Mkdir(stick, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(stick, "readme.txt"), "adjust the probe")
	report, err := h.cli(t, "import", "--json", stick)
	if err != nil {
		t.Fatalf("%v\n%s", err, report)
	}
	write(t, filepath.Join(dir, "report.json"), report)

	open := []string{"ticket", "open", "--kind", "laptop", "--sponsor", "Ada Ashe", "--purpose", "probe adjustment", "--address", h.Laptop.Addr.String(), "--to", "us-1:80", "--for", "4h", "--as", "Ada Ashe"}
	if said, err := h.cli(t, open...); err == nil || !strings.Contains(said, "the declaration") || !strings.Contains(said, "the inspection") {
		t.Errorf("opened without documents: %v\n%s", err, said)
	}
	open = append(open, "--declaration", filepath.Join(dir, "declaration.txt"), "--inspected", filepath.Join(dir, "report.json"))
	h.must(t, open...)
	if !reaches(h.Laptop, h.US1.Addr, 80) || reaches(h.Laptop, h.US1.Addr, 445) || reaches(h.Laptop, h.US2.Addr, 80) || reaches(h.US1, h.Laptop.Addr, 80) {
		t.Error("what it names is not open, or something else is")
	}
	shown := h.must(t, "ticket", "show", "1")
	if !strings.Contains(shown, "on the ledger with just these numbers") || !strings.Contains(shown, h.Laptop.MAC.String()) {
		t.Errorf("the ticket:\n%s", shown)
	}

	// The kernel ends it without Cordon; a restart keeps what is left.
	h.process.kill()
	if rules := h.Router.Run(t, "nft", "list", "table", "inet", "cordon"); !strings.Contains(rules, "expires 3h59m") {
		t.Errorf("it would not end by itself:\n%s", rules)
	}
	if !reaches(h.Laptop, h.US1.Addr, 80) || reaches(h.Laptop, h.US2.Addr, 80) {
		t.Error("without Cordon: closed, or wide open")
	}
	h.start(t)
	if !reaches(h.Laptop, h.US1.Addr, 80) || reaches(h.Laptop, h.US2.Addr, 80) {
		t.Error("after a restart: closed, or wide open")
	}

	// Another machine at its address gets nothing, and ends it.
	h.Laptop.Run(t, "ip", "link", "set", "eth0", "address", "02:77:00:00:66:66")
	h.Laptop.Run(t, "ip", "route", "replace", "default", "via", "10.77.50.1")
	if reaches(h.Laptop, h.US1.Addr, 80) {
		t.Error("another machine with its address passes")
	}
	await(t, "the ticket's end", func() bool { return strings.Contains(h.must(t, "ticket", "show", "1"), "another machine") })
	said := h.must(t, "ledger", "tail", "-n", "200", "--json")
	if strings.Count(said, `"kind":"ticket.opened"`) != 1 || strings.Count(said, `"kind":"ticket.closed"`) != 1 {
		t.Errorf("on the ledger:\n%s", said)
	}
}

// A plan is tried in shadow, which says who would be stopped, then enforced on trial:
// what is not needed stops, images go on, and nobody is locked out.
func TestThePlanStopsWhatNobodyNeeds(t *testing.T) {
	t.Parallel()
	h := newVisited(t)
	shown := h.must(t, "plan", "show")
	if !strings.Contains(shown, "udp 123") || !strings.Contains(shown, "us-1") || !strings.Contains(shown, "closed without a ticket") {
		t.Fatalf("the plan:\n%s", shown)
	}
	if again := h.must(t, "plan", "show"); again != shown {
		t.Errorf("another plan the second time:\n%s\nwas:\n%s", again, shown)
	}
	digest, _, _ := strings.Cut(strings.TrimPrefix(shown, "plan "), ":")
	order := []string{"--digest", digest, "--as", "Ada Ashe", "--reason", "segmentation"}
	if said, err := h.cli(t, append([]string{"plan", "enforce", "--as", "Ada Ashe", "--reason", "now", "--digest"}, "0000000000000000")...); err == nil || !strings.Contains(said, "has changed") {
		t.Errorf("another digest: %v\n%s", err, said)
	}
	h.must(t, append([]string{"plan", "shadow"}, order...)...)
	if !reaches(h.US1, h.US2.Addr, 445) {
		t.Error("shadow stops something")
	}
	await(t, "the hit", func() bool {
		said := h.must(t, "plan", "hits")
		return strings.Contains(said, "us-1") && strings.Contains(said, "tcp 445")
	})

	h.must(t, append([]string{"plan", "enforce"}, order...)...)
	if reaches(h.US1, h.US2.Addr, 445) || reaches(h.General, h.US1.Addr, 80) {
		t.Error("enforced, and what is not needed passes")
	}
	if !reaches(h.US1, h.Router.Addr, 104) || !reaches(h.Workstation, h.US1.Addr, 80) {
		t.Error("images, or who administers, are cut off")
	}
	if rules := h.Router.Run(t, "nft", "list", "table", "inet", "cordon"); !strings.Contains(rules, "expires 1m") {
		t.Errorf("the kernel would not undo it:\n%s", rules)
	}
	h.must(t, "plan", "confirm", "--as", "Ada Ashe", "--reason", "all rooms scan")
	h.process.kill()
	h.start(t)
	if reaches(h.US1, h.US2.Addr, 445) || !reaches(h.US1, h.Router.Addr, 104) {
		t.Error("after a restart it is not as it was")
	}
	h.must(t, "plan", "off", "--as", "Ada Ashe", "--reason", "the test is over")
	if !reaches(h.US1, h.US2.Addr, 445) || reaches(h.Laptop, h.US1.Addr, 80) {
		t.Error("off: something is stopped still, or visitors are let in")
	}
}
