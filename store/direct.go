package store

import (
	"errors"
	"os"
	"syscall"
	"unsafe"
)

// directBlock is what file systems want writes past the page cache aligned to,
// in memory and in the file, in bytes.
const directBlock = 4096

// DirectBuffer is how many bytes a Direct gathers for one write.
const DirectBuffer = 256 << 10

// NewDirectBuffer makes memory for a Direct, as the kernel wants it aligned.
func NewDirectBuffer() []byte {
	p := make([]byte, DirectBuffer+directBlock)
	off := int(-uintptr(unsafe.Pointer(unsafe.SliceData(p))) % directBlock)
	return p[off : off+DirectBuffer : off+DirectBuffer]
}

// ErrNotDirect means that a file system takes no writes past the page cache.
var ErrNotDirect = errors.New("file system takes no direct writes")

// Direct writes a new file past the page cache (open(2), O_DIRECT): what is to
// be synced at once and read later, or never, costs half the processor then, and
// pushes nothing out of memory. Its methods belong to one goroutine.
type Direct struct {
	file   *os.File
	buffer []byte // aligned; its length is what is gathered
}

// CreateDirect makes the file, which must not be there. buffer is a
// DirectBuffer's, which nobody else uses until Finish. The error is
// ErrNotDirect, from here or from a write, where it cannot be done: the caller
// removes the file and writes it as any other.
func CreateDirect(path string, perm os.FileMode, buffer []byte) (*Direct, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|syscall.O_DIRECT, perm)
	if err != nil {
		return nil, notDirect(err)
	}
	return &Direct{file: f, buffer: buffer[:0]}, nil
}

func notDirect(err error) error {
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EOPNOTSUPP) {
		return errors.Join(ErrNotDirect, err)
	}
	return err
}

// File is the file, which the caller syncs and closes.
func (d *Direct) File() *os.File { return d.file }

// Write gathers, and writes whole buffers.
func (d *Direct) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		n := min(len(p), cap(d.buffer)-len(d.buffer))
		d.buffer = append(d.buffer, p[:n]...)
		p = p[n:]
		if len(d.buffer) == cap(d.buffer) {
			if err := d.flush(len(d.buffer)); err != nil {
				return 0, err
			}
		}
	}
	return total, nil
}

// flush writes the first n bytes gathered, a multiple of directBlock.
func (d *Direct) flush(n int) error {
	if n == 0 {
		return nil
	}
	if _, err := d.file.Write(d.buffer[:n]); err != nil {
		return notDirect(err)
	}
	d.buffer = d.buffer[:copy(d.buffer[:cap(d.buffer)], d.buffer[n:])]
	return nil
}

// Finish writes what is left, the last part of a block the usual way. The file
// is not synced.
func (d *Direct) Finish() error {
	if err := d.flush(len(d.buffer) &^ (directBlock - 1)); err != nil || len(d.buffer) == 0 {
		return err
	}
	if err := d.undirect(); err != nil {
		return err
	}
	_, err := d.file.Write(d.buffer)
	return err
}

// undirect has the rest go through the page cache.
func (d *Direct) undirect() error {
	conn, err := d.file.SyscallConn()
	if err != nil {
		return err
	}
	var errno syscall.Errno
	err = conn.Control(func(fd uintptr) {
		flags, _, e := syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_GETFL, 0)
		if errno = e; e == 0 {
			_, _, errno = syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_SETFL, flags&^syscall.O_DIRECT)
		}
	})
	if err == nil && errno != 0 {
		err = errno
	}
	return err
}
