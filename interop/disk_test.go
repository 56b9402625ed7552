package interop

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/inspect/compose"
)

// disk is a small file system for a data directory, which can be filled and freed.
type disk struct {
	dir  string
	fill func(t *testing.T, c *cordon)
	free func(t *testing.T, c *cordon)
}

// smallDisk mounts a file system of 256 MiB. Who may not mount gets a limit on the length of files instead, which full
// disks and it have in common that every write fails.
func smallDisk(t *testing.T) disk {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("cordon-interop", dir, "tmpfs", 0, "size=256m"); err != nil {
		t.Logf("mount: %v: limiting the length of files instead", err)
		return disk{dir, limitFiles("4096:"), limitFiles("unlimited:")}
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmounting %s: %v", dir, err)
		}
	})
	filler := filepath.Join(dir, "filler")
	return disk{dir,
		func(t *testing.T, _ *cordon) { fillUp(t, filler) },
		func(t *testing.T, _ *cordon) {
			if err := os.Remove(filler); err != nil {
				t.Fatal(err)
			}
		}}
}

func limitFiles(length string) func(*testing.T, *cordon) {
	return func(t *testing.T, c *cordon) {
		run(t, "prlimit", "--pid", fmt.Sprint(c.process.cmd.Process.Pid), "--fsize="+length)
	}
}

// fillUp writes a file until there is no space left.
func fillUp(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, block := range []int{1 << 20, 4 << 10, 1} {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, block))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
}

// A disk that is full turns objects away for now, A700, and keeps what it has. With space again, all goes on.
func TestFullDisk(t *testing.T) {
	d := smallDisk(t)
	archive := newPeer(t, "STORESCP") // not there yet, so that objects have to be kept here
	c := newCordon(t, archive)
	c.useData(t, filepath.Join(d.dir, "data"))
	c.start(t)

	o := compose.CT(1024, 1024) // 2 MiB: more than stays in memory
	conn, err := c.dial(t.Context(), ul.ProposedContext{AbstractSyntax: o.SOPClass, TransferSyntaxes: []dicom.UID{o.TransferSyntax}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stored := map[string]bool{}
	send := func(want dimse.Status) {
		t.Helper()
		o.Instance = compose.NewUID()
		rsp, err := conn.Store(t.Context(), 1, dimse.StoreRequest{SOPClassUID: o.SOPClass, SOPInstanceUID: o.Instance}, bytes.NewReader(o.DataSet()))
		if err != nil || rsp.Status != want {
			t.Fatalf("C-STORE: status %04X, %v; want %04X", uint16(rsp.Status), err, uint16(want))
		}
		if want == dimse.Success {
			stored[string(o.Instance)] = true
		}
	}
	for range 3 {
		send(dimse.Success)
	}
	d.fill(t, c)
	for range 3 {
		send(dimse.OutOfResources)
	}
	var rejection *ul.Rejection
	if err := c.echo(t.Context()); err != nil && (!errors.As(err, &rejection) || rejection.Result != ul.RejectedTransient) {
		t.Errorf("another association on a full disk: %v", err)
	}
	if rsp, err := http.Get(c.Console + "/healthz"); c.process.ended() || err != nil {
		t.Fatalf("cordon does not answer on a full disk: %v", err)
	} else {
		rsp.Body.Close()
	}

	d.free(t, c)
	for range 3 {
		send(dimse.Success)
	}
	if err := conn.Release(t.Context()); err != nil {
		t.Error(err)
	}
	c.alive(t)

	// A crash at this point, and an archive at last.
	launch(t, "storescp", "-od", archive.Dir, "-aet", string(archive.AETitle), "+B", archive.Port)
	archive.awaitReady(t)
	c.process.kill()
	c.start(t)
	c.awaitDrained(t)
	arrived := instancesIn(t, archive.Dir)
	for uid := range stored {
		if arrived[uid] == "" {
			t.Errorf("%s was acknowledged and is lost", uid)
		}
	}
	if len(arrived) != len(stored) {
		t.Errorf("%d were acknowledged, %d arrived", len(stored), len(arrived))
	}
	c.process.terminate()
	if said := c.cli(t, "ledger", "verify"); said.code != 0 {
		t.Errorf("cordon ledger verify: %d: %s%s", said.code, said.out, said.err)
	}
	t.Logf("%d stored before and after, 3 answered with A700 while the disk was full, %d arrived", len(stored), len(arrived))
}
