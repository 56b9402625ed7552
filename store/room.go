package store

import (
	"fmt"
	"os"
	"syscall"
)

// Room is what a file system has left for us.
type Room struct {
	Bytes, Size       int64 // left, and in all
	Inodes, AllInodes int64 // files that can still be made, and in all; both 0 where they are not counted
}

// RoomOf asks the file system that holds path.
func RoomOf(path string) (Room, error) {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(path, &disk); err != nil {
		return Room{}, fmt.Errorf("free space of %s: %w", path, err)
	}
	return roomIn(disk), nil
}

// roomIn counts in fragments, as the kernel does: where they differ from blocks
// (FUSE, some network file systems), a block is only what it likes to move.
func roomIn(disk syscall.Statfs_t) Room {
	unit := disk.Frsize
	if unit == 0 { // kernels before 2.6.36
		unit = disk.Bsize
	}
	return Room{
		Bytes: int64(disk.Bavail) * unit, Size: int64(disk.Blocks) * unit,
		Inodes: int64(disk.Ffree), AllInodes: int64(disk.Files),
	}
}

// Floor is what a file system must have left for something to be done.
type Floor struct{ Bytes, Inodes int64 }

// Short says what is left less of than the floor; "" if nothing is.
func (r Room) Short(f Floor) string {
	switch {
	case r.Bytes < f.Bytes:
		return fmt.Sprintf("%d MiB are left, of the last %d MiB", r.Bytes>>20, f.Bytes>>20)
	case r.AllInodes > 0 && r.Inodes < f.Inodes:
		return fmt.Sprintf("room for %d files is left, of the last %d", r.Inodes, f.Inodes)
	}
	return ""
}

// SameDisk reports whether two paths are on one file system.
func SameDisk(a, b string) (bool, error) {
	var devices [2]uint64
	for i, path := range []string{a, b} {
		info, err := os.Stat(path)
		if err != nil {
			return false, err
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return false, fmt.Errorf("%s: the operating system does not say which disk it is on", path)
		}
		devices[i] = stat.Dev
	}
	return devices[0] == devices[1], nil
}
