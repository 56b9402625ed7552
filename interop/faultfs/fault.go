package faultfs

import "syscall"

// Op is something that a program asks of a file system.
type Op string

// The operations that can fail.
const (
	Write  Op = "write"  // to a file, and its length
	Read   Op = "read"   // of a file
	Sync   Op = "sync"   // of a file or directory
	Create Op = "create" // of a file, a directory, another name
	Rename Op = "rename"
	Remove Op = "remove"
)

// changing are those that change the disk, or make it last.
var changing = []Op{Write, Sync, Create, Rename, Remove}

// Fault makes some operations of an area fail. An area is the directory below
// the root, "db" for the database's files, "" for others beside them, "*" for all.
type Fault struct {
	Area  string
	Ops   []Op
	Errno syscall.Errno
	After int // operations of these that go well first
	Times int // how many fail then; 0: all
}

// ReadOnly is how a disk behaves that the kernel has remounted (EROFS).
func ReadOnly(area string) Fault { return Fault{Area: area, Ops: changing, Errno: syscall.EROFS} }

// Full is a disk, or a quota, without room: what is there can be read, moved
// and removed.
func Full(area string, errno syscall.Errno) Fault {
	return Fault{Area: area, Ops: []Op{Write, Create}, Errno: errno}
}

// Fail adds faults to those that there are.
func (d *Disk) Fail(faults ...Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = append(d.faults, faults...)
}

// Heal takes all faults away and returns how many operations have failed.
func (d *Disk) Heal() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = nil
	n := d.failed
	d.failed = 0
	return n
}

// Count is how many changes there were since CutAt, or since the beginning.
func (d *Disk) Count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.count
}

// CutAt has the power go at the nth change from now: whoever asks the disk for
// something from then on waits, until Release.
func (d *Disk) CutAt(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count, d.cutAt = 0, n
}

// CutNow has the power go now.
func (d *Disk) CutNow() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dark()
}

func (d *Disk) dark() {
	select {
	case <-d.cut:
	default:
		close(d.cut)
	}
}

// Cut is closed when the power has gone.
func (d *Disk) Cut() <-chan struct{} { return d.cut }

// Release answers those who wait with an error: they have been killed.
func (d *Disk) Release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	select {
	case <-d.release:
	default:
		close(d.release)
	}
}

// enter begins an operation. Where it is zero, the disk is locked and leave ends
// the operation; else it has failed.
func (d *Disk) enter(op Op, area string) syscall.Errno {
	d.mu.Lock()
	if d.isDark() {
		d.mu.Unlock()
		<-d.release
		return syscall.EIO
	}
	for i := range d.faults {
		if errno := d.faults[i].fails(op, area); errno != 0 {
			d.failed++
			d.mu.Unlock()
			return errno
		}
	}
	if op != Read {
		if d.count++; d.count == d.cutAt {
			d.dark() // this one did not happen
			d.mu.Unlock()
			<-d.release
			return syscall.EIO
		}
	}
	return 0
}

func (d *Disk) leave() { d.mu.Unlock() }

func (d *Disk) isDark() bool {
	select {
	case <-d.cut:
		return true
	default:
		return false
	}
}

// fails reports the error of this operation, or 0.
func (f *Fault) fails(op Op, area string) syscall.Errno {
	if f.Area != "*" && f.Area != area {
		return 0
	}
	for _, o := range f.Ops {
		if o != op {
			continue
		}
		if f.After > 0 {
			f.After--
			return 0
		}
		if f.Times < 0 {
			return 0
		}
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				f.Times = -1
			}
		}
		return f.Errno
	}
	return 0
}
