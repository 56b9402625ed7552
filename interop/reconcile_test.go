package interop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
)

// accounting is what `cordon status --reconcile --json` says.
type accounting struct {
	Well     bool
	Missing  int
	Says     []string
	Custody  struct{ Spooled, Held, Alarms, Unaccounted int }
	Cut      struct{ Associations, Studies, Instances, Unrecorded, Open int }
	Archives []struct {
		How              string
		Present, Missing int
	}
}

func (c *cordon) reconcile(t *testing.T) (a accounting, code int) {
	t.Helper()
	said := c.cli(t, "status", "--reconcile", "--json")
	if err := json.Unmarshal([]byte(said.out), &a); err != nil {
		t.Fatalf("cordon status --reconcile: %d: %v in %q, %s", said.code, err, said.out, said.err)
	}
	return a, said.code
}

// onLedger lists the instances that the ledger names as delivered, kept, or found in an archive after a crash.
func (c *cordon) onLedger(t *testing.T) map[string]bool {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ledger")
	if said := c.cli(t, "ledger", "export", "--output", file); said.code != 0 {
		t.Fatalf("cordon ledger export: %d: %s", said.code, said.err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		var r struct {
			Kind string
			Body struct {
				One string   `json:"sop_instance_uid"`
				All []string `json:"sop_instance_uids"`
			}
		}
		if json.Unmarshal([]byte(line), &r) != nil {
			continue // the header, the signature
		}
		switch r.Kind {
		case "object.delivered", "object.spooled", "object.held":
			named[r.Body.One] = true
		case "association.accounted":
			for _, uid := range r.Body.All {
				named[uid] = true
			}
		}
	}
	return named
}

// The records of an association's last second may be lost in a crash. After it the archive is asked, and then the ledger
// names every instance that was acknowledged.
func TestAfterACrashTheLedgerNamesEverythingAcknowledged(t *testing.T) {
	t.Parallel()
	tr := newTrial(t)
	tr.archive.up(t)
	tr.start(t)
	for range runs(3, 20) {
		stop := tr.flood(t, 4)
		time.Sleep(700 * time.Millisecond)
		tr.process.kill()
		stop()
		tr.start(t)
		a, code := tr.reconcile(t)
		if code != 0 {
			t.Fatalf("%d: %q", code, a.Says)
		}
		named := tr.onLedger(t)
		tr.mu.Lock()
		for uid, s := range tr.sent {
			if s.told && !named[uid] {
				t.Errorf("%s was acknowledged, and the ledger does not name it", uid)
			}
		}
		tr.mu.Unlock()
	}
	said := tr.cli(t, "ledger", "tail", "-n", "10000")
	cut := strings.Count(said.out, "association.accounted")
	t.Logf("%d acknowledged, all named; %d studies of associations that were cut short were asked about", tr.acknowledged(), cut)
	if cut == 0 {
		t.Error("no association was cut short: this shows nothing")
	}
}

// Killed right after the first success of a study, while nothing else is written: that the study went to the archive is on
// the ledger, and the rest is asked.
func TestTheFirstAcknowledgedOfAStudyIsFound(t *testing.T) {
	t.Parallel()
	tr := newTrial(t)
	tr.archive.up(t)
	for n := range runs(2, 10) {
		tr.start(t)
		time.Sleep(time.Second) // what the start writes is written
		s := tr.next(fmt.Sprintf("2.25.%d.1", n+1), 0)
		as, err := ul.Dial(t.Context(), tr.Address, nil, ul.Request{Calling: "CT1", Called: tr.AETitle, Contexts: []ul.ProposedContext{
			{ID: 1, AbstractSyntax: s.class, TransferSyntaxes: []dicom.UID{s.syntax}},
		}}, ul.Limits{ARTIM: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		conn := dimse.NewConn(as)
		rsp, err := conn.Store(t.Context(), 1, dimse.StoreRequest{SOPClassUID: s.class, SOPInstanceUID: s.instance}, bytes.NewReader(s.data))
		tr.process.kill()
		conn.Close()
		if err != nil || rsp.Status != dimse.Success {
			t.Fatalf("%04X, %v", uint16(rsp.Status), err)
		}
		tr.start(t)
		a, code := tr.reconcile(t)
		if code != 0 || !tr.onLedger(t)[string(s.instance)] {
			t.Errorf("round %d: %s was acknowledged, and the ledger does not name it: %d, %q", n, s.instance, code, a.Says)
		}
		tr.process.kill()
	}
}

// A disaster: Cordon is killed, its archive has lost some of what it answered success for, and a blob is gone. The
// accounting finds each, says so in one command, and takes it back when it is put right.
func TestTheAccountingFindsWhatADisasterTook(t *testing.T) {
	t.Parallel()
	tr := newTrial(t)
	tr.archive.up(t)
	tr.start(t)
	stop := tr.flood(t, 3)
	await(t, "some objects to be acknowledged", func() bool { return tr.acknowledged() >= 60 })
	tr.process.kill()
	stop()
	tr.start(t)
	if a, code := tr.reconcile(t); code != 0 || !a.Well {
		t.Fatalf("before: %d: %q", code, a.Says)
	}

	before := tr.names()
	stop = tr.flood(t, 2)
	await(t, "more objects to be acknowledged", func() bool { return tr.acknowledged() >= 120 })
	stop()
	time.Sleep(700 * time.Millisecond) // their records are on the ledger
	tr.process.kill()
	lost := tr.archive.lose(3, func(uid string) bool { return !before[uid] }) // it had not synced them, say
	blob := someBlob(t, tr.Dir)
	if err := os.Rename(blob, blob+".away"); err != nil {
		t.Fatal(err)
	}
	tr.start(t)
	a, code := tr.reconcile(t)
	if code != 1 || a.Well || a.Custody.Alarms != 1 || a.Missing != 3 {
		t.Fatalf("after: %d: %+v", code, a)
	}
	for _, sentence := range a.Says {
		t.Log(sentence)
	}
	if said := tr.cli(t, "status"); said.code != 1 || !strings.Contains(said.out, "cordon status --reconcile") {
		t.Errorf("status: %d: %s", said.code, said.out)
	}

	tr.archive.regain(lost)
	if err := os.Rename(blob+".away", blob); err != nil {
		t.Fatal(err)
	}
	tr.process.kill()
	tr.start(t)
	if a, code = tr.reconcile(t); code != 0 || !a.Well || a.Missing != 0 {
		t.Errorf("put right: %d: %+v", code, a)
	}
	tr.account(t)
	tr.intact(t)
}

// names are the instances that were sent so far.
func (tr *trial) names() map[string]bool {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	all := map[string]bool{}
	for uid := range tr.sent {
		all[uid] = true
	}
	return all
}

// someBlob is the file of an object that is kept.
func someBlob(t *testing.T, data string) string {
	t.Helper()
	blobs, err := filepath.Glob(filepath.Join(data, "objects", "*", "*"))
	if err != nil || len(blobs) == 0 {
		t.Fatalf("no blob is there: %v", err)
	}
	return blobs[0]
}

// Orthanc is asked by C-FIND, and found out when it has lost an instance.
func TestTheAccountingAsksOrthanc(t *testing.T) {
	t.Parallel()
	orthanc := startOrthanc(t, map[string]any{"DicomAlwaysAllowFind": true})
	c := startCordon(t, orthanc)
	if a, code := c.reconcile(t); code != 0 { // the run of the start is over
		t.Fatalf("%d: %q", code, a.Says)
	}
	study := newStudy(t, 20, 16)
	if n := cordonSend(t, &c.peer, study.files...); n != 20 {
		t.Fatalf("%d stored", n)
	}
	var ids []string
	if err := json.Unmarshal(orthanc.get(t, "/instances"), &ids); err != nil || len(ids) < 2 {
		t.Fatalf("%v, %v", ids, err)
	}
	orthanc.remove(t, "/instances/"+ids[0])
	time.Sleep(time.Second) // the records are on the ledger
	a, code := c.reconcile(t)
	if code != 1 || a.Missing != 1 || a.Archives[0].How != "C-FIND" || a.Archives[0].Present != len(ids)-1 || a.Custody.Held != 20-len(ids) {
		t.Errorf("%d: %+v", code, a)
	}
}
