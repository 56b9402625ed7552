package custody_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cordon/custody"
	"cordon/finding"
	"cordon/ledger"
	"cordon/store"
)

// A site is a data directory with everything open.
type site struct {
	dir string
	db  *store.DB
	l   *ledger.Ledger
	c   *custody.Custody
}

const testMemory = 4 << 10 // so that tests reach the disk

func openDB(t testing.TB, dir string) *store.DB {
	t.Helper()
	db, err := store.OpenDB(t.Context(), filepath.Join(dir, "cordon.db"), []store.Migrations{ledger.Migrations(), custody.Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func tryOpen(t testing.TB, dir string) (site, error) {
	t.Helper()
	db := openDB(t, dir)
	l, err := ledger.Open(t.Context(), db, filepath.Join(dir, "keys", "ledger.key"), "test")
	if err != nil {
		t.Fatal(err)
	}
	c, err := custody.Open(t.Context(), db, dir, l, custody.Options{Memory: testMemory, Shared: -1})
	return site{dir, db, l, c}, err
}

func open(t testing.TB, dir string) site {
	t.Helper()
	s, err := tryOpen(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// reopen closes the database as a crash would leave it, and opens all again.
func (s site) reopen(t testing.TB) site {
	t.Helper()
	s.db.Close()
	return open(t, s.dir)
}

func noise(n int) []byte {
	p := make([]byte, n)
	r := rand.New(rand.NewPCG(uint64(n), 1))
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return p
}

func (s site) keep(t testing.TB, data []byte, o custody.Object) custody.Object {
	t.Helper()
	b := s.c.NewBuffer()
	defer b.Discard()
	if _, err := io.Copy(b, struct{ io.Reader }{bytes.NewReader(data)}); err != nil {
		t.Fatal(err)
	}
	o, err := s.c.Keep(t.Context(), b, o)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func (s site) read(t testing.TB, id string) ([]byte, error) {
	t.Helper()
	r, err := s.c.OpenBlob(t.Context(), id)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func (s site) get(t testing.TB, id string) custody.Object {
	t.Helper()
	o, err := s.c.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// kinds returns the kinds of the records about one object, in order.
func (s site) kinds(t testing.TB, id string) (all []string) {
	t.Helper()
	err := s.l.Tail(t.Context(), 1_000_000, func(r ledger.Record) error {
		var body struct{ ID string }
		if json.Unmarshal(r.Body, &body) == nil && body.ID == id {
			all = append(all, r.Kind)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// files returns how many files are in the data directory's spill and objects.
func (s site) files(t testing.TB) (spill, objects int) {
	t.Helper()
	count := func(dir string) (n int) {
		err := filepath.WalkDir(filepath.Join(s.dir, dir), func(_ string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				n++
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return count("spill"), count("objects")
}

func (s site) blob(t testing.TB, id string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(s.dir, "objects", "*", id))
	if err != nil || len(found) != 1 {
		t.Fatalf("blob of %s: %v, %v", id, found, err)
	}
	return found[0]
}

var (
	suspicious = []finding.Finding{{ID: "a", Severity: finding.Suspicious, Where: "preamble"}}
	malicious  = []finding.Finding{{ID: "b", Severity: finding.Malicious, Where: "(0009,1001)", Offset: 7, Detail: "x"}}
)

func held(fs []finding.Finding) custody.Object {
	return custody.Object{State: custody.Held, Archive: "pacs", Device: "ct-1", CallingAE: "CT1", CalledAE: "CORDON", Findings: fs,
		SOPClassUID: "1.2.840.10008.5.1.4.1.1.2", SOPInstanceUID: "1.2.3", StudyInstanceUID: "1.2", SeriesInstanceUID: "1.2.1",
		TransferSyntaxUID: "1.2.840.10008.1.2.1", Priority: 2, MoveOriginatorAE: "WS", MoveOriginatorID: 9,
		Engines: []finding.EngineResult{{Name: "clamd", Result: finding.Clean, Signatures: "27000"}}}
}

func spooled(series string) custody.Object {
	o := held(nil)
	o.State, o.SeriesInstanceUID = custody.Spooled, series
	return o
}

func TestKeptObjectComesBackToTheByte(t *testing.T) {
	s := open(t, t.TempDir())
	for _, size := range []int{0, 1, testMemory - 1, testMemory, testMemory + 1, 64 << 10, 1<<16 + 1, 3 << 20} {
		data := noise(size)
		want := s.keep(t, data, held(malicious))
		s = s.reopen(t)
		got := s.get(t, want.ID)
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("row differs:\n%+v\n%+v", got, want)
		}
		if got.SHA256 != sha256.Sum256(data) || got.Bytes != int64(size) {
			t.Errorf("%d bytes: %+v", size, got)
		}
		if back, err := s.read(t, want.ID); err != nil || !bytes.Equal(back, data) {
			t.Errorf("%d bytes: came back as %d, %v", size, len(back), err)
		}
	}
	if spill, objects := s.files(t); spill != 0 || objects != 8 {
		t.Errorf("files: %d in spill, %d in objects", spill, objects)
	}
}

func TestBufferIsReadAsOftenAsNeeded(t *testing.T) {
	s := open(t, t.TempDir())
	for _, size := range []int{0, 100, 100_000} {
		b := s.c.NewBuffer()
		data := noise(size)
		for part := range slices.Chunk(data, 777) {
			if _, err := b.Write(part); err != nil {
				t.Fatal(err)
			}
		}
		var all sync.WaitGroup
		for range 4 {
			r, err := b.Open()
			if err != nil {
				t.Fatal(err)
			}
			all.Go(func() {
				defer r.Close()
				if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data) {
					t.Errorf("%d bytes: %d, %v", size, len(got), err)
				}
			})
		}
		last, err := b.Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Write([]byte("x")); err == nil {
			t.Error("write after it was complete")
		}
		b.Discard()
		b.Discard()
		if got, err := io.ReadAll(last); err != nil || !bytes.Equal(got, data) {
			t.Errorf("a reader after Discard: %d bytes, %v", len(got), err)
		}
		last.Close()
		all.Wait()
		if _, err := b.Open(); err == nil {
			t.Error("Open after Discard")
		}
		if _, err := s.c.Keep(t.Context(), b, held(nil)); err == nil {
			t.Error("Keep after Discard")
		}
	}
	if spill, objects := s.files(t); spill+objects != 0 {
		t.Errorf("left behind: %d, %d", spill, objects)
	}
}

func TestMemoryIsBoundedAndSpillIsEncrypted(t *testing.T) {
	s := open(t, t.TempDir())
	b := s.c.NewBuffer()
	defer b.Discard()
	secret := bytes.Repeat([]byte("DOE^JANE"), 100_000)
	b.Write(secret[:1000])
	if spill, _ := s.files(t); spill != 0 {
		t.Error("on disk before memory was full")
	}
	b.Write(secret)
	scratch := b.Scratch()
	file, err := io.ReadAll(io.NewSectionReader(scratch, 0, 1<<40))
	if err != nil || len(file) < 600_000 {
		t.Fatalf("scratch file: %d bytes, %v", len(file), err)
	}
	if bytes.Contains(file, []byte("DOE^JANE")) {
		t.Error("patient data in the clear")
	}
	if info, _ := scratch.Stat(); info.Mode().Perm() != 0o600 {
		t.Error(info.Mode())
	}
	if spill, _ := s.files(t); spill != 0 {
		t.Error("a scratch file has a name: a crash would leave it")
	}
}

func TestBytesJudgedAreBytesKept(t *testing.T) {
	s := open(t, t.TempDir())
	b := s.c.NewBuffer()
	defer b.Discard()
	b.Write([]byte("these"))
	o := held(nil)
	o.SHA256 = sha256.Sum256([]byte("those"))
	if _, err := s.c.Keep(t.Context(), b, o); err == nil {
		t.Error("kept bytes that are not those judged")
	}
	o.SHA256 = sha256.Sum256([]byte("these"))
	o.Bytes = 5
	if _, err := s.c.Keep(t.Context(), b, o); err != nil {
		t.Error(err)
	}
	if _, err := s.c.Keep(t.Context(), b, o); !errors.Is(err, custody.ErrState) {
		t.Errorf("kept twice: %v", err)
	}
	for _, state := range []custody.State{"", custody.Receiving, custody.Delivered, custody.Destroyed, custody.Released} {
		if _, err := s.c.Keep(t.Context(), s.c.NewBuffer(), custody.Object{State: state}); !errors.Is(err, custody.ErrState) {
			t.Errorf("kept as %q: %v", state, err)
		}
	}
}

func TestNoNameComesFromAPeer(t *testing.T) {
	s := open(t, t.TempDir())
	evil := "../../../../tmp/evil\x00\n"
	o := s.keep(t, noise(100_000), custody.Object{State: custody.Held, Device: evil, CallingAE: evil, CalledAE: evil, Archive: evil,
		SOPClassUID: evil, SOPInstanceUID: evil, StudyInstanceUID: evil, SeriesInstanceUID: evil, TransferSyntaxUID: evil})
	s.keep(t, noise(10), custody.Object{State: custody.Spooled, SOPInstanceUID: evil, SeriesInstanceUID: "\xff\xfe"})
	err := filepath.WalkDir(s.dir, func(path string, e fs.DirEntry, err error) error {
		if strings.Contains(path, "evil") || strings.Contains(path, "\xff") {
			t.Errorf("file %q", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.get(t, o.ID); got.SOPInstanceUID != evil {
		t.Errorf("%q", got.SOPInstanceUID)
	}
	for _, id := range []string{"", "../x", evil, strings.Repeat("0", 26), o.ID + "0"} {
		if _, err := s.c.OpenBlob(t.Context(), id); !errors.Is(err, custody.ErrNotFound) {
			t.Errorf("%q: %v", id, err)
		}
	}
	if _, err := ledger.VerifyLive(t.Context(), s.db, ledger.VerifyOptions{}); err != nil {
		t.Error(err)
	}
}

func TestDamagedBlobNeverComesToItsEnd(t *testing.T) {
	data := noise(200_000)
	other := bytes.Clone(data)
	other[len(other)-1] ^= 1
	damage := map[string]func(t *testing.T, s site, path string){
		"a bit": func(t *testing.T, s site, path string) {
			p, _ := os.ReadFile(path)
			p[len(p)/2] ^= 4
			os.WriteFile(path, p, 0o600)
		},
		"the last byte": func(t *testing.T, s site, path string) {
			p, _ := os.ReadFile(path)
			p[len(p)-1] ^= 4
			os.WriteFile(path, p, 0o600)
		},
		"cut": func(t *testing.T, s site, path string) { os.Truncate(path, 150_000) },
		"cut between age's chunks": func(t *testing.T, s site, path string) {
			p, _ := os.ReadFile(path)
			os.Truncate(path, int64(len(p))-(200_000-3*65536)-16)
		},
		"empty": func(t *testing.T, s site, path string) { os.Truncate(path, 0) },
		"longer": func(t *testing.T, s site, path string) {
			p, _ := os.ReadFile(path)
			os.WriteFile(path, append(p, 0), 0o600)
		},
		"missing": func(t *testing.T, s site, path string) { os.Remove(path) },
		"swapped": func(t *testing.T, s site, path string) { os.Rename(s.blob(t, s.keep(t, other, held(nil)).ID), path) },
		"shorter": func(t *testing.T, s site, path string) {
			os.Rename(s.blob(t, s.keep(t, data[:150_000], held(nil)).ID), path)
		},
		"extended": func(t *testing.T, s site, path string) {
			os.Rename(s.blob(t, s.keep(t, append(bytes.Clone(data), 0), held(nil)).ID), path)
		},
	}
	for name, do := range damage {
		t.Run(name, func(t *testing.T) {
			s := open(t, t.TempDir())
			o := s.keep(t, data, spooled("1"))
			do(t, s, s.blob(t, o.ID))
			got, err := s.read(t, o.ID)
			if !errors.Is(err, custody.ErrDamaged) {
				t.Errorf("read %d bytes: %v", len(got), err)
			}
			if len(got) >= len(data) {
				t.Errorf("all of %d bytes were read before the error", len(got))
			}
			if err := s.l.Record(t.Context(), "test.flush", nil); err != nil { // takes the alarm along
				t.Fatal(err)
			}
			if o = s.get(t, o.ID); o.Alarm == "" || !o.NeedsAttention {
				t.Errorf("no alarm: %+v", o)
			}
			if kinds := s.kinds(t, o.ID); kinds[len(kinds)-1] != "object.alarm" {
				t.Errorf("%v", kinds)
			}
			if st, err := s.c.Stats(t.Context()); err != nil || st.Alarms != 1 {
				t.Errorf("%+v, %v", st, err)
			}
		})
	}
}

// A disk that cannot read for a while says nothing of what is on it.
func TestBlobThatCannotBeReadNowIsNotDamaged(t *testing.T) {
	s := open(t, t.TempDir())
	data := noise(200_000)
	o := s.keep(t, data, spooled("1"))
	path := s.blob(t, o.ID)
	if err := errors.Join(os.Rename(path, path+".away"), os.Mkdir(path, 0o700)); err != nil { // to read a directory is an error
		t.Fatal(err)
	}
	if _, err := s.read(t, o.ID); err == nil || errors.Is(err, custody.ErrDamaged) || !errors.Is(err, syscall.EISDIR) {
		t.Errorf("got %v", err)
	}
	if err := errors.Join(os.Remove(path), os.Rename(path+".away", path), s.l.Record(t.Context(), "test.flush", nil)); err != nil {
		t.Fatal(err)
	}
	if o = s.get(t, o.ID); o.Alarm != "" || o.NeedsAttention {
		t.Errorf("%+v", o)
	}
	if got, err := s.read(t, o.ID); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestListChooses(t *testing.T) {
	s := open(t, t.TempDir())
	a := s.keep(t, noise(1), held(malicious))
	b := s.keep(t, noise(2), spooled("1.2.1"))
	o := held(suspicious)
	o.Archive, o.Device, o.StudyInstanceUID, o.SOPInstanceUID = "other", "us-1", "9", "9.9"
	c := s.keep(t, noise(3), o)
	tests := []struct {
		f    custody.Filter
		want []string
	}{
		{custody.Filter{}, []string{a.ID, b.ID, c.ID}},
		{custody.Filter{Limit: 2}, []string{a.ID, b.ID}},
		{custody.Filter{After: a.ID}, []string{b.ID, c.ID}},
		{custody.Filter{States: []custody.State{custody.Held}}, []string{a.ID, c.ID}},
		{custody.Filter{States: []custody.State{custody.Spooled, custody.Delivered}}, []string{b.ID}},
		{custody.Filter{Vault: true, Archive: "pacs"}, []string{a.ID}},
		{custody.Filter{Device: "us-1"}, []string{c.ID}},
		{custody.Filter{StudyInstanceUID: "9"}, []string{c.ID}},
		{custody.Filter{SOPInstanceUID: "1.2.3"}, []string{a.ID, b.ID}},
		{custody.Filter{NeedsAttention: true}, nil},
		{custody.Filter{Alarm: true}, nil},
		{custody.Filter{ReviewDue: true}, nil},
		{custody.Filter{Asked: true}, nil},
	}
	for _, test := range tests {
		all, err := s.c.List(t.Context(), test.f)
		var got []string
		for _, o := range all {
			got = append(got, o.ID)
		}
		if err != nil || fmt.Sprint(got) != fmt.Sprint(test.want) {
			t.Errorf("%+v: %v, want %v, %v", test.f, got, test.want, err)
		}
	}
}

func TestVaultItemIsAsPublished(t *testing.T) {
	s := open(t, t.TempDir())
	o := s.keep(t, []byte("abc"), held(malicious))
	text, err := json.Marshal(o.VaultItem())
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`{"id":"%s","state":"held","held_at":"%s","device":"ct-1","calling_ae":"CT1","called_ae":"CORDON","archive":"pacs",`+
		`"sop_class_uid":"1.2.840.10008.5.1.4.1.1.2","sop_instance_uid":"1.2.3","study_instance_uid":"1.2","bytes":3,`+
		`"sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",`+
		`"findings":[{"id":"b","severity":"malicious","where":"(0009,1001)","offset":7,"detail":"x"}]}`, o.ID, o.HeldAt.Format(time.RFC3339Nano))
	if string(text) != want {
		t.Errorf("%s\nwant\n%s", text, want)
	}
}

func TestStatsFollowEveryChange(t *testing.T) {
	s := open(t, t.TempDir())
	a := s.keep(t, noise(10), held(malicious))
	b := s.keep(t, noise(20), spooled("1"))
	s.keep(t, noise(30), spooled("1"))
	ctx := t.Context()
	if err := s.c.Delivered(ctx, b.ID, 0); err != nil {
		t.Fatal(err)
	}
	for _, by := range []string{"A", "B"} {
		if _, err := s.c.Destroy(ctx, a.ID, custody.Request{By: by, Reason: "r"}); err != nil {
			t.Fatal(err)
		}
	}
	st, err := s.c.Stats(ctx)
	if err != nil || len(st.Groups) != 3 || st.Groups[2].Oldest.IsZero() {
		t.Fatalf("%+v, %v", st, err)
	}
	st.Groups[2].Oldest = time.Time{}
	want := []custody.Group{
		{State: "delivered", Archive: "pacs", Objects: 1, Bytes: 20},
		{State: "destroyed", Archive: "pacs", Objects: 1, Bytes: 10},
		{State: "spooled", Archive: "pacs", Objects: 1, Bytes: 30},
	}
	if fmt.Sprint(st.Groups) != fmt.Sprint(want) || st.Spooled != 1 || st.Held != 0 {
		t.Errorf("%+v, %v", st, err)
	}
}

// A device that sends its infected images over and over must not fill the disk.
func TestTheSameHeldObjectIsKeptOnce(t *testing.T) {
	s := open(t, t.TempDir())
	first := s.keep(t, noise(2<<20), held(malicious))
	for range 9 {
		if again := s.keep(t, noise(2<<20), held(malicious)); again.ID != first.ID {
			t.Fatalf("kept again as %s", again.ID)
		}
	}
	st, err := s.c.Stats(t.Context())
	if err != nil || st.Held != 1 {
		t.Errorf("%d held, %v", st.Held, err)
	}
	o, err := s.c.Get(t.Context(), first.ID)
	if err != nil || o.Repeats != 9 {
		t.Errorf("%d repeats, %v; want 9", o.Repeats, err)
	}
	if other := s.keep(t, noise(2<<20+2), held(malicious)); other.ID == first.ID {
		t.Error("other bytes were taken for the same")
	}
	// Once it is released, the next one is a new case.
	for _, by := range []string{"A", "B"} {
		if _, err := s.c.Release(t.Context(), first.ID, custody.Request{By: by, Reason: "r"}); err != nil {
			t.Fatal(err)
		}
	}
	if next := s.keep(t, noise(2<<20), held(malicious)); next.ID == first.ID {
		t.Error("a released object hides the next one")
	}
}
