// Package backup copies a whole data directory into one encrypted file while
// Cordon runs, and makes a data directory of such a file again.
//
// Ordinary use:
//
//	m := backup.New(backup.Config{Dir: dir, Site: site, Version: version}, backup.Parts{DB: db, Custody: c, Ledger: l})
//	made, err := m.Write(ctx, w, backup.To{Recipients: rs, Names: names, By: "Ada Ashe"})
//	report, err := backup.Verify(ctx, file, backup.From{Identities: ids, Migrations: all, Scratch: tmp})
//	report, err = backup.Restore(ctx, file, dir, backup.From{Identities: ids, Migrations: all, By: …, Reason: …})
//
// The file is one age stream (age-encryption.org/v1) around one tar archive:
// first manifest.json, then cordon.db, the keys, the files of custody in the
// order of their rows, what else lies in the data directory, the configuration,
// and last end.json with the number of entries. So what was cut off anywhere is
// known to be cut off, what was changed anywhere does not decrypt, and whoever
// has the file alone reads nothing.
//
// The life of a backup: it is recorded; files of custody stay from here on even
// if they are delivered; the database is copied as it is at one moment, to a
// file beside it; the keys are read while none can be replaced; then everything
// is streamed, and its digest recorded. What was acknowledged before that moment
// is in it. Updates wait for nothing.
//
// The life of a restore: into a directory of its own in the empty data
// directory, each object being held against its row, the ledger against its
// signatures; the record that it was restored is appended; all is synced; only
// then the entries move to their place, the database last. Cut off anywhere, it
// leaves a directory that Cordon does not start on (Unfinished) and that the next
// restore begins anew.
//
// It knows nothing of what happened after the backup was made, except from what
// outlived the directory: see After. It does not schedule, copy elsewhere, or
// delete old files.
package backup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"cordon/store"

	"filippo.io/age"
)

// format is that of the files written here; older ones are read.
const format = 1

// Manifest is the first entry.
type Manifest struct {
	Format      int          `json:"cordon_backup"`
	Version     string       `json:"version"` // of the Cordon that made it
	Site        string       `json:"site"`
	MadeAt      time.Time    `json:"made_at"` // the moment that it shows
	By          string       `json:"by"`
	DataFormat  int          `json:"data_format"` // of the data directory
	Schema      store.Schema `json:"schema"`      // of the database
	Database    int64        `json:"database_bytes"`
	Objects     int64        `json:"objects"`      // spooled and held
	ObjectBytes int64        `json:"object_bytes"` // of them, before encryption
	Records     int64        `json:"records"`      // on the ledger
	Checkpoint  string       `json:"checkpoint"`   // its last, signed
}

// end is the last entry.
type end struct {
	Entries int64    `json:"entries"`           // before it
	Objects int64    `json:"objects"`           // of these
	Missing []string `json:"missing,omitempty"` // objects whose file was not there
}

// What the entries are called. Files of the data directory keep their path.
const (
	manifestName = "manifest.json"
	databaseName = "cordon.db"
	endName      = "end.json"
	configPrefix = "config/" // and the absolute path
)

// folders of the data directory that are copied as they are.
var folders = [...]string{"pki", "rescan", "archive", "deadman"}

// maxMissing bounds the objects that a backup may lack and still be made.
const maxMissing = 10_000

var (
	// ErrDamaged means that the file is not, to the bit, what was written.
	ErrDamaged = errors.New("the backup is damaged or was cut off: use another one")
	// ErrNewer means that this version is too old for the file.
	ErrNewer = errors.New("the backup is of a newer Cordon: restore it with that version or a later one")
	// ErrNotEmpty means that there is something where a restore would write.
	ErrNotEmpty = errors.New("a restore needs an empty directory: move what is there away, and keep it")
	// ErrBusy means that one is being made already.
	ErrBusy = errors.New("another backup is being made: wait for its end")
)

// To says whom a backup is encrypted to, and who wants it.
type To struct {
	Recipients []age.Recipient
	Names      []string // of the recipients, as the ledger has them: public keys, or "passphrase"
	By         string
}

// From says how a backup is read.
type From struct {
	Identities []age.Identity
	Migrations []store.Migrations // those of this version
	Scratch    string             // Verify: a directory for a copy of the database, decrypted
	By, Reason string             // Restore: for the ledger
}

// Report is what was found in a backup that is whole.
type Report struct {
	Manifest
	Key         string    `json:"key"` // fingerprint of the ledger's, to compare with the one on paper
	Signed      int64     `json:"signed_records"`
	LastRecord  time.Time `json:"last_record"`
	Missing     []string  `json:"missing,omitempty"` // objects that were lost before the backup
	Files       int64     `json:"files"`
	ConfigFiles []string  `json:"config_files,omitempty"` // where they were
}

// unfinishedName is the directory that a restore works in.
const unfinishedName = ".restoring"

// Unfinished is an error if a restore into the data directory was cut off.
func Unfinished(dir string) error {
	if _, err := os.Lstat(filepath.Join(dir, unfinishedName)); err != nil {
		return nil
	}
	return fmt.Errorf("a restore into %s was cut off: run the same cordon restore again", dir)
}
