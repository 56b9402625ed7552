package custody_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/custody"
	"cordon/ledger"
	"cordon/store"
)

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("CORDON_TEST_KEEP"); dir != "" {
		if err := keepUntilKilled(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// keepUntilKilled keeps objects, delivers, releases and destroys some, and
// prints each thing that has been acknowledged to it.
func keepUntilKilled(dir string) error {
	ctx := context.Background()
	lock, err := store.Lock(dir)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	db, err := store.OpenDB(ctx, filepath.Join(dir, "cordon.db"), []store.Migrations{ledger.Migrations(), custody.Migrations()})
	if err != nil {
		return err
	}
	l, err := ledger.Open(ctx, db, filepath.Join(dir, "keys", "ledger.key"), "test")
	if err != nil {
		return err
	}
	c, err := custody.Open(ctx, db, dir, l, custody.Options{Memory: testMemory, Shared: -1})
	if err != nil {
		return err
	}
	go l.Run(ctx) // until the end of the process
	fmt.Println("ready")
	failed := make(chan error, 8)
	for i := range 4 {
		go func() { failed <- keepMany(ctx, c, i) }()
	}
	go func() { failed <- deliverMany(ctx, c) }()
	go func() { failed <- decideMany(ctx, c) }()
	return <-failed
}

func keepMany(ctx context.Context, c *custody.Custody, worker int) error {
	for i := 0; ; i++ {
		b := c.NewBuffer()
		data := noise(rand.IntN(4 * testMemory))
		if _, err := b.Write(data); err != nil {
			return err
		}
		if i%7 == 3 {
			continue // received in part: abandoned with its file
		}
		o := held(suspicious)
		if i%2 == 0 {
			o = spooled(fmt.Sprint("series", worker))
		}
		o, err := c.Keep(ctx, b, o)
		if err != nil {
			return err
		}
		fmt.Printf("kept %s %x\n", o.ID, sha256.Sum256(data))
		b.Discard()
	}
}

func deliverMany(ctx context.Context, c *custody.Custody) error {
	for {
		due, err := c.Due(ctx, "pacs", time.Now(), 4)
		if err != nil {
			return err
		}
		for _, o := range due {
			if err := deliverOne(ctx, c, o); err != nil {
				return err
			}
		}
	}
}

func deliverOne(ctx context.Context, c *custody.Custody, o custody.Object) error {
	if err := c.InFlight(ctx, o.ID); err != nil {
		return err
	}
	if rand.IntN(4) == 0 {
		return c.Failed(ctx, o.ID, custody.Failure{Err: io.ErrClosedPipe, Permanent: rand.IntN(8) == 0})
	}
	r, err := c.OpenBlob(ctx, o.ID)
	if err != nil {
		return err
	}
	defer r.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, r); err != nil {
		return err
	}
	fmt.Printf("sent %s %x\n", o.ID, sum.Sum(nil))
	if err := c.Delivered(ctx, o.ID, 0); err != nil {
		return err
	}
	fmt.Printf("delivered %s\n", o.ID)
	return nil
}

func decideMany(ctx context.Context, c *custody.Custody) error {
	for {
		all, err := c.List(ctx, custody.Filter{States: []custody.State{custody.Held}, Limit: 3})
		if err != nil {
			return err
		}
		for i, o := range all {
			for _, name := range []string{"Ann", "Bob"} {
				do := c.Release
				if i%2 == 0 {
					do = c.Destroy
				}
				d, err := do(ctx, o.ID, by(name+fmt.Sprint(os.Getpid())))
				if err != nil {
					return err
				}
				if d.Done && i%2 == 0 {
					fmt.Printf("destroyed %s\n", o.ID)
				}
				if d.Done { // perhaps with the first person of a process before this one
					break
				}
			}
		}
	}
}

// acks is what killed processes were told.
type acks struct {
	kept, sent           map[string]string // id to SHA-256
	delivered, destroyed map[string]bool
}

// round runs one process, kills it at a random time and adds what it was told.
func (a *acks) round(t *testing.T, dir string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "CORDON_TEST_KEEP="+dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	var once sync.Once
	kill := func() { once.Do(func() { cmd.Process.Kill() }) }
	if rand.IntN(5) == 0 { // at times while it is still opening
		time.AfterFunc(rand.N(60*time.Millisecond), kill)
	}
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // a line that is not whole was not told
		}
		if line == "ready\n" {
			time.AfterFunc(rand.N(150*time.Millisecond), kill)
		}
		a.note(strings.Fields(line))
	}
	kill()
	cmd.Wait()
	if stderr.Len() > 0 {
		t.Fatalf("the process ended by itself: %s", stderr.String())
	}
}

