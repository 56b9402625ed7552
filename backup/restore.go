package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"cordon/ledger"
	"cordon/store"
)

// Verify reads a backup to its end and holds all of it against the rest: each
// object against its row, the ledger against its signatures. It writes to a
// directory in From.Scratch, which is removed.
func Verify(ctx context.Context, r io.Reader, from From) (Report, error) {
	dir, err := os.MkdirTemp(from.Scratch, ".cordon-verify-*")
	if err != nil {
		return Report{}, fmt.Errorf("verifying backup: %w", store.Explain(err))
	}
	defer os.RemoveAll(dir)
	report, err := extract(ctx, r, dir, false, from)
	if err != nil {
		return report, fmt.Errorf("verifying backup: %w", err)
	}
	return report, nil
}

// Restore makes a data directory of a backup. dir is empty, not there, or one
// that an earlier restore was cut off in. What is written belongs to the owner of
// dir, if it is there. The configuration files are left in restored-config.
func Restore(ctx context.Context, r io.Reader, dir string, from From) (report Report, err error) {
	if err := vacant(dir); err != nil {
		return report, err
	}
	lock, err := store.Lock(dir)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	if err := vacant(dir); err != nil { // another restore may have ended meanwhile
		return report, err
	}
	work := filepath.Join(dir, unfinishedName)
	if err := begin(dir, work); err != nil {
		return report, fmt.Errorf("restoring: %w", store.Explain(err))
	}
	report, err = extract(ctx, r, work, true, from)
	if err == nil {
		err = record(ctx, work, report.Manifest, from)
	}
	if err != nil {
		return report, fmt.Errorf("restoring: %w", errors.Join(store.Explain(err), os.RemoveAll(work)))
	}
	if err := settle(dir, work); err != nil { // work stays: without it half a directory would look like one
		return report, fmt.Errorf("restoring: %w (run the same command again)", store.Explain(err))
	}
	return report, nil
}

// lockName is the file that store.Lock makes.
const lockName = "lock"

// vacant is ErrNotEmpty if there is anything in dir but a restore that was cut
// off.
func vacant(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if Unfinished(dir) != nil {
		return nil // Cordon never started on it: all that is in it is the restore's
	}
	for _, e := range entries {
		if e.Name() != lockName {
			return fmt.Errorf("%w (%s holds %s)", ErrNotEmpty, dir, e.Name())
		}
	}
	return nil
}

// begin removes what a restore that was cut off has left, its directory last, and
// begins a new one.
func begin(dir, work string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if name := e.Name(); name != lockName && name != unfinishedName {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	if err := os.RemoveAll(work); err != nil {
		return err
	}
	return store.MakeDir(work)
}

// record opens the ledger that was restored, and has it say so.
func record(ctx context.Context, dir string, m Manifest, from From) error {
	db, err := store.OpenDB(ctx, filepath.Join(dir, databaseName), from.Migrations)
	if err != nil {
		return err
	}
	defer db.Close()
	l, err := ledger.Open(ctx, db, filepath.Join(dir, "keys", "ledger.key"), m.Site)
	if err != nil {
		return err
	}
	err = l.Record(ctx, "backup.restored", map[string]any{
		"by": from.By, "reason": from.Reason, "made_at": m.MadeAt.UTC().Format(time.RFC3339), "records": m.Records, "objects": m.Objects,
	})
	if err != nil {
		return err
	}
	over, cancel := context.WithCancelCause(ctx)
	cancel(errors.New("the restore has ended"))
	if err := l.Run(over); err != nil { // signs, and records the end
		return err
	}
	return db.Close()
}

// settle makes everything durable and gives it its place, the database last:
// without one a directory is no data directory.
func settle(dir, work string) error {
	if err := ownAs(dir, work); err != nil {
		return err
	}
	if err := store.SyncTree(work); err != nil {
		return err
	}
	entries, err := os.ReadDir(work)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == databaseName {
			continue
		}
		if err := os.Rename(filepath.Join(work, e.Name()), filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	if err := os.Rename(filepath.Join(work, databaseName), filepath.Join(dir, databaseName)); err != nil {
		return err
	}
	if err := store.SyncDir(dir); err != nil {
		return err
	}
	if err := os.Remove(work); err != nil {
		return err
	}
	return store.SyncDir(dir)
}

// ownAs gives everything in work, and the lock, to the owner of dir.
func ownAs(dir, work string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	uid, gid := int(owner.Uid), int(owner.Gid)
	if err := os.Lchown(filepath.Join(dir, lockName), uid, gid); err != nil {
		return err
	}
	return filepath.WalkDir(work, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, gid)
	})
}
