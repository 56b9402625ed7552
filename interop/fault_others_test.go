package interop

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
)

// Another process holds the database's lock, for less and for more than Cordon waits: objects wait or are turned away for
// now, and none is lost.
func TestTheDatabaseIsBusy(t *testing.T) {
	tr := newTrial(t)
	tr.archive.up(t)
	tr.start(t)
	db, err := sql.Open("sqlite", "file:"+filepath.Join(tr.Dir, "cordon.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	stop := tr.flood(t, 3)
	times := []time.Duration{200 * time.Millisecond, 2 * time.Second, 12 * time.Second}
	for _, held := range times[:runs(2, 3)] {
		hold(t, db, held)
		time.Sleep(200 * time.Millisecond)
	}
	stop()
	tr.process.kill()
	tr.start(t)
	lost := tr.account(t)
	tr.intact(t)
	faults.add(t, faultRow{50, "SQLite busy", fmt.Sprintf("another writer holds the lock for %v", times[:runs(2, 3)]), runs(2, 3), tr.acknowledged(), lost})
}

// hold keeps the write lock of a database for a while.
func hold(t *testing.T, db *sql.DB, d time.Duration) {
	t.Helper()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(d)
	if _, err := conn.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
}

// Without the key of the vault Cordon does not start, and makes none; with it back, everything is there.
func TestTheVaultKeyIsMissing(t *testing.T) {
	tr := newTrial(t)
	tr.start(t)
	stop := tr.flood(t, 3) // the archive is away: all is kept
	await(t, "some objects to be kept", func() bool { return tr.acknowledged() >= 40 })
	key := filepath.Join(tr.Dir, "keys", "custody.key")
	if err := os.Rename(key, key+".away"); err != nil { // while it works: it goes on
		t.Fatal(err)
	}
	before := tr.acknowledged()
	await(t, "more objects to be kept", func() bool { return tr.acknowledged() >= before+10 })
	tr.process.kill()
	stop()
	said := cordonCommand(t, "up", "--config", tr.config)
	if said.code != 2 || !strings.Contains(said.err, "custody.key is missing") {
		t.Errorf("a start without the key: %d: %s", said.code, said.err)
	}
	if _, err := os.Stat(key); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a key was made: %v", err)
	}
	if err := os.Rename(key+".away", key); err != nil {
		t.Fatal(err)
	}
	tr.archive.up(t)
	tr.start(t)
	lost := tr.account(t)
	tr.intact(t)
	faults.add(t, faultRow{51, "vault key missing", "taken away while it works, and at a start", 2, tr.acknowledged(), lost})
}

// A second Cordon on the same data directory does not start, and does the first no harm.
func TestTwoCordonsOnOneDirectory(t *testing.T) {
	tr := newTrial(t)
	tr.archive.up(t)
	tr.start(t)
	stop := tr.flood(t, 3)
	n := runs(3, 30)
	for range n {
		said := cordonCommand(t, "up", "--config", tr.config)
		if said.code != 2 || !strings.Contains(said.err, "is in use by process") {
			t.Fatalf("the second: %d: %s", said.code, said.err)
		}
	}
	await(t, "some objects to be acknowledged", func() bool { return tr.acknowledged() >= 40 })
	stop()
	tr.alive(t)
	tr.process.kill()
	tr.start(t)
	lost := tr.account(t)
	tr.intact(t)
	faults.add(t, faultRow{52, "two Cordons on one data directory", "while the first works", n, tr.acknowledged(), lost})
}

// A sender that goes away in mid-object was told nothing: nobody gets a part of it, and nothing of it stays.
func TestTheSenderGoesAwayInMidObject(t *testing.T) {
	tr, rng := newTrial(t), chance(t)
	tr.archive.up(t)
	tr.start(t)
	stop := tr.flood(t, 2)
	n := runs(20, 200)
	aborted := map[string]bool{}
	for i := range n {
		s := tr.next("2.25.1.1", i)
		aborted[string(s.instance)] = true
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		as, err := ul.Dial(ctx, tr.Address, nil, ul.Request{Calling: "CT1", Called: tr.AETitle, Contexts: []ul.ProposedContext{
			{ID: 1, AbstractSyntax: s.class, TransferSyntaxes: []dicom.UID{s.syntax}},
		}}, ul.Limits{ARTIM: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		conn, cut := dimse.NewConn(as), rng.IntN(len(s.data))
		_, err = conn.Store(ctx, 1, dimse.StoreRequest{SOPClassUID: s.class, SOPInstanceUID: s.instance},
			io.MultiReader(bytes.NewReader(s.data[:cut]), cutOff{}))
		if err == nil {
			t.Error("half an object was stored")
		}
		if i%2 == 0 {
			conn.Abort()
		}
		conn.Close()
		cancel()
	}
	stop()
	lost := tr.account(t)
	held := tr.vault(t, "--all")
	for uid := range aborted {
		if _, there := tr.archive.holds(uid); there || held[uid] != "" {
			t.Errorf("%s: half an object is in the archive %v, in the vault %q", uid, there, held[uid])
		}
	}
	await(t, "nothing to be left of them", func() bool {
		files, err := os.ReadDir(filepath.Join(tr.Dir, "spill"))
		return err == nil && len(files) == 0
	})
	tr.intact(t)
	faults.add(t, faultRow{53, "the sender goes away", "at a random byte of an object, with A-ABORT and without", n, tr.acknowledged(), lost})
}

// cutOff is a data set that cannot be read on.
type cutOff struct{}

func (cutOff) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
