package store

import (
	"errors"
	"fmt"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrFull is matched by every error that means that there is no room to write.
var ErrFull = errors.New("no space left for Cordon's data: free space on its disk; nothing was lost, and work goes on when there is room")

// Explain adds to an error of the operating system or of SQLite what a person
// can do about it. Other errors are returned as they are.
func Explain(err error) error {
	var sq *sqlite.Error
	switch {
	case err == nil || errors.Is(err, ErrFull):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT),
		errors.As(err, &sq) && (sq.Code()&0xff == sqlite3.SQLITE_FULL || sq.Code() == sqlite3.SQLITE_IOERR_SHMSIZE): // the second when a database is opened
		return fmt.Errorf("%w (%w)", err, ErrFull)
	case errors.Is(err, syscall.EROFS),
		errors.As(err, &sq) && sq.Code()&0xff == sqlite3.SQLITE_READONLY:
		return fmt.Errorf("%w (the disk is read-only; it may have failed: look at the system log)", err)
	case errors.As(err, &sq) && sq.Code()&0xff == sqlite3.SQLITE_CORRUPT,
		errors.As(err, &sq) && sq.Code()&0xff == sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%w (the database is damaged: keep the data directory as it is and restore a backup beside it)", err)
	case errors.As(err, &sq) && sq.Code()&0xff == sqlite3.SQLITE_BUSY:
		return fmt.Errorf("%w (another process uses the database: stop it)", err)
	}
	return err
}

// Free returns how many bytes the disk that holds path has left for us.
func Free(path string) (int64, error) {
	r, err := RoomOf(path)
	return r.Bytes, err
}
