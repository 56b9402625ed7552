package interop

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/inspect/compose"
)

// Where a site would rather have images without a record than none, a disk that is full stops no image that the archive takes at once;
// Cordon says so while it lasts, and the ledger says afterwards how much of it is missing.
func TestFullDiskThatStopsNothing(t *testing.T) {
	d := smallDisk(t)
	archive := newPeer(t, "STORESCP")
	launch(t, "storescp", "-od", archive.Dir, "-aet", string(archive.AETitle), "+B", archive.Port)
	archive.awaitReady(t)
	c := newCordon(t, archive)
	c.useData(t, filepath.Join(d.dir, "data"))
	text, err := os.ReadFile(c.config)
	if err != nil {
		t.Fatal(err)
	}
	write(t, c.config, string(text)+"ledger: {full: go_on}\n")
	c.start(t)

	o := compose.CT(256, 256) // stays in memory while it is judged
	sent := map[string]bool{}
	send := func(objects int) {
		t.Helper()
		conn, err := c.dial(t.Context(), ul.ProposedContext{AbstractSyntax: o.SOPClass, TransferSyntaxes: []dicom.UID{o.TransferSyntax}})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for range objects {
			o.Instance = compose.NewUID()
			rsp, err := conn.Store(t.Context(), 1, dimse.StoreRequest{SOPClassUID: o.SOPClass, SOPInstanceUID: o.Instance}, bytes.NewReader(o.DataSet()))
			if err != nil || rsp.Status != dimse.Success {
				t.Fatalf("C-STORE: status %04X, %v", uint16(rsp.Status), err)
			}
			sent[string(o.Instance)] = true
		}
		if err := conn.Release(t.Context()); err != nil {
			t.Error(err)
		}
	}
	send(3)
	d.fill(t, c)
	for range 40 { // the first may find room in the write-ahead log
		send(2)
	}
	if said := c.cli(t, "status"); said.code != 1 || !strings.Contains(said.out, "The ledger cannot be written") {
		t.Errorf("status on a full disk: %d: %s%s", said.code, said.out, said.err)
	}
	d.free(t, c)
	send(3)
	c.process.terminate()
	arrived := instancesIn(t, archive.Dir)
	for uid := range sent {
		if arrived[uid] == "" {
			t.Errorf("%s was acknowledged and is lost", uid)
		}
	}
	said := c.cli(t, "ledger", "verify")
	if said.code != 0 || !strings.Contains(said.out, "say that others could not be written") {
		t.Errorf("the gap is not on the ledger: %d: %s%s", said.code, said.out, said.err)
	}
	said = c.cli(t, "ledger", "tail", "-n", "1000")
	for line := range strings.Lines(said.out) {
		if strings.Contains(line, "ledger.lost") {
			t.Log(strings.TrimSpace(line))
		}
	}
	t.Logf("%d objects sent, all arrived: %v", len(sent), len(arrived) == len(sent))
}
