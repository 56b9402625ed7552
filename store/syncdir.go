package store

import "sync"

// DirSyncer syncs one directory for many callers: whoever asks while a sync is
// under way waits for the next one, which serves all who asked meanwhile.
type DirSyncer struct {
	dir string

	mu   sync.Mutex
	next *dirSync   // for those who ask now; nil if nobody does
	turn sync.Mutex // held during a sync
}

// dirSync is one sync, for all who wait for it.
type dirSync struct {
	done bool // guarded by turn, as err is
	err  error
}

// NewDirSyncer returns the syncer of a directory.
func NewDirSyncer(dir string) *DirSyncer { return &DirSyncer{dir: dir} }

// Sync makes durable every name that was made in the directory before the call.
func (d *DirSyncer) Sync() error {
	mine := d.join()
	d.turn.Lock()
	defer d.turn.Unlock()
	if !mine.done {
		d.begin(mine)
		mine.err = SyncDir(d.dir)
		mine.done = true
	}
	return mine.err
}

// join returns the sync that has not begun.
func (d *DirSyncer) join() *dirSync {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.next == nil {
		d.next = &dirSync{}
	}
	return d.next
}

// begin has later callers wait for another one.
func (d *DirSyncer) begin(s *dirSync) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.next == s {
		d.next = nil
	}
}
