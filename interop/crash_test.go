package interop

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cordon/dicom"
	"cordon/inspect/compose"
)

// Every image that DCMTK was told is stored is there after kill -9 at random moments, whether the archive answers or not.
func TestKillNineLosesNothingAcknowledged(t *testing.T) {
	fastDCMTK(t)
	t.Run("archive up", func(t *testing.T) { killNine(t, newStudy(t, 500, 64), true) })
	t.Run("archive away", func(t *testing.T) { killNine(t, newStudy(t, 500, 64), false) })
	t.Run("large images, archive away", func(t *testing.T) { killNine(t, newStudy(t, 75, 1024), false) }) // too large for a memory buffer
}

// killNine sends a study and kills Cordon four times on the way. After each crash the sender sends what was not
// acknowledged, as modalities do.
func killNine(t *testing.T, s *study, up bool) {
	archive := newPeer(t, "STORESCP")
	start := func() {
		launch(t, "storescp", "-od", archive.Dir, "-aet", string(archive.AETitle), "+B", "+xa", "--fork", archive.Port)
		archive.awaitReady(t)
	}
	if up {
		start()
	}
	c := startCordon(t, archive)
	for round := range 4 {
		sender := storescu(t, &c.peer, s.waiting())
		moment := 1 + rand.IntN(len(s.waiting())/3)
		await(t, fmt.Sprintf("%d images to be acknowledged", moment), func() bool {
			return strings.Count(sender.printed(), acknowledged) >= moment || sender.ended()
		})
		time.Sleep(rand.N(20 * time.Millisecond)) // not always right after an answer
		c.process.kill()
		sender.wait()
		s.acknowledge(t, sender.printed())
		t.Logf("round %d: killed with %d of %d acknowledged", round, len(s.acknowledged), len(s.files))
		if !up && round == 3 {
			start()
		}
		c.start(t)
		if st := c.status(t); !up && round < 3 && st.Spooled+st.Held < len(s.acknowledged) {
			t.Errorf("round %d: %d acknowledged, only %d in the spool and %d in the vault", round, len(s.acknowledged), st.Spooled, st.Held)
		}
	}
	sender := storescu(t, &c.peer, s.waiting())
	sender.wait()
	s.acknowledge(t, sender.printed())
	if len(s.acknowledged) != len(s.files) {
		t.Errorf("%d of %d images were acknowledged in the end", len(s.acknowledged), len(s.files))
	}
	c.awaitDrained(t)
	s.accountedFor(t, c, archive)
}

// study is a series of images on their way, some of them hostile.
type study struct {
	files        []string
	hostile      map[string]bool // by SOP Instance UID
	acknowledged map[string]bool // files
}

// newStudy makes square images of the given side, every 25th of them hostile.
func newStudy(t *testing.T, images, side int) *study {
	t.Helper()
	s := &study{hostile: map[string]bool{}, acknowledged: map[string]bool{}}
	dir := t.TempDir()
	study, series := compose.NewUID(), compose.NewUID()
	for i := range images {
		o := compose.CT(side, side)
		o.Study, o.Series, o.InstanceNumber = study, series, i+1
		if i%25 == 24 {
			compose.PrivateOB.Put(o, compose.EICAR())
			s.hostile[string(o.Instance)] = true
		}
		file := filepath.Join(dir, string(o.Instance))
		if err := os.WriteFile(file, o.File(), 0o600); err != nil {
			t.Fatal(err)
		}
		s.files = append(s.files, file)
	}
	return s
}

// waiting lists the files that have not been acknowledged.
func (s *study) waiting() []string {
	var files []string
	for _, f := range s.files {
		if !s.acknowledged[f] {
			files = append(files, f)
		}
	}
	return files
}

const acknowledged = "Received Store Response (Success)"

// storescu starts to send files with DCMTK in one association.
func storescu(t *testing.T, to *peer, files []string) *process {
	t.Helper()
	args := []string{"-v", "-R", "-aet", "CT1", "-aec", string(to.AETitle), to.Host, to.Port}
	return launch(t, "storescu", append(args, files...)...)
}

// acknowledge takes from what storescu printed which files were answered with success.
func (s *study) acknowledge(t *testing.T, printed string) {
	t.Helper()
	file := ""
	for line := range strings.Lines(printed) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "I: Sending file: "); ok {
			file = name
		}
		if strings.HasSuffix(line, acknowledged) {
			if file == "" {
				t.Fatalf("storescu: an answer without a request:\n%s", printed)
			}
			s.acknowledged[file] = true
			file = ""
		}
	}
}

