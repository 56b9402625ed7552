package gateway

import (
	"context"
	"io"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"cordon/custody"
	"cordon/dicom/dimse"
	"cordon/engine"
	"cordon/finding"
	"cordon/judge"
	"cordon/policy"
	"cordon/store"
)

// slowEngine says what it is told to, once it is let.
type slowEngine struct {
	result atomic.Value // finding.Result
	asked  atomic.Int32
	bytes  atomic.Int64
}

func newSlowEngine() *slowEngine {
	e := &slowEngine{}
	e.result.Store(finding.Unscanned)
	return e
}

func (*slowEngine) Name() string                       { return "slow" }
func (*slowEngine) Signatures(context.Context) string  { return "" }
func (*slowEngine) State(context.Context) engine.State { return engine.State{Name: "slow", Up: true} }
func (e *slowEngine) Scan(_ context.Context, r io.Reader, size int64) finding.EngineResult {
	e.asked.Add(1)
	n, _ := io.Copy(io.Discard, r)
	e.bytes.Add(n)
	return finding.EngineResult{Name: "slow", Result: e.result.Load().(finding.Result), Detail: "as told"}
}

// contained is a house in which the device us1 is contained.
func contained(t *testing.T, dir string, e judge.Engine, rules policy.Rules) *house {
	t.Helper()
	a := newScriptedArchive(t)
	h := open(t, dir, config(a.address, func(c *Config) {
		c.Site.Devices = []policy.Device{{Name: "us1", AETitle: "CT1", Addresses: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Monitor: true}}
	}), func(_ *house, p *Parts) {
		p.Paranoid = func(device string, _ netip.Addr) bool { return device == "us1" }
		p.Bypassed = func(string, string) bool { return true }
		p.Judge = judge.New(judge.Config{Rules: rules, Engines: []judge.Engine{e}})
	})
	h.archive = a
	return h
}

// scanUntil has everything that waits be scanned at once, and again: a scan that is
// under way may yet put it off.
func (h *house) scanUntil(t *testing.T, what string, is func() bool) {
	t.Helper()
	eventually(t, what, func() bool { h.scanNow(); return is() })
}

// scanNow has everything that waits be scanned at once.
func (h *house) scanNow() {
	h.t.Helper()
	err := h.db.Update(context.Background(), awaitNow)
	if err != nil {
		h.t.Fatal(err)
	}
	h.gateway.scanner.wakeUp()
}

func TestContainedDeviceIsAnsweredBeforeTheScanAndDeliveredAfterIt(t *testing.T) {
	e := newSlowEngine()
	h := contained(t, t.TempDir(), e, policy.DefaultRules())
	m := h.modality()
	im, second := newImage(t, []byte("a private value for the engine")), newImage(t, nil)
	for _, i := range []image{im, second} {
		if rsp := send(t, m, i); rsp.Status != dimse.Success {
			t.Fatalf("status %04X", uint16(rsp.Status))
		}
	}
	release(t, m)
	eventually(t, "scans that fail", func() bool { return e.asked.Load() >= 2 })
	time.Sleep(300 * time.Millisecond)
	if len(h.archive.has()) != 0 {
		t.Fatal("an object was delivered that no engine has scanned")
	}
	if all := h.inState(custody.Spooled); len(all) != 2 || !all[0].AwaitsScan {
		t.Fatalf("%+v", all)
	}
	e.result.Store(finding.Clean)
	h.scanUntil(t, "the deliveries", func() bool { return h.archive.holds(im) && h.archive.holds(second) })
	if n := e.bytes.Load(); n < int64(len(im.data))/2 {
		t.Errorf("the engine saw %d bytes of %d: pixel data too was to be scanned", n, len(im.data))
	}
	if n := len(h.recorded("object.scanned")); n != 2 {
		t.Errorf("%d scans on the ledger", n)
	}
}

func TestContainedDevicesSuspiciousObjectsAreHeld(t *testing.T) {
	e := newSlowEngine()
	e.result.Store(finding.Clean)
	rules := policy.DefaultRules()
	rules.Suspicious, rules.Malicious, rules.Unparseable, rules.Monitor = policy.Deliver, policy.Deliver, policy.Deliver, true
	h := contained(t, t.TempDir(), e, rules)
	m := h.modality()
	send(t, m, newImage(t, []byte(eicar)))
	release(t, m)
	if len(h.inState(custody.Held)) != 1 || len(h.archive.has()) != 0 {
		t.Error("monitor mode, a bypass and rules that deliver stand above containment")
	}
}

