// Package faultfs is a file system for tests (FUSE) that does to a program what
// disks do: it forgets, at a power loss, what was not synced, and it fails
// where it is told to.
//
//	d := faultfs.New(faultfs.Rand(seed))
//	m, err := d.Mount(dir)          // the program under test works in dir
//	d.CutAt(120)                    // the power goes at the 120th change from now
//	<-d.Cut()                       // kill the program now; it waits for its disk
//	d.Release(); err = m.Unmount()
//	d = d.AfterPowerLoss()          // what a disk might hold now
//
// # What survives
//
// A file's content as of its last fsync (after one that failed, what was not on disk by then is on none later), whatever was written since, in units
// of 4 KiB, each of which may have reached the disk or not, or in part (sectors
// of 512 bytes). A directory's entries as of its last fsync. Of the changes to
// directories since, none, all, those before some moment, or any. A rename is
// one change: it happened or it did not, and a sync of either directory makes it
// last. Nothing else makes a name last, not even a sync of the file.
//
// So it is at least as forgetful as the journalling file systems, which keep
// changes of names in order.
//
// It keeps everything in memory, knows one user, and is for tests alone.
package faultfs

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Disk is what the file system holds, and what of it would survive.
type Disk struct {
	mu      sync.Mutex
	rng     *rand.Rand
	root    *inode
	last    uint64
	changes []*change // of directories, not yet durable, in order
	faults  []Fault
	failed  int

	count   int // changes since the last CutAt, or since the beginning
	cutAt   int
	cut     chan struct{}
	release chan struct{}
}

// inode is one file or directory, as it is and as it would be found.
type inode struct {
	ino  uint64
	mode uint32
	area string // first element of its path; "" of files beside the directories
	at   time.Time

	data, durable []byte
	dirty         map[int64]bool // pages that differ, perhaps

	entries, kept map[string]*inode
}

// change is something that happened to names, all of it at once.
type change struct{ halves []half }

// half is one name: what it stands for from here on, nil for nothing.
type half struct {
	dir  *inode
	name string
	to   *inode
}

// survival is which changes of directories a power loss leaves.
type survival int

const (
	none survival = iota
	all
	first
	some
	survivals
)

const (
	page   = 4096
	sector = 512
)

// Rand is a source of chance that can be repeated.
func Rand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// New returns an empty disk.
func New(rng *rand.Rand) *Disk {
	d := &Disk{rng: rng, cut: make(chan struct{}), release: make(chan struct{})}
	d.root = d.newInode(syscall.S_IFDIR|0o700, "")
	return d
}

func (d *Disk) newInode(mode uint32, area string) *inode {
	d.last++
	i := &inode{ino: d.last, mode: mode, area: area, at: time.Now(), dirty: map[int64]bool{}}
	if mode&syscall.S_IFMT == syscall.S_IFDIR {
		i.entries, i.kept = map[string]*inode{}, map[string]*inode{}
	}
	return i
}

func (i *inode) isDir() bool { return i.entries != nil }

// write changes content.
func (i *inode) write(p []byte, off int64) {
	if end := off + int64(len(p)); end > int64(len(i.data)) {
		i.resize(end)
	}
	copy(i.data[off:], p)
	i.touch(off, off+int64(len(p)))
}

func (i *inode) resize(size int64) {
	old := int64(len(i.data))
	if size <= old {
		i.data = slices.Clip(i.data[:size])
	} else {
		i.data = append(i.data, make([]byte, size-old)...)
	}
	i.touch(min(old, size), max(old, size))
}

func (i *inode) touch(from, to int64) {
	i.at = time.Now()
	for n := from / page; n*page < to; n++ {
		i.dirty[n] = true
	}
}

// sync makes durable what was written since the last one.
func (i *inode) sync() {
	size := int64(len(i.data))
	if size < int64(len(i.durable)) {
		i.durable = i.durable[:size]
	}
	i.durable = append(i.durable, make([]byte, size-int64(len(i.durable)))...)
	for n := range i.dirty {
		if from := n * page; from < size {
			copy(i.durable[from:], i.data[from:min(from+page, size)])
		}
	}
	clear(i.dirty)
}

