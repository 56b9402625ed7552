package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"cordon/ledger"
	"cordon/ledger/witness"
	"cordon/store"

	"golang.org/x/mod/sumdb/note"
)

// A scene is a ledger under a witness, and what was kept of it elsewhere.
type scene struct {
	t       *testing.T
	site    site
	witness ledger.Witness
	key     string // of the ledger, pinned
	cosigns string // key of the witness, pinned
	early   []byte // an export made before
	export  []byte // the one that is attacked
	lines   [][]byte
}

func newScene(t *testing.T) *scene {
	other := open(t, t.TempDir())
	db, err := store.OpenDB(t.Context(), filepath.Join(t.TempDir(), "w.db"), []store.Migrations{ledger.Migrations(), witness.Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	s := open(t, t.TempDir())
	w, err := witness.Open(t.Context(), db, filepath.Join(t.TempDir(), "witness.key"), "Other Site", []string{s.l.Key()}, other.l)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(w.Handler())
	t.Cleanup(server.Close)
	c := &scene{
		t: t, site: s, key: s.l.Key(), cosigns: w.Key().String(),
		witness: witness.Client{URL: server.URL, Opens: w.Key(), Client: http.DefaultClient},
	}
	s.record(t, 3)
	c.early = c.cosigned(s)
	s.record(t, 5)
	c.export = c.cosigned(s)
	c.lines = bytes.SplitAfter(c.export, []byte("\n"))
	return c
}

// cosigned exports under the witness; its refusal is the error of the state.
func (c *scene) cosigned(s site) []byte {
	c.t.Helper()
	out, err := c.shown(s)
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

func (c *scene) shown(s site) ([]byte, error) {
	ctx, cancel := context.WithCancel(c.t.Context())
	done := make(chan struct{})
	before := len(s.l.Witnesses())
	go func() { defer close(done); s.l.Witness(ctx, c.witness, time.Hour) }()
	defer func() { cancel(); <-done }()
	for len(s.l.Witnesses()) == before {
		time.Sleep(time.Millisecond)
	}
	out := s.export(c.t)
	if state := s.l.Witnesses()[before]; state.Error != "" {
		return nil, errors.New(state.Error)
	}
	return out, nil
}

func (c *scene) verify(export []byte) error {
	_, err := ledger.Verify(bytes.NewReader(export), ledger.VerifyOptions{})
	return err
}

func (c *scene) pinned(export []byte) error {
	_, err := ledger.Verify(bytes.NewReader(export), ledger.VerifyOptions{Key: c.key})
	return err
}

func (c *scene) witnessed(export []byte) error {
	_, err := ledger.Verify(bytes.NewReader(export), ledger.VerifyOptions{Witnesses: []string{c.cosigns}})
	return err
}

func (c *scene) since(export []byte) error {
	old, err := ledger.ReadCheckpoint(bytes.NewReader(c.early))
	if err != nil {
		c.t.Fatal(err)
	}
	_, err = ledger.Verify(bytes.NewReader(export), ledger.VerifyOptions{Since: old})
	return err
}

// each attacks in every way there is; the first that is not found is no error.
func each(n int, attack func(i int) error) (err error) {
	for i := range n {
		if err = attack(i); err == nil {
			return nil
		}
	}
	return err
}

// without are the lines but one.
func (c *scene) without(i int) []byte {
	return bytes.Join(append(append([][]byte{}, c.lines[:i]...), c.lines[i+1:]...), nil)
}

// rewritten is the export with another record 2, or without its end, signed anew.
func (c *scene) rewritten(signer note.Signer, key string, records int) []byte {
	lines := bytes.Split(c.export, []byte("\n"))[:1+records]
	lines[0] = fmt.Appendf(nil, `{"cordon-ledger":2,"cosigned":[],"key":%q,"records":%d,"witnesses":[]}`, key, records)
	lines[3] = bytes.Replace(lines[3], []byte(`"i":1`), []byte(`"i":7`), 1)
	return resign(c.t, signer, lines)
}

func (c *scene) stolen() []byte { return c.rewritten(signerOf(c.t, c.site.dir), c.key, 9) }

func (c *scene) foreign() []byte {
	other := open(c.t, c.t.TempDir())
	return c.rewritten(signerOf(c.t, other.dir), other.l.Key(), 9)
}

// rolledBack is the ledger with its database as it was some records ago; the keys
// folder too if all is true.
func (c *scene) rolledBack(all bool) site {
	dir := c.t.TempDir()
	s := open(c.t, dir)
	s.record(c.t, 2)
	stop(c.t, s)
	copied := c.t.TempDir()
	copyDir(c.t, copied, dir)
	db := openDB(c.t, dir)
	l, err := ledger.Open(c.t.Context(), db, filepath.Join(dir, "keys", "ledger.key"), "")
	if err != nil {
		c.t.Fatal(err)
	}
	s = site{dir, db, l}
	s.record(c.t, 7)
	stop(c.t, s)
	if !all {
		if err := os.RemoveAll(filepath.Join(copied, "keys")); err != nil {
			c.t.Fatal(err)
		}
		copyDir(c.t, filepath.Join(copied, "keys"), filepath.Join(dir, "keys"))
	}
	return open(c.t, copied)
}

func copyDir(t testing.TB, to, from string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	secrets, err := filepath.Glob(filepath.Join(to, "*ledger.*"))
	if err != nil {
		t.Fatal(err)
	}
	more, _ := filepath.Glob(filepath.Join(to, "keys", "*"))
	for _, path := range append(secrets, more...) {
		if err := os.Chmod(path, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// edited is what verifying a database says after an edit of its rows.
func (c *scene) edited(statements ...string) error {
	s := open(c.t, c.t.TempDir())
	s.record(c.t, 5)
	if _, err := s.l.Checkpoint(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	err := s.db.Update(c.t.Context(), func(tx *store.Tx) error {
		for _, sql := range append([]string{`DROP TRIGGER ledger_records_keep`, `DROP TRIGGER ledger_records_stay`, `DROP TRIGGER ledger_hashes_keep`, `DROP TRIGGER ledger_checkpoints_stay`}, statements...) {
			if _, err := tx.Exec(sql); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
	_, err = ledger.VerifyLive(c.t.Context(), s.db, ledger.VerifyOptions{})
	return err
}

// started is what the start on a rolled-back database says.
func started(s site) error {
	if s.l.Start().RolledBack {
		return errors.New("the start is not intact: more records were signed than are here")
	}
	return nil
}

// tampering is attack × detected by × message. Each must fail.
var tampering = []struct {
	attack, by string
	run        func(c *scene) error
}{
	{"any byte of an export changed (each one tried)", "verify", func(c *scene) error {
		return each(len(c.export), func(i int) error {
			changed := bytes.Clone(c.export)
			changed[i] ^= 1 << (i % 8)
			return c.verify(changed)
		})
	}},
	{"a record taken out (each)", "verify", func(c *scene) error { return each(9, func(i int) error { return c.verify(c.without(1 + i)) }) }},
	{"two records swapped (each pair of neighbours)", "verify", func(c *scene) error {
		return each(8, func(i int) error {
			lines := append([][]byte{}, c.lines...)
			lines[1+i], lines[2+i] = lines[2+i], lines[1+i]
			return c.verify(bytes.Join(lines, nil))
		})
	}},
	{"a record repeated (each)", "verify", func(c *scene) error {
		return each(9, func(i int) error {
			return c.verify(bytes.Join(append(append(append([][]byte{}, c.lines[:2+i]...), c.lines[1+i]), c.lines[2+i:]...), nil))
		})
	}},
	{"cut off after any line", "verify", func(c *scene) error {
		return each(len(c.lines)-1, func(i int) error { return c.verify(bytes.Join(c.lines[:i], nil)) })
	}},
	{"cut off after any byte", "verify", func(c *scene) error {
		return each(len(c.export), func(i int) error { return c.verify(c.export[:i]) })
	}},
	{"a body taken out as if it had been pruned", "verify", func(c *scene) error {
		leaf, err := ledger.Leaf(bytes.TrimSuffix(c.lines[3], []byte("\n")))
		if err != nil {
			return nil
		}
		lines := append([][]byte{}, c.lines...)
		lines[3] = append(leaf, '\n')
		return c.verify(bytes.Join(lines, nil))
	}},
	{"a record changed, all signed anew with another key", "verify --key", func(c *scene) error { return c.pinned(c.foreign()) }},
	{"the same", "verify --witness", func(c *scene) error { return c.witnessed(c.foreign()) }},
	{"a record changed, all signed anew with the stolen key", "verify --since", func(c *scene) error { return c.since(c.stolen()) }},
	{"the same", "verify --witness", func(c *scene) error { return c.witnessed(c.stolen()) }},
	{"the end cut off, the rest signed anew with the stolen key", "verify --since", func(c *scene) error {
		return c.since(c.rewritten(signerOf(c.t, c.site.dir), c.key, 3))
	}},
	{"cosignatures taken off", "verify --witness", func(c *scene) error { return c.witnessed(c.rewritten(signerOf(c.t, c.site.dir), c.key, 9)) }},
	{"an older export in the place of a newer", "verify --since", func(c *scene) error {
		c.early, c.export = c.export, c.early
		return c.since(c.export)
	}},
	{"another ledger's export in its place", "verify --since", func(c *scene) error {
		other := open(c.t, c.t.TempDir())
		other.record(c.t, 9)
		return c.since(other.export(c.t))
	}},
	{"the head of one export, the records of another", "verify", func(c *scene) error {
		early := bytes.SplitAfter(c.early, []byte("\n"))
		return c.verify(bytes.Join(append([][]byte{early[0]}, c.lines[1:]...), nil))
	}},
	{"any byte of a proof changed (each one tried)", "verify", func(c *scene) error {
		proof := c.site.prove(c.t, 3)
		return each(len(proof), func(i int) error {
			changed := bytes.Clone(proof)
			changed[i] ^= 1 << (i % 8)
			_, err := ledger.VerifyProof(bytes.NewReader(changed), ledger.VerifyOptions{})
			return err
		})
	}},
	{"database put back from an older copy", "the next start", func(c *scene) error { return started(c.rolledBack(false)) }},
	{"the whole data directory put back from an older copy", "the witness", func(c *scene) error {
		dir := c.t.TempDir()
		stop(c.t, c.site)
		copyDir(c.t, dir, c.site.dir)
		now := open(c.t, c.site.dir)
		now.record(c.t, 20)
		c.cosigned(now)
		_, err := c.shown(open(c.t, dir))
		return err
	}},
	{"a second history shown to the witness", "the witness", func(c *scene) error {
		dir := c.t.TempDir()
		stop(c.t, c.site)
		copyDir(c.t, dir, c.site.dir)
		now := open(c.t, c.site.dir)
		now.record(c.t, 20)
		c.cosigned(now)
		fork := open(c.t, dir)
		fork.record(c.t, 40)
		_, err := c.shown(fork)
		return err
	}},
	{"row of a record changed in the running database", "verify", func(c *scene) error {
		return c.edited(`UPDATE ledger_records SET data = CAST(replace(CAST(data AS TEXT), '"i":1', '"i":7') AS BLOB) WHERE seq = 2`)
	}},
	{"row of a record deleted", "verify", func(c *scene) error { return c.edited(`DELETE FROM ledger_records WHERE seq = 3`) }},
	{"last rows deleted", "verify", func(c *scene) error { return c.edited(`DELETE FROM ledger_records WHERE seq > 3`) }},
	{"last rows and their checkpoints deleted", "verify", func(c *scene) error {
		return c.edited(`DELETE FROM ledger_records WHERE seq > 3`, `DELETE FROM ledger_checkpoints WHERE size > 4`)
	}},
	{"last rows with their checkpoints and hashes deleted", "the next start", func(c *scene) error {
		stop(c.t, c.site)
		db := openDB(c.t, c.site.dir)
		err := db.Update(c.t.Context(), func(tx *store.Tx) error {
			for _, sql := range []string{
				`DROP TRIGGER ledger_records_stay`, `DROP TRIGGER ledger_hashes_stay`, `DROP TRIGGER ledger_checkpoints_stay`,
				`DELETE FROM ledger_records WHERE seq > 3`, `DELETE FROM ledger_hashes WHERE idx >= 7`, `DELETE FROM ledger_checkpoints WHERE size > 4`,
			} {
				if _, err := tx.Exec(sql); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			c.t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			c.t.Fatal(err)
		}
		return started(open(c.t, c.site.dir))
	}},
	{"a hash of the tree changed", "verify", func(c *scene) error {
		return c.edited(`UPDATE ledger_hashes SET hash = zeroblob(32) WHERE idx = 4`)
	}},
	{"the clock set back by an hour", "a record", func(c *scene) error {
		s := open(c.t, c.t.TempDir())
		s.l.SetNow(func() time.Time { return time.Now().Round(0).Add(-time.Hour) })
		s.record(c.t, 1)
		return c.kind(s, "ledger.clock")
	}},
	{"records that could not be written", "a record", func(c *scene) error {
		s := open(c.t, c.t.TempDir())
		s.l.Missed(errors.New("disk full"))
		stop(c.t, s)
		return c.kind(open(c.t, s.dir), "ledger.lost")
	}},
}

// kind is the record of that kind, if it is there and all verifies.
func (c *scene) kind(s site, kind string) (found error) {
	err := s.l.Tail(c.t.Context(), 100, func(r ledger.Record) error {
		if r.Kind == kind {
			found = fmt.Errorf("%s %s", r.Kind, r.Body)
		}
		return nil
	})
	if err == nil {
		err = c.verify(s.export(c.t))
	}
	if err != nil {
		c.t.Error(err)
	}
	return found
}

// varying is what differs from run to run in a message.
var varying = []struct {
	find *regexp.Regexp
	put  string
}{
	{regexp.MustCompile(`SHA256:[A-Za-z0-9+/]+`), "SHA256:…"},
	{regexp.MustCompile(`[^ (]+\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+`), "KEY"},
	{regexp.MustCompile(`[A-Za-z0-9+/]{43}=`), "HASH"},
	{regexp.MustCompile(`[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z`), "TIME"},
	{regexp.MustCompile(`Example-Hospital/[0-9a-f]{8}(\+[0-9a-f]{8})?`), "ORIGIN"},
	{regexp.MustCompile(`remembers [0-9]+ records and here are [0-9]+`), "remembers 31 records and here are 11"},
	{regexp.MustCompile(`"seconds":-[0-9]+`), `"seconds":-3600`},
}

func TestEachTamperingIsDetectedAndNamed(t *testing.T) {
	var table strings.Builder
	table.WriteString("| attack | detected by | message |\n|---|---|---|\n")
	for _, test := range tampering {
		err := test.run(newScene(t))
		if err == nil {
			t.Errorf("%s: not detected by %s", test.attack, test.by)
			continue
		}
		message := err.Error()
		for _, v := range varying {
			message = v.find.ReplaceAllString(message, v.put)
		}
		fmt.Fprintf(&table, "| %s | %s | %s |\n", test.attack, test.by, strings.ReplaceAll(message, "|", `\|`))
	}
	t.Log("\n" + table.String())
	if !t.Failed() {
		section(t, "tampering", table.String())
	}
}
