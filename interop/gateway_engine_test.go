package interop

import (
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

func TestEngineThatIsDownDoesNotStopImaging(t *testing.T) {
	c := startClamd(t)
	guard := withClamd(t, c, "deliver")
	c.kill()
	guard.sendObject(t, onlyClamdKnows())
	if s := guard.status(t); s.Objects.Delivered != 1 || s.Level != "degraded" {
		t.Errorf("level %s, %+v", s.Level, s.Objects)
	}
	await(t, "the ledger to say that it was not scanned", func() bool {
		return strings.Contains(guard.cli(t, "ledger", "tail", "--json").out, "unscanned: clamd")
	})

	c.start(t)
	await(t, "the engine's return", func() bool { return guard.status(t).Level == "well" })
	guard.sendObject(t, onlyClamdKnows())
	if n := len(guard.held(t)); n != 1 {
		t.Errorf("%d held after the engine is back, want 1", n)
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