// forget is a sync that failed: as kernels do, what was written is taken for
// clean, and no later sync writes it.
func (i *inode) forget() { clear(i.dirty) }

// name makes changes to names.
func (d *Disk) name(halves ...half) {
	for _, h := range halves {
		h.set(h.dir.entries)
	}
	d.changes = append(d.changes, &change{halves})
}

func (h half) set(entries map[string]*inode) {
	if h.to == nil {
		delete(entries, h.name)
		return
	}
	entries[h.name] = h.to
}

// syncDir makes the names of a directory durable.
func (d *Disk) syncDir(dir *inode) {
	d.changes = slices.DeleteFunc(d.changes, func(c *change) bool {
		if !slices.ContainsFunc(c.halves, func(h half) bool { return h.dir == dir }) {
			return false
		}
		for _, h := range c.halves {
			h.set(h.dir.kept)
		}
		return true
	})
}

// AfterPowerLoss is a disk as it might be found. The one before is not used any
// more.
func (d *Disk) AfterPowerLoss() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.survive()
	next := New(d.rng)
	next.root = d.found(d.root, map[*inode]*inode{})
	next.last = d.last
	return next
}

// survive chooses which changes to names were on disk.
func (d *Disk) survive() {
	mode, until := survival(d.rng.IntN(int(survivals))), d.rng.IntN(len(d.changes)+1)
	for n, c := range d.changes {
		if mode == none || mode == first && n >= until || mode == some && d.rng.IntN(2) == 0 {
			continue
		}
		for _, h := range c.halves {
			h.set(h.dir.kept)
		}
	}
	d.changes = nil
}

// found copies what would be found of an inode and what is below it.
func (d *Disk) found(i *inode, known map[*inode]*inode) *inode {
	if n := known[i]; n != nil {
		return n
	}
	n := &inode{ino: i.ino, mode: i.mode, area: i.area, at: i.at, dirty: map[int64]bool{}}
	known[i] = n
	if !i.isDir() {
		n.data = d.content(i)
		n.durable = slices.Clone(n.data)
		return n
	}
	n.entries = map[string]*inode{}
	for _, name := range slices.Sorted(maps.Keys(i.kept)) { // in one order, so that a seed is one story
		n.entries[name] = d.found(i.kept[name], known)
	}
	n.kept = maps.Clone(n.entries)
	return n
}

// content is the durable content with some of what was written since.
func (d *Disk) content(i *inode) []byte {
	out, keep, torn := slices.Clone(i.durable), d.rng.IntN(4), d.rng.IntN(2) == 0 // how many of three pages reached the disk, and whether some did in part
	for _, n := range slices.Sorted(maps.Keys(i.dirty)) {
		if d.rng.IntN(3) >= keep {
			continue
		}
		from, to := n*page, min((n+1)*page, int64(len(i.data)))
		if torn && d.rng.IntN(4) == 0 {
			to = min(to, from+sector*d.rng.Int64N(page/sector))
		}
		if to <= from {
			continue
		}
		if int64(len(out)) < to {
			out = append(out, make([]byte, to-int64(len(out)))...)
		}
		copy(out[from:to], i.data[from:to])
	}
	if len(i.data) < len(i.durable) && d.rng.IntN(2) == 0 { // it was cut, and that may last
		out = out[:min(len(out), len(i.data))]
	}
	return out
}

// areaOf is the first element of a name made in a directory.
func (d *Disk) areaOf(dir *inode, name string, mode uint32) string {
	switch {
	case dir != d.root:
		return dir.area
	case mode&syscall.S_IFMT == syscall.S_IFDIR:
		return name
	case strings.HasPrefix(name, "cordon.db"):
		return "db"
	}
	return ""
}
