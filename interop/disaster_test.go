package interop

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/dicom"
	"cordon/inspect/compose"
)

// The data directory is destroyed under traffic, while the archive is away.
// Everything that was acknowledged before the backup is delivered after the
// restore; what was acknowledged after it is named by an export of the ledger.
func TestADestroyedDataDirectoryIsRestored(t *testing.T) {
	archive := newPeer(t, "ARCHIVE")
	c := newCordon(t, archive)
	c.start(t)
	images := t.TempDir()
	key := filepath.Join(t.TempDir(), "key")
	made := c.cli(t, "backup", "--new-key", key)
	to := strings.TrimSpace(made.out)

	var mu sync.Mutex
	acknowledged := map[string]time.Time{} // by instance, when the sender knew
	stop, sending := make(chan struct{}), sync.WaitGroup{}
	for sender := range 4 {
		sending.Go(func() { // ends with stop
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				uid := fmt.Sprintf("1.2.826.0.1.3680043.9.7.%d.%d", sender+1, n+1)
				path := filepath.Join(images, uid)
				if err := os.WriteFile(path, smallImage(uid), 0o600); err != nil {
					t.Error(err)
					return
				}
				if exec.Command("storescu", "-aet", "CT1", "-aec", "ARCHIVE", "127.0.0.1", c.Port, path).Run() == nil {
					mu.Lock()
					acknowledged[uid] = time.Now()
					mu.Unlock()
				}
			}
		})
	}
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(acknowledged)
	}
	await(t, "traffic", func() bool { return count() > 20 })
	file := filepath.Join(t.TempDir(), "backup.age")
	before := time.Now()
	if said := c.cli(t, "backup", file, "--to", to); said.code != 0 {
		t.Fatal(said.err)
	}
	had := count()
	await(t, "more traffic", func() bool { return count() > had+20 })
	close(stop)
	sending.Wait()
	export := filepath.Join(t.TempDir(), "later.ledger")
	if said := c.cli(t, "ledger", "export", "-o", export); said.code != 0 {
		t.Fatal(said.err)
	}
	c.process.kill()
	if err := os.RemoveAll(c.Dir); err != nil {
		t.Fatal(err)
	}

	if said := cordonCommand(t, "backup", "--verify", file, "--identity", key); said.code != 0 {
		t.Fatal(said.err)
	}
	said := c.cli(t, "restore", file, "--identity", key, "--as", "Ada Ashe", "--reason", "the disk failed", "--ledger", export, "--json")
	if said.code != 0 {
		t.Fatal(said.err)
	}
	named := map[string]bool{}
	for line := range strings.Lines(said.out) {
		var o struct {
			SOP   string `json:"sop_instance_uid"`
			Where string
		}
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatal(err)
		}
		named[o.SOP] = o.Where == "lost"
	}
	launch(t, "storescp", "-od", archive.Dir, "-aet", string(archive.AETitle), archive.Port)
	c.start(t)
	c.awaitDrained(t)
	arrived := map[string]bool{}
	entries, err := os.ReadDir(archive.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries { // storescp's names end with the instance
		_, uid, _ := strings.Cut(e.Name(), ".")
		arrived[uid] = true
	}
	restored, lost := 0, 0
	for uid, at := range acknowledged {
		switch {
		case arrived[uid]:
			restored++
		case at.Before(before):
			t.Errorf("%s was acknowledged before the backup, and is lost", uid)
		case !named[uid]:
			t.Errorf("%s was acknowledged after the backup, and nobody names it", uid)
		default:
			lost++
		}
	}
	t.Logf("%d acknowledged: %d restored and delivered, %d of after the backup named", len(acknowledged), restored, lost)
	if lost < 20 {
		t.Errorf("only %d were acknowledged after the backup: nothing is shown", lost)
	}
}

// smallImage is a file of one image, whose instance is uid.
func smallImage(uid string) []byte {
	o := compose.New(dicom.CTImageStorage)
	o.Instance = dicom.UID(uid)
	return o.File()
}
