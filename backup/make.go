package backup

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"cordon/custody"
	"cordon/ledger"
	"cordon/store"

	"filippo.io/age"
)

// Config is what a Maker needs to know.
type Config struct {
	Dir     string   // the data directory
	Site    string   // how people call this place
	Version string   // of this Cordon
	Files   []string // the configuration file and those that it names, absolute; one that is not there is left out
}

// Parts are what a Maker works with.
type Parts struct {
	DB      *store.DB
	Custody *custody.Custody
	Ledger  *ledger.Ledger
}

// Maker makes backups of one open data directory, one at a time. Its methods may
// be called from any goroutine.
type Maker struct {
	config Config
	parts  Parts
	making sync.Mutex
}

// New returns a Maker, and removes the copy of the database that a crash in the
// middle of a backup has left: what was erased since then would still be in it.
func New(c Config, p Parts) *Maker {
	os.Remove(filepath.Join(c.Dir, snapshotName)) // Write says it if this fails
	return &Maker{config: c, parts: p}
}

// Made is what a backup holds.
type Made struct {
	Manifest
	Bytes   int64    `json:"bytes"` // of the file
	SHA256  string   `json:"sha256"`
	Missing []string `json:"missing,omitempty"` // objects whose file was not there
}

// room is what the copy of the database leaves free on the disk, in bytes: twice
// what custody keeps for the database.
const room = 256 << 20

// snapshotName is the copy of the database.
const snapshotName = ".backup.db"

// Write writes a backup to w. After an error what was written is no backup.
func (m *Maker) Write(ctx context.Context, w io.Writer, to To) (made Made, err error) {
	if !m.making.TryLock() {
		return made, ErrBusy
	}
	defer m.making.Unlock()
	if err := m.hasRoom(); err != nil {
		return made, fmt.Errorf("backup: %w", err)
	}
	if err := m.parts.Ledger.Record(ctx, "backup.begun", map[string]any{"by": to.By, "to": to.Names}); err != nil {
		return made, fmt.Errorf("backup: %w", err)
	}
	if _, err := m.parts.Ledger.Checkpoint(ctx); err != nil { // so that all that is in it is signed
		return made, fmt.Errorf("backup: %w", err)
	}
	count := &counted{w: w}
	sum := sha256.New()
	made, err = m.write(ctx, io.MultiWriter(count, sum), to)
	if err != nil {
		return made, fmt.Errorf("backup: %w", err)
	}
	made.Bytes, made.SHA256 = count.n, hex.EncodeToString(sum.Sum(nil))
	err = m.parts.Ledger.Record(ctx, "backup.made", map[string]any{
		"by": to.By, "to": to.Names, "sha256": made.SHA256, "bytes": made.Bytes,
		"objects": made.Objects, "missing": len(made.Missing), "records": made.Records,
	})
	return made, err
}

// hasRoom makes sure that the copy of the database takes no room that imaging
// needs.
func (m *Maker) hasRoom() error {
	size, err := m.parts.DB.Size()
	if err != nil {
		return err
	}
	free, err := store.Free(m.config.Dir)
	if err == nil && free < size+room {
		err = fmt.Errorf("%d MiB are free in %s, and a copy of the database needs %d: %w", free>>20, m.config.Dir, (size+room)>>20, store.ErrFull)
	}
	return err
}

// write makes the copy of the database and writes everything.
func (m *Maker) write(ctx context.Context, w io.Writer, to To) (Made, error) {
	defer m.parts.Custody.Pin()()
	snapshot := filepath.Join(m.config.Dir, snapshotName)
	if err := os.Remove(snapshot); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Made{}, err
	}
	defer os.Remove(snapshot)
	var keys map[string][]byte
	made := Made{Manifest: Manifest{Format: format, Version: m.config.Version, Site: m.config.Site, By: to.By, DataFormat: store.Format, MadeAt: time.Now().UTC()}}
	err := m.parts.Ledger.Still(func() (err error) {
		if err = m.parts.DB.Snapshot(ctx, snapshot); err == nil {
			keys, err = readKeys(filepath.Join(m.config.Dir, "keys"))
		}
		if err == nil {
			err = complete(func(name string) bool { return keys[name] != nil })
		}
		return err
	})
	if err != nil {
		return made, err
	}
	db, err := store.OpenCopy(snapshot)
	if err != nil {
		return made, err
	}
	defer db.Close()
	if err := made.Manifest.describe(ctx, db, snapshot); err != nil {
		return made, err
	}
	keys["ledger.last"] = []byte(made.Checkpoint) // the disk's may be of a later moment

	sealed, err := age.Encrypt(w, to.Recipients...)
	if err != nil {
		return made, err
	}
	out := &writer{ctx: ctx, tar: tar.NewWriter(sealed), at: made.MadeAt}
	if err := m.entries(ctx, out, &made.Manifest, db, snapshot, keys); err != nil {
		return made, err
	}
	made.Missing = out.end.Missing
	return made, errors.Join(out.tar.Close(), sealed.Close())
}