// accountedFor checks that every acknowledged image is in the archive or in the vault, where it belongs, and that the
// ledger is intact.
func (s *study) accountedFor(t *testing.T, c *cordon, archive *peer) {
	t.Helper()
	arrived, vault := instancesIn(t, archive.Dir), c.held(t)
	lost := 0
	for file := range s.acknowledged {
		id := filepath.Base(file)
		inArchive, held := arrived[id] != "", vault[id].State == "held"
		switch {
		case !inArchive && !held:
			lost++
			t.Errorf("%s was acknowledged and is lost", id)
		case s.hostile[id] == inArchive || s.hostile[id] != held:
			t.Errorf("%s: hostile %v, in the archive %v, held %v", id, s.hostile[id], inArchive, held)
		case inArchive && !bytes.Equal(dataSetOf(t, arrived[id]), dataSetOf(t, file)):
			t.Errorf("%s: other bytes arrived than were sent", id)
		}
	}
	if alarms := c.status(t).Alarms; alarms != 0 {
		t.Errorf("%d alarms", alarms)
	}
	c.alive(t)
	if code := c.process.terminate(); code != 0 {
		t.Errorf("cordon ended with %d", code)
	}
	if said := c.cli(t, "ledger", "verify"); said.code != 0 {
		t.Errorf("cordon ledger verify: %d: %s%s", said.code, said.out, said.err)
	}
	t.Logf("%d acknowledged, %d in the archive, %d in the vault, %d lost; the ledger is intact", len(s.acknowledged), len(arrived), len(vault), lost)
}

// The archive dies in the middle of a transfer and comes back: the sender notices nothing, and everything arrives.
func TestArchiveUnpluggedInMidTransfer(t *testing.T) {
	fastDCMTK(t)
	orthanc := startOrthanc(t, nil)
	c := startCordon(t, orthanc)
	s := newStudy(t, 300, 64)
	sender := storescu(t, &c.peer, s.files)
	await(t, "some images to arrive", func() bool { return strings.Count(sender.printed(), acknowledged) >= 50 })
	killOrthanc(t, orthanc)
	sender.wait()
	s.acknowledge(t, sender.printed())
	st := c.status(t)
	if len(s.acknowledged) != 300 || st.Spooled == 0 {
		t.Errorf("%d of 300 acknowledged while the archive was away, %d in the spool", len(s.acknowledged), st.Spooled)
	}
	start(t, orthanc.Dir, "Orthanc", filepath.Join(orthanc.Dir, "orthanc.json"))
	orthanc.awaitReady(t)
	c.awaitDrained(t)
	arrived, vault := orthanc.instances(t), c.held(t)
	for _, file := range s.files {
		if id := filepath.Base(file); arrived[id] == s.hostile[id] || s.hostile[id] != (vault[id].State == "held") {
			t.Errorf("%s: hostile %v, arrived %v, vault %v", id, s.hostile[id], arrived[id], vault[id])
		}
	}
	t.Logf("killed with %d in the spool; %d of 300 arrived, %d held, 0 lost", st.Spooled, len(arrived), len(vault))
}

// A C-STORE of 100,000 nested items, sent directly, ends Orthanc. Through Cordon it does not reach it.
func TestNestedItemsKillOrthancNotCordon(t *testing.T) {
	file := filepath.Join(t.TempDir(), "nested.dcm")
	o := nested(100_000)
	write(t, file, string(o.File()))

	victim := startOrthanc(t, nil)
	cordonCommand(t, "send", victim.Address, "--called", string(victim.AETitle), file) // gets no answer
	await(t, "Orthanc to end", func() bool { return !orthancRuns(t, victim) })

	guarded := startOrthanc(t, nil)
	c := startCordon(t, guarded)
	if n := cordonSend(t, &c.peer, file); n != 1 {
		t.Errorf("%d stored", n)
	}
	if item := c.held(t)[string(o.Instance)]; item.State != "held" {
		t.Errorf("not held: %v", item)
	}
	if !orthancRuns(t, guarded) || guarded.echo(t.Context()) != nil || len(guarded.instances(t)) != 0 {
		t.Error("Orthanc behind Cordon was reached")
	}
	c.alive(t)
	t.Logf("Orthanc is dead without Cordon and lives behind it; peak memory of Cordon %d MiB", c.process.peakMemory(t)>>20)
}

// nested is an image with sequences in sequences.
func nested(depth int) *compose.Object {
	const contentSequence dicom.Tag = 0x0040A730
	o := compose.CT(8, 8)
	o.SetFunc(contentSequence, func(w *dicom.Writer) {
		for range depth {
			w.BeginSequence(contentSequence, dicom.Undefined)
			w.BeginItem(dicom.Undefined)
		}
		for range depth {
			w.EndItem()
			w.EndSequence()
		}
	})
	return o
}
