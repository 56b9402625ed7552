package store

import (
	"fmt"
	"io"
	"os"
)

// ReadPrivate reads a file that only its owner may read, such as a key. One that
// others can read is no secret any more, so it is an error that says what to do.
func ReadPrivate(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read or changed by others (mode %04o): find out who did that, then chmod 600 it", path, mode)
	}
	return io.ReadAll(io.LimitReader(f, maxPrivate))
}

// maxPrivate bounds a key file, in bytes.
const maxPrivate = 64 << 10