func (a *acks) note(f []string) {
	switch f[0] {
	case "kept":
		a.kept[f[1]] = f[2]
	case "sent":
		a.sent[f[1]] = f[2]
	case "delivered":
		a.delivered[f[1]] = true
	case "destroyed":
		a.destroyed[f[1]] = true
	}
}

// check holds what was told against what is there.
func (a *acks) check(t *testing.T, s site) {
	t.Helper()
	if _, err := ledger.VerifyLive(t.Context(), s.db, ledger.VerifyOptions{Key: s.l.Key()}); err != nil {
		t.Fatal(err)
	}
	if f := s.c.Found(); f.Missing != 0 || f.Unclaimed != 0 {
		t.Fatalf("%+v", f)
	}
	for id, sum := range a.kept {
		o := s.get(t, id)
		if o.SHA256.String() != sum {
			t.Fatalf("%s: digest of other bytes", id)
		}
		a.checkState(t, s, o)
	}
	for id, sum := range a.sent {
		if want, ok := a.kept[id]; ok && want != sum {
			t.Fatalf("%s: other bytes were sent", id)
		}
	}
	if spill, _ := s.files(t); spill != 0 {
		t.Fatalf("%d files left in spill", spill)
	}
}

func (a *acks) checkState(t *testing.T, s site, o custody.Object) {
	t.Helper()
	switch o.State {
	case custody.Held, custody.Spooled:
		if a.delivered[o.ID] || a.destroyed[o.ID] {
			t.Fatalf("%s: was delivered or destroyed, is %s", o.ID, o.State)
		}
		data, err := s.read(t, o.ID)
		if err != nil || fmt.Sprintf("%x", sha256.Sum256(data)) != a.kept[o.ID] {
			t.Fatalf("%s: %v", o.ID, err)
		}
	case custody.Delivered:
		if a.sent[o.ID] == "" {
			t.Fatalf("%s: delivered, but never sent", o.ID)
		}
	case custody.Destroyed:
		if len(o.DecidedBy) != 2 {
			t.Fatalf("%s: destroyed by %q", o.ID, o.DecidedBy)
		}
	default:
		t.Fatalf("%s: %s", o.ID, o.State)
	}
}