// entries writes all of them.
func (m *Maker) entries(ctx context.Context, out *writer, manifest *Manifest, db *store.DB, snapshot string, keys map[string][]byte) error {
	if err := out.json(manifestName, manifest); err != nil {
		return err
	}
	if err := out.file(databaseName, snapshot); err != nil {
		return err
	}
	for name, text := range keys {
		if err := out.bytes("keys/"+name, text); err != nil {
			return err
		}
	}
	for s, err := range custody.AllStored(ctx, db) {
		if err == nil {
			err = out.object(m.parts.Custody, s)
		}
		if err != nil {
			return err
		}
	}
	for _, folder := range folders {
		if err := out.folder(m.config.Dir, folder); err != nil {
			return err
		}
	}
	for _, name := range m.config.Files {
		if err := out.optional(configPrefix+strings.TrimPrefix(name, "/"), name); err != nil {
			return err
		}
	}
	return out.json(endName, &out.end)
}

// describe fills in what the copy of the database says.
func (m *Manifest) describe(ctx context.Context, db *store.DB, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	m.Database = info.Size()
	if m.Schema, err = store.SchemaIn(ctx, db); err != nil {
		return err
	}
	if m.Records, err = ledger.Size(ctx, db); err != nil {
		return err
	}
	if m.Checkpoint, err = ledger.LastCheckpoint(ctx, db); err != nil {
		return err
	}
	for s, err := range custody.AllStored(ctx, db) {
		if err != nil {
			return err
		}
		m.Objects++
		m.ObjectBytes += s.Bytes
	}
	return nil
}

// maxKey bounds a file of keys, in bytes.
const maxKey = 64 << 10

// readKeys reads every file of the folder of keys.
func readKeys(dir string) (map[string][]byte, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	keys := map[string][]byte{}
	for _, e := range entries {
		if !e.Type().IsRegular() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		f, err := os.Open(filepath.Join(dir, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // a file that is written anew has another name for a moment
		}
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(io.LimitReader(f, maxKey+1))
		f.Close()
		if err == nil && len(text) > maxKey {
			err = fmt.Errorf("%s: longer than %d bytes: it is no key", f.Name(), maxKey)
		}
		if err != nil {
			return nil, err
		}
		keys[e.Name()] = text
	}
	return keys, nil
}

// needed are the keys without which a restore gives nothing back: what is held
// cannot be read, or the ledger cannot be continued.
var needed = [...]string{"custody.key", "ledger.key", "ledger.seal"}

// complete is an error unless the needed keys are there.
func complete(has func(name string) bool) error {
	for _, name := range needed {
		if !has(name) {
			return fmt.Errorf("keys/%s is missing: without it nothing that is restored can be used; put it back from an earlier backup", name)
		}
	}
	return nil
}

// writer writes entries and counts them.
type writer struct {
	ctx context.Context
	tar *tar.Writer
	at  time.Time
	end end
}

func (w *writer) head(name string, size int64) error {
	w.end.Entries++
	return w.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: w.at.Truncate(time.Second), Format: tar.FormatPAX})
}

func (w *writer) bytes(name string, text []byte) error {
	if err := w.head(name, int64(len(text))); err != nil {
		return err
	}
	_, err := w.tar.Write(text)
	return err
}

func (w *writer) json(name string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return w.bytes(name, append(text, '\n'))
}

func (w *writer) file(name, from string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	return w.opened(name, f)
}

// opened copies an open file of which nothing is changed any more, and closes it.
func (w *writer) opened(name string, f *os.File) error {
	defer f.Close()
	if err := w.ctx.Err(); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := w.head(name, info.Size()); err != nil {
		return err
	}
	if _, err := io.CopyN(w.tar, f, info.Size()); err != nil {
		return fmt.Errorf("copying %s: %w", f.Name(), err)
	}
	return nil
}

// optional is file, of one that need not be there any more.
func (w *writer) optional(name, from string) error {
	f, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return w.opened(name, f)
}

// object copies an object's file. One that is not there is named in the end.
func (w *writer) object(c *custody.Custody, s custody.Stored) error {
	f, err := c.OpenStored(s.ID)
	if errors.Is(err, fs.ErrNotExist) {
		if w.end.Missing = append(w.end.Missing, s.ID); len(w.end.Missing) > maxMissing {
			return errors.New("more than 10,000 objects are missing here: look at the disk")
		}
		return nil
	}
	if err != nil {
		return err
	}
	w.end.Objects++
	return w.opened(filepath.ToSlash(s.Path), f)
}

// folder copies the files in one of the data directory's. Names that begin with
// a dot are files that are not finished.
func (w *writer) folder(dir, name string) error {
	return filepath.WalkDir(filepath.Join(dir, name), func(file string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case !e.Type().IsRegular() || strings.HasPrefix(e.Name(), "."):
			return nil
		}
		within, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		return w.optional(path.Clean(filepath.ToSlash(within)), file)
	})
}

// counted counts what is written.
type counted struct {
	w io.Writer
	n int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
