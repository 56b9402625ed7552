package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cordon/custody"
	"cordon/ledger"
	"cordon/store"
)

// extraction reads a backup into a directory, and holds what it reads against
// the rest.
type extraction struct {
	ctx     context.Context
	dir     string
	all     bool // every file is written; else only the database, which the check needs
	archive *archive
	from    From

	db     *store.DB
	opener *custody.Opener
	keys   map[string]bool                      // that were there, by name
	rows   func() (custody.Stored, error, bool) // the next object that the database names
	stop   func()
	end    end
	report Report
}

// extract reads r to its end. The database is left closed, and brought up to
// date.
func extract(ctx context.Context, r io.Reader, dir string, all bool, from From) (Report, error) {
	a, err := open(r, from)
	if err != nil {
		return Report{}, err
	}
	if err := a.manifest.hasRoom(dir, all); err != nil {
		return Report{}, err
	}
	x := &extraction{ctx: ctx, dir: dir, all: all, archive: a, from: from, stop: func() {}, keys: map[string]bool{}, report: Report{Manifest: a.manifest}}
	err = x.entries()
	x.stop()
	if err == nil {
		err = x.ledger()
	}
	if x.db != nil {
		err = errors.Join(err, x.db.Close())
	}
	return x.report, err
}

// hasRoom makes sure, before anything is written, that there is room for it.
func (m *Manifest) hasRoom(dir string, all bool) error {
	need := 2*m.Database + room // the migrations of a newer version write much of it once more
	if all {
		need += m.ObjectBytes
	}
	free, err := store.Free(dir)
	if err == nil && free < need {
		err = fmt.Errorf("%d MiB are free in %s, and this backup needs %d: %w", free>>20, dir, need>>20, store.ErrFull)
	}
	return err
}

func (x *extraction) entries() error {
	for {
		if err := x.ctx.Err(); err != nil {
			return err
		}
		name, body, err := x.archive.next()
		if err != nil {
			return err
		}
		top, rest, _ := strings.Cut(name, "/")
		switch top {
		case endName:
			return x.ended(body)
		case databaseName:
			err = x.database(body)
		case "keys":
			err = x.key(name, rest, body)
		case "objects":
			err = x.object(name, body)
		case "config":
			x.report.ConfigFiles = append(x.report.ConfigFiles, "/"+rest)
			err = x.other(filepath.Join("restored-config", rest), body)
		case manifestName:
			err = fmt.Errorf("not a backup of Cordon: entry %.100q", name)
		default:
			err = x.other(name, body)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, store.Explain(err))
		}
	}
}

// write writes an entry to the directory.
func (x *extraction) write(name string, body io.Reader) error {
	path := filepath.Join(x.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil { // made durable with the whole tree
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, body)
	return errors.Join(err, f.Close())
}

// other is an entry that nothing else depends on.
func (x *extraction) other(name string, body io.Reader) error {
	x.report.Files++
	if x.all {
		return x.write(name, body)
	}
	_, err := io.Copy(io.Discard, body)
	return err
}

func (x *extraction) database(body io.Reader) error {
	if err := x.write(databaseName, body); err != nil {
		return err
	}
	db, err := store.OpenDB(x.ctx, filepath.Join(x.dir, databaseName), x.from.Migrations)
	if err != nil {
		return err
	}
	x.db = db
	if err := db.Check(x.ctx); err != nil {
		return fmt.Errorf("%w (%w)", ErrDamaged, err)
	}
	x.rows, x.stop = iter.Pull2(custody.AllStored(x.ctx, db))
	return nil
}

// key keeps a key. Objects are opened with one, so that a check needs it, but not on
// a disk.
func (x *extraction) key(name, base string, body io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(body, maxKey+1))
	if err != nil {
		return err
	}
	if len(text) > maxKey {
		return fmt.Errorf("longer than %d bytes: it is no key", maxKey)
	}
	if base == "custody.key" {
		if x.opener, err = custody.NewOpener(text); err != nil {
			return err
		}
	}
	x.keys[base] = true
	if !x.all {
		return nil
	}
	return x.write(name, strings.NewReader(string(text)))
}

// object holds an object against its row. Files come in the order of the rows;
// those that the end will name as missing are passed over.
func (x *extraction) object(name string, body io.Reader) error {
	if x.db == nil || x.opener == nil {
		return errors.New("not a backup of Cordon: objects come after the database and the keys")
	}
	row, err := x.row(name)
	if err != nil {
		return err
	}
	x.end.Objects++
	if x.all {
		file := filepath.Join(x.dir, row.Path)
		if err := x.write(row.Path, body); err != nil || row.Alarm {
			return err
		}
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		return x.opener.Check(f, row)
	}
	if row.Alarm { // it was damaged before the backup, which is on the ledger
		_, err := io.Copy(io.Discard, body)
		return err
	}
	return x.opener.Check(body, row)
}

// row finds the row whose file an entry is.
func (x *extraction) row(name string) (custody.Stored, error) {
	for {
		row, err, ok := x.rows()
		switch {
		case !ok:
			return row, errors.New("not a backup of Cordon: no row of the database is about this object")
		case err != nil:
			return row, err
		case filepath.ToSlash(row.Path) == name:
			return row, nil
		}
		x.end.Missing = append(x.end.Missing, row.ID)
	}
}

// ended holds what was read against what was written.
func (x *extraction) ended(body io.Reader) error {
	if x.db == nil {
		return errors.New("not a backup of Cordon: it has no database")
	}
	if err := complete(func(name string) bool { return x.keys[name] }); err != nil {
		return fmt.Errorf("not a whole backup of Cordon: %w", err)
	}
	var e end
	if err := readNote(body, &e); err != nil {
		return err
	}
	for {
		row, err, ok := x.rows()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		x.end.Missing = append(x.end.Missing, row.ID)
	}
	if e.Objects != x.end.Objects || !slices.Equal(e.Missing, x.end.Missing) {
		return fmt.Errorf("%w (%d objects and %d missing, %d and %d were written)", ErrDamaged, x.end.Objects, len(x.end.Missing), e.Objects, len(e.Missing))
	}
	x.report.Missing = e.Missing
	return x.archive.finish(e)
}

// ledger verifies the whole ledger.
func (x *extraction) ledger() error {
	r, err := ledger.VerifyLive(x.ctx, x.db, ledger.VerifyOptions{Since: []byte(x.report.Checkpoint)})
	if err != nil {
		return err
	}
	x.report.Key, x.report.Signed, x.report.LastRecord = r.Fingerprint, r.TreeSize, r.Last
	return nil
}