func TestNothingAcknowledgedIsLostWhenKilled(t *testing.T) {
	dir := t.TempDir()
	a := acks{map[string]string{}, map[string]string{}, map[string]bool{}, map[string]bool{}}
	var orphans, leftovers, inFlight, unclean int
	enough := func() bool {
		return len(a.kept) >= 100 && len(a.delivered) > 0 && len(a.destroyed) > 0 && orphans > 0 && unclean >= 20
	}
	for rounds := 0; rounds < 32 || !enough(); rounds++ { // a busy disk needs more
		if rounds == 320 {
			t.Fatal("too little happened for this test to mean anything")
		}
		a.round(t, dir)
		s := open(t, dir)
		a.check(t, s)
		f := s.c.Found()
		orphans, leftovers, inFlight = orphans+f.Orphans, leftovers+f.Leftovers, inFlight+f.InFlight
		if !s.l.Start().Clean {
			unclean++
		}
		// One killed in its very first start has a key and nothing that it signed, as one that lost everything has.
		if st := s.l.Start(); !st.Intact && (len(a.kept) > 0 || st.Records > 1) {
			t.Fatal("the ledger's tree is not what was signed")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.l.Run(ctx); err != nil { // an orderly stop
			t.Fatal(err)
		}
		if err := s.db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d kept, %d delivered, %d destroyed; put right: %d orphans, %d leftovers, %d in flight; %d unclean stops",
		len(a.kept), len(a.delivered), len(a.destroyed), orphans, leftovers, inFlight, unclean)
}

// What a crash can leave between any two steps of an object's life.
func TestEveryHalfDoneStepIsPutRight(t *testing.T) {
	s := open(t, t.TempDir())
	data := noise(50_000)
	spill := func(id string) string { return filepath.Join(s.dir, "spill", id) }

	unacknowledged := s.c.NewBuffer()
	unacknowledged.Expect()
	unacknowledged.Write(data)

	unplaced := s.keep(t, data, held(suspicious)) // committed, not moved yet
	if err := os.Rename(s.blob(t, unplaced.ID), spill(unplaced.ID)); err != nil {
		t.Fatal(err)
	}
	if got, err := s.read(t, unplaced.ID); err != nil || !bytes.Equal(got, data) {
		t.Errorf("before it is moved: %v", err)
	}

	copyFile := func(from, to string) {
		p, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, p, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	done := s.keep(t, data, spooled("1")) // delivered, not deleted yet
	path := s.blob(t, done.ID)
	copyFile(path, path+".copy")
	if err := s.c.Delivered(t.Context(), done.ID, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".copy", path); err != nil {
		t.Fatal(err)
	}
	undone := s.keep(t, data, spooled("1")) // its move undone after it was delivered
	copyFile(s.blob(t, undone.ID), spill(undone.ID))
	if err := s.c.Delivered(t.Context(), undone.ID, 0); err != nil {
		t.Fatal(err)
	}

	foreign := filepath.Join(s.dir, "spill", "README")
	os.WriteFile(foreign, nil, 0o600)

	s = s.reopen(t)
	if f := s.c.Found(); f != (custody.Found{Orphans: 2, Leftovers: 1}) {
		t.Errorf("%+v", f)
	}
	if got, err := s.read(t, unplaced.ID); err != nil || !bytes.Equal(got, data) {
		t.Errorf("after it was moved: %v", err)
	}
	if spill, objects := s.files(t); spill != 1 || objects != 1 {
		t.Errorf("files: %d, %d", spill, objects)
	}
	if _, err := os.Stat(foreign); err != nil {
		t.Errorf("a file that is not ours: %v", err)
	}
}

func TestMissingBlobIsAnAlarmNotACrash(t *testing.T) {
	s := open(t, t.TempDir())
	first, second := s.keep(t, noise(10), spooled("1")), s.keep(t, noise(11), spooled("1"))
	h := s.keep(t, noise(12), held(suspicious))
	away := map[string]string{}
	for _, id := range []string{first.ID, h.ID} {
		path := s.blob(t, id)
		away[path] = filepath.Join(t.TempDir(), "away")
		if err := os.Rename(path, away[path]); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // told once, not at each start
		s = s.reopen(t)
	}
	if f := s.c.Found(); f.Missing != 2 {
		t.Errorf("%+v", f)
	}
	same(t, s.due(t, "pacs", time.Now()), second.ID) // does not hold up its series
	alarmed, err := s.c.List(t.Context(), custody.Filter{Alarm: true})
	if err != nil || len(alarmed) != 2 {
		t.Errorf("%+v, %v", alarmed, err)
	}
	same(t, s.kinds(t, first.ID), "object.spooled", "object.alarm")
	if _, err := s.c.Release(t.Context(), h.ID, by("Ann")); err == nil {
		t.Error("released without a blob")
	}
	for path, from := range away {
		if err := os.Rename(from, path); err != nil {
			t.Fatal(err)
		}
	}
	s = s.reopen(t)
	if o := s.get(t, h.ID); o.Alarm != "" {
		t.Errorf("%+v", o)
	}
	same(t, s.kinds(t, h.ID), "object.held", "object.alarm", "object.back")
}

// Blobs without a row come from a database older than they are, restored from a
// backup perhaps: what they hold may have been acknowledged.
func TestBlobsThatTheDatabaseDoesNotKnowAreKept(t *testing.T) {
	s := open(t, t.TempDir())
	s.keep(t, noise(10), held(malicious))
	s.db.Close()
	backup, err := os.ReadFile(filepath.Join(s.dir, "cordon.db"))
	if err != nil {
		t.Fatal(err)
	}
	s = open(t, s.dir)
	later := s.keep(t, noise(11), held(malicious))
	s.db.Close()
	if err := os.WriteFile(filepath.Join(s.dir, "cordon.db"), backup, 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, s.dir)
	if f := s.c.Found(); f.Unclaimed != 1 || f.Missing != 0 {
		t.Errorf("%+v", f)
	}
	s.blob(t, later.ID)
	if st, err := s.c.Stats(t.Context()); err != nil || st.Unclaimed != 1 {
		t.Errorf("%+v, %v", st, err)
	}
}

func TestKeyIsNeverReplacedSilently(t *testing.T) {
	s := open(t, t.TempDir())
	path := filepath.Join(s.dir, "keys", "custody.key")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	other := open(t, t.TempDir())
	s.keep(t, noise(10), held(malicious))
	s.db.Close()
	aside := path + ".aside"
	steps := []struct {
		name string
		do   func() error
		want string
	}{
		{"missing", func() error { return os.Rename(path, aside) }, "is missing, and 1 objects are encrypted to it: restore it"},
		{"another", func() error { return os.Link(filepath.Join(other.dir, "keys", "custody.key"), path) }, "is not the one that 1 objects"},
		{"damaged", func() error { os.Remove(path); return os.WriteFile(path, []byte("# x\nAGE-SECRET-KEY-1X\n"), 0o600) }, "damaged"},
		{"database lost", func() error { os.Remove(path); return os.Remove(filepath.Join(s.dir, "cordon.db")) }, "is missing, and 1 objects"},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		if step.name == "database lost" {
			os.Remove(filepath.Join(s.dir, "keys", "ledger.key"))
		}
		s, err := tryOpen(t, s.dir)
		if err == nil || !strings.Contains(err.Error(), step.want) {
			t.Errorf("%s: %v", step.name, err)
		}
		s.db.Close()
	}
}

// What leaves a full disk must be recorded, or nothing ever leaves it.
func TestFullDiskTakesNothingInAndLetsEverythingOut(t *testing.T) {
	s := open(t, t.TempDir())
	small, large := s.keep(t, noise(10), spooled("1")), s.keep(t, noise(1<<20), spooled("2"))
	c, err := custody.Open(t.Context(), s.db, s.dir, s.l, custody.Options{Memory: testMemory, Shared: -1, Marks: custody.Watermarks{Vault: store.Floor{Bytes: 1 << 62}}})
	if err != nil {
		t.Fatal(err)
	}
	b := c.NewBuffer()
	if _, err := b.Write(noise(10)); err != nil {
		t.Error(err)
	}
	if _, err := c.Keep(t.Context(), b, spooled("1")); !errors.Is(err, store.ErrFull) {
		t.Errorf("from memory: %v", err)
	}
	if _, err := s.c.NewBuffer().Write(noise(1 << 20)); err != nil {
		t.Error(err)
	}
	if _, err := c.NewBuffer().Write(noise(1 << 20)); !errors.Is(err, store.ErrFull) {
		t.Errorf("from disk: %v", err)
	}
	for _, o := range []custody.Object{small, large} {
		if err := c.Delivered(t.Context(), o.ID, 0); err != nil {
			t.Error(err)
		}
	}
}
