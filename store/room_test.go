package store

import (
	"syscall"
	"testing"
)

// A file system whose preferred block is longer than what it counts in is not
// taken for one with more room.
func TestRoomIsCountedInFragments(t *testing.T) {
	for want, disk := range map[Room]syscall.Statfs_t{
		{Bytes: 10 << 12, Size: 20 << 12}: {Bsize: 1 << 20, Frsize: 1 << 12, Bavail: 10, Blocks: 20},
		{Bytes: 10 << 10, Size: 20 << 10}: {Bsize: 1 << 10, Bavail: 10, Blocks: 20},
	} {
		if got := roomIn(disk); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}