func TestWhatAnEngineFindsOfAContainedDeviceIsHeld(t *testing.T) {
	e := newSlowEngine()
	e.result.Store(finding.ResultMalicious)
	h := contained(t, t.TempDir(), e, policy.DefaultRules())
	m := h.modality()
	if rsp := send(t, m, newImage(t, []byte("found by the engine alone"))); rsp.Status != dimse.Success {
		t.Fatalf("status %04X", uint16(rsp.Status))
	}
	release(t, m)
	eventually(t, "it to be held", func() bool { return len(h.inState(custody.Held)) == 1 })
	if len(h.archive.has()) != 0 {
		t.Error("it was delivered")
	}
}

// What a crash leaves between the answer and the scan is scanned before it is
// delivered, and so is what it leaves while a scan is under way.
func TestUnscannedWaitsAcrossACrash(t *testing.T) {
	dir, e := t.TempDir(), newSlowEngine()
	h := contained(t, dir, e, policy.DefaultRules())
	m := h.modality()
	im := newImage(t, []byte("for the engine"))
	send(t, m, im)
	release(t, m)
	h.stop()

	e = newSlowEngine()
	h = contained(t, dir, e, policy.DefaultRules())
	h.scanUntil(t, "a scan after the restart", func() bool { return e.asked.Load() > 0 })
	if len(h.archive.has()) != 0 {
		t.Fatal("delivered unscanned after a restart")
	}
	e.result.Store(finding.Clean)
	h.scanUntil(t, "the delivery", func() bool { return h.archive.holds(im) })
}

func TestAPersonLetsUnscannedObjectsPass(t *testing.T) {
	h := contained(t, t.TempDir(), newSlowEngine(), policy.DefaultRules())
	c := &copies{t: t}
	h.gateway.parts.Passed = c.passed
	m := h.modality()
	im := newImage(t, []byte("for the engine"))
	send(t, m, im)
	release(t, m)
	if n, err := h.gateway.PassUnscanned(t.Context(), "us2", custody.Request{By: "A. Able", Reason: "engine is down"}); n != 0 || err != nil {
		t.Error(n, err)
	}
	n, err := h.gateway.PassUnscanned(t.Context(), "us1", custody.Request{By: "A. Able", Reason: "engine is down"})
	if n != 1 || err != nil {
		t.Fatal(n, err)
	}
	eventually(t, "the delivery", func() bool { return h.archive.holds(im) })
	if len(c.objects) != 1 || len(h.recorded("object.passed_unscanned")) != 1 {
		t.Errorf("%d copies to be judged again, %v", len(c.objects), h.recorded("object.passed_unscanned"))
	}
}

func awaitNow(tx *store.Tx) error {
	_, err := tx.Exec(`UPDATE custody_objects SET awaits_scan = 1 WHERE awaits_scan > 0`)
	return err
}

// However many objects of other devices wait in front of a device's own.
func TestAPersonLetsUnscannedObjectsPassBehindManyOthers(t *testing.T) {
	h := contained(t, t.TempDir(), newSlowEngine(), policy.DefaultRules())
	m := h.modality()
	im := newImage(t, []byte("for the engine"))
	send(t, m, im)
	release(t, m)
	soon := time.Now().Add(time.Hour)
	err := h.db.Update(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.Exec(`UPDATE custody_objects SET awaits_scan = ?`, soon.Add(time.Hour).UnixMicro()); err != nil {
			return err
		}
		for _, step := range []string{ // 10,000 more and some
			`CREATE TEMP TABLE other AS SELECT * FROM custody_objects`,
			`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10001) INSERT INTO other SELECT other.* FROM other, n`,
			`DELETE FROM other WHERE rowid = 1`,
			`UPDATE other SET seq = seq + rowid, id = id || rowid, device = 'us2'`,
			`INSERT INTO custody_objects SELECT * FROM other`,
			`DROP TABLE other`,
		} {
			if _, err := tx.Exec(step); err != nil {
				return err
			}
		}
		_, err := tx.Exec(`UPDATE custody_objects SET awaits_scan = ? WHERE device = 'us2'`, soon.UnixMicro())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	n, err := h.gateway.PassUnscanned(t.Context(), "us1", custody.Request{By: "A. Able", Reason: "engine is down"})
	if n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if n, _, err := h.gateway.parts.Custody.AwaitingOf(t.Context(), "us2"); n != 10_001 || err != nil {
		t.Error(n, err)
	}
}
