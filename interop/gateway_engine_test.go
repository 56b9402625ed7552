package interop

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cordon/inspect/compose"
)

// withClamd is a Cordon in front of its folder that asks c about every piece.
func withClamd(t *testing.T, c *clamd, unscanned string) *cordon {
	t.Helper()
	guard := newCordon(t, nil)
	text, err := os.ReadFile(guard.config)
	if err != nil {
		t.Fatal(err)
	}
	write(t, guard.config, string(text)+"engines: {clamd: {address: '"+c.unix+"', timeout: 5s}}\npolicy: {unscanned: "+unscanned+"}\n")
	guard.start(t)
	return guard
}

// sendObject stores an object with cordon send and expects success.
func (c *cordon) sendObject(t *testing.T, o *compose.Object) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "object.dcm")
	write(t, path, string(o.File()))
	if said := cordonCommand(t, "send", "--called", string(c.AETitle), c.Address, path); said.code != 0 {
		t.Fatalf("cordon send: %s%s", said.out, said.err)
	}
}

// onlyClamdKnows hides what no inspector of ours objects to: a DICOM file whose preamble begins with the letters MZ alone.
func onlyClamdKnows() *compose.Object {
	o := compose.CT(64, 64)
	compose.PrivateOB.Put(o, polyglot())
	return o
}

func TestEngineHitIsHeldAndNamed(t *testing.T) {
	c := startClamd(t)
	guard := withClamd(t, c, "deliver")
	clean, hostile := compose.CT(64, 64), onlyClamdKnows()
	guard.sendObject(t, clean)
	guard.sendObject(t, hostile)
	held := guard.held(t)
	if len(held) != 1 {
		t.Fatalf("held: %+v", held)
	}
	for _, item := range held {
		found := false
		for _, f := range item.Findings {
			found = found || f.ID == "engine-detection" && strings.HasPrefix(f.Where, "(0009,")
		}
		if !found {
			t.Errorf("findings: %+v", item.Findings)
		}
	}
	if s := guard.status(t); s.Objects.Delivered != 1 || s.Objects.Held != 1 {
		t.Errorf("%+v", s.Objects)
	}
	if said := guard.cli(t, "status"); !strings.Contains(said.out, "clamd") {
		t.Errorf("status does not name the engine: %s", said.out)
	}
}

// What was delivered while clamd was away is scanned when it is back: the clean object is forgotten, the other one is to be
// recalled, with a copy in the vault as evidence.
func TestEngineThatIsDownDoesNotStopImaging(t *testing.T) {
	c := startClamd(t)
	guard := withClamd(t, c, "deliver")
	c.kill()
	clean, hostile := compose.CT(64, 64), onlyClamdKnows()
	compose.PrivateOB.Put(clean, noise(10000))
	guard.sendObject(t, clean)
	guard.sendObject(t, hostile)
	if s := guard.status(t); s.Objects.Delivered != 2 || s.Level != "degraded" || s.Rescan.Waiting != 2 {
		t.Errorf("level %s, %+v, %+v", s.Level, s.Objects, s.Rescan)
	}
	await(t, "the ledger to say that they were not scanned", func() bool {
		return strings.Count(guard.cli(t, "ledger", "tail", "--json").out, "unscanned: clamd") == 2
	})
	guard.process.kill() // the copies are there after a crash, too
	guard.start(t)

	c.start(t)
	await(t, "the late hit", func() bool { return guard.status(t).Rescan.Recalls == 1 })
	await(t, "the other copy's end", func() bool { return guard.status(t).Rescan.Waiting == 0 })
	recall := guard.cli(t, "recall", "list", "--json").out
	var hit struct {
		Instance string `json:"sop_instance_uid"`
		Study    string `json:"study_instance_uid"`
		ID       string
		VaultID  string `json:"vault_id"`
		Engines  []struct{ Detail string }
	}
	if err := json.Unmarshal([]byte(recall), &hit); err != nil || hit.Instance != string(hostile.Instance) || hit.Study != string(hostile.Study) ||
		len(hit.Engines) != 1 || hit.Engines[0].Detail != "YARA.polyglot.UNOFFICIAL" {
		t.Errorf("%v: %s", err, recall)
	}
	if held := guard.held(t); len(held) != 1 || held[hit.Instance].ID != hit.VaultID {
		t.Errorf("the evidence: %+v", held)
	}
	if said := guard.cli(t, "status"); said.code != 1 || !strings.Contains(said.out, "1 object was delivered before it was found harmful: recall it") {
		t.Errorf("status: %d, %s", said.code, said.out)
	}
	if said := guard.cli(t, "recall", "done", hit.ID, "--as", "Ada Ashe", "--reason", "deleted in the archive"); said.code != 0 {
		t.Errorf("%+v", said)
	}
	if s := guard.status(t); s.Level != "well" {
		t.Errorf("%+v", s)
	}
	guard.sendObject(t, onlyClamdKnows())
	if n := len(guard.held(t)); n != 2 {
		t.Errorf("%d held after the engine is back, want 2", n)
	}
	if n := strings.Count(guard.cli(t, "ledger", "tail", "-n", "1000", "--json").out, `"kind":"object.late_hit"`); n != 1 {
		t.Errorf("%d late hits on the ledger, want 1", n)
	}
}

func TestUnscannedIsHeldByPolicy(t *testing.T) {
	c := startClamd(t)
	guard := withClamd(t, c, "hold")
	c.kill()
	guard.sendObject(t, onlyClamdKnows())
	if n := len(guard.held(t)); n != 1 {
		t.Errorf("%d held, want 1", n)
	}
}
