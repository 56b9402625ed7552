package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// Format is the layout of the data directory that this version writes. It
// changes when an older version could no longer read what a newer one wrote
// beside the database, whose own tables are checked by their migrations.
const Format = 1

// lockLine is the lock file's content. Its length never changes, so that it is
// overwritten in one piece.
const lockLine = "cordon-data format %04d process %010d\n"

// DirLock is the right to use a data directory. The operating system takes it
// back when the process ends, however it ends.
type DirLock struct{ f *os.File }

// Lock takes a data directory for this process, and makes it if it is not
// there. It names the process that has it, and refuses a directory that a newer
// version has written.
func Lock(dir string) (*DirLock, error) {
	if err := MakeDir(dir); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", Explain(err))
	}
	if err := lock(dir, f); err != nil {
		f.Close()
		return nil, err
	}
	return &DirLock{f}, nil
}

func lock(dir string, f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	format, pid, readErr := readLock(f)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return fmt.Errorf("data directory %s is in use by process %d: stop it, or choose another directory", dir, pid)
	case err != nil:
		return fmt.Errorf("locking data directory %s: %w", dir, err)
	case readErr != nil:
		return fmt.Errorf("data directory %s: %w", dir, readErr)
	case format > Format:
		return fmt.Errorf("data directory %s was written by a newer Cordon (format %d, this version knows %d); run that version, or restore a backup of before the upgrade into an empty directory (cordon restore)", dir, format, Format)
	}
	if _, err := f.WriteAt(fmt.Appendf(nil, lockLine, Format, os.Getpid()), 0); err != nil {
		return fmt.Errorf("locking data directory %s: %w", dir, Explain(err))
	}
	return Explain(f.Sync())
}

// readLock reads what the last holder wrote; an empty file is a new directory.
func readLock(f *os.File) (format, pid int, err error) {
	line := make([]byte, len(fmt.Sprintf(lockLine, 0, 0)))
	n, _ := f.ReadAt(line, 0)
	if n == 0 {
		return 0, 0, nil
	}
	if _, err := fmt.Sscanf(string(line[:n]), lockLine, &format, &pid); err != nil {
		return 0, 0, fmt.Errorf("%s is not a lock file of Cordon: choose another directory", f.Name())
	}
	return format, pid, nil
}

// Unlock gives the directory back.
func (l *DirLock) Unlock() error { return l.f.Close() }
