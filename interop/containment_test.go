package interop

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"cordon/interop/lab"
)

// contain has a person contain a device.
func (h *labHospital) contain(device string, more ...string) (string, error) {
	return h.cli(append([]string{"device", "contain", device, "--yes", "--as", "A. Able", "--reason", "worm"}, more...)...)
}

// enforced reports whether the router's rules hold a device.
func (h *labHospital) enforced() bool {
	out, err := h.Router.Try("nft", "list", "table", "inet", "cordon")
	return err == nil && strings.Contains(out, h.US1.Addr.String())
}

// A contained device stays contained while Cordon is dead and while it starts, sends
// its images once it is back, and gets back exactly what it had.
func TestContainmentOutlivesCordon(t *testing.T) {
	t.Parallel()
	h := newLabHospital(t, lab.Routed, "")
	h.Router.Run(t, "nft", "table inet hospital { chain input { type filter hook input priority 0; tcp dport 9 drop; }; }")
	h.start()
	before := h.rules()
	out, err := h.contain("us-1")
	if err != nil {
		t.Fatal(err, out)
	}
	for _, want := range []string{"goes on: images, worklist", "goes on: dns udp 53", "us-1 is contained (image_only), stays until it is restored"} {
		if !strings.Contains(out, want) {
			t.Errorf("without %q:\n%s", want, out)
		}
	}
	h.General.Expose(t, 445)
	forbidden := h.General.Count(t, h.US1)
	worm := h.US1.Infect(t, []netip.AddrPort{netip.AddrPortFrom(h.General.Addr, 445)}, 100)
	files := h.images(6, 64)
	if shots := h.scan(t.Context(), h.US1, "US1", files[:3], time.Millisecond); firstError(shots) != nil {
		t.Fatal(firstError(shots))
	}
	h.cordon.kill()
	time.Sleep(time.Second)
	h.start()
	if shots := h.scan(t.Context(), h.US1, "US1", files[3:], time.Millisecond); firstError(shots) != nil {
		t.Fatal(firstError(shots))
	}
	worm.Stop()
	if n := forbidden.Packets(t); n != 0 || worm.Tries() < 10 {
		t.Errorf("%d forbidden packets of %d tries arrived, while Cordon was there, dead and back", n, worm.Tries())
	}
	await(t, "all images in the archive", func() bool { return h.archived() == len(files) })
	h.restore("us-1")
	if now := h.rules(); now != before {
		t.Errorf("the rules differ after restore:\n%s\n--- before:\n%s", now, before)
	}
}

// Killed at any moment of an order: what is on the ledger is in effect after the next
// start, and what is not on it is not.
func TestKilledBetweenTheOrderAndItsEffect(t *testing.T) {
	t.Parallel()
	h := newLabHospital(t, lab.Routed, "")
	points := 6
	if n, err := strconv.Atoi(os.Getenv("CORDON_KILLS")); err == nil {
		points = n
	}
	h.start()
	before := h.rules()
	applied := 0
	for i := range points {
		device := "us-1"
		done := make(chan struct{})
		go func() { // ends with the command, which ends with Cordon
			defer close(done)
			h.contain(device)
		}()
		time.Sleep(time.Duration(rand.IntN(110)) * time.Millisecond)
		h.cordon.kill()
		<-done
		h.start()
		ordered := len(h.said("containment.ordered")) > len(h.said("containment.restored"))
		if got := h.enforced(); got != ordered {
			t.Fatalf("point %d: ordered %t, enforced %t", i, ordered, got)
		}
		if !ordered {
			continue
		}
		if applied++; len(h.said("containment.applied")) != applied {
			t.Errorf("point %d: the outcome is not on the ledger", i)
		}
		h.restore(device)
		if now := h.rules(); now != before {
			t.Fatalf("point %d: the rules differ after restore:\n%s", i, now)
		}
	}
	t.Logf("%d points, %d with an order on the ledger", points, applied)
}

func TestRulesThatOthersFlushAreBack(t *testing.T) {
	t.Parallel()
	h := newLabHospital(t, lab.Routed, "")
	h.start()
	if out, err := h.contain("us-1"); err != nil {
		t.Fatal(err, out)
	}
	began := time.Now()
	h.Router.Run(t, "nft", "flush", "ruleset")
	await(t, "the rules", h.enforced)
	t.Logf("back after %v", time.Since(began))
	await(t, "a record", func() bool { return len(h.said("firewall.changed")) == 1 })
	if r := h.said("firewall.changed")[0]; r.Body["restored"] != true || !strings.Contains(fmt.Sprint(r.Body["program"]), "nft") {
		t.Errorf("%+v", r.Body)
	}
	h.Router.Run(t, "nft", "flush", "ruleset")
	await(t, "a loud one", func() bool { return len(h.said("firewall.changed")) == 2 })
	out, err := h.cli("firewall", "status")
	if err != nil || !strings.Contains(out, "NOT as they should be") {
		t.Error(err, out)
	}
	if out, err := h.cli("firewall", "apply", "--as", "A. Able", "--reason", "found who it was"); err != nil || !h.enforced() {
		t.Error(err, out)
	}
}

// What a contained device sends is acknowledged at once and not delivered before an
// engine has scanned it, across a kill; a person may let it pass.
func TestUnscannedImagesOfAContainedDeviceWait(t *testing.T) {
	t.Parallel()
	h := newLabHospital(t, lab.Routed, "engines: {clamd: {address: '127.0.0.1:1'}}\n")
	h.start()
	if out, err := h.contain("us-1", "--for", "4h"); err != nil {
		t.Fatal(err, out)
	}
	files := h.images(4, 64)
	if shots := h.scan(t.Context(), h.US1, "US1", files[:2], time.Millisecond); firstError(shots) != nil {
		t.Fatal(firstError(shots))
	}
	h.cordon.kill()
	h.start()
	if shots := h.scan(t.Context(), h.US1, "US1", files[2:], time.Millisecond); firstError(shots) != nil {
		t.Fatal(firstError(shots))
	}
	time.Sleep(2 * time.Second)
	if n := h.archived(); n != 0 {
		t.Errorf("%d images were delivered that no engine has scanned", n)
	}
	out, err := h.cli("device", "unscanned", "us-1", "--as", "A. Able", "--reason", "the engine is down and the surgeon waits")
	if err != nil || !strings.Contains(out, "4 objects") {
		t.Error(err, out)
	}
	await(t, "the images", func() bool { return h.archived() == len(files) })
}

func TestArchiveAndThisMachineAreNeverContained(t *testing.T) {
	t.Parallel()
	h := newLabHospital(t, lab.Routed, "")
	h.start()
	before := h.rules()
	for _, name := range []string{"archive pacs", "this machine"} {
		if out, err := h.contain(name); err == nil || !strings.Contains(out, "never contained") {
			t.Errorf("%s: %v %s", name, err, out)
		}
	}
	if now := h.rules(); now != before {
		t.Error(now)
	}
}
