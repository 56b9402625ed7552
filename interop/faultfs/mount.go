package faultfs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// Mounted is a disk at a directory.
type Mounted struct{ server *fuse.Server }

// Mount shows the disk at dir, which needs root and /dev/fuse. The server's
// goroutines end with Unmount.
func (d *Disk) Mount(dir string) (*Mounted, error) {
	forever := time.Hour
	server, err := fs.Mount(dir, &node{disk: d, inode: d.root}, &fs.Options{
		MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: "faultfs", Name: "faultfs", MaxWrite: 1 << 20, DisableXAttrs: true},
		EntryTimeout: &forever, AttrTimeout: &forever,
		RootStableAttr: &fs.StableAttr{Ino: d.root.ino},
	})
	if err != nil {
		return nil, fmt.Errorf("mounting a file system of the tests (it needs root and /dev/fuse): %w", err)
	}
	return &Mounted{server}, keepFromChildren()
}

// keepFromChildren has programs that are started later not inherit the device: one that outlives this process would
// keep the disk mounted, with nobody to answer for it.
func keepFromChildren() error {
	const open = "/proc/self/fd"
	all, err := os.ReadDir(open)
	if err != nil {
		return err
	}
	for _, e := range all {
		if to, err := os.Readlink(filepath.Join(open, e.Name())); err == nil && to == "/dev/fuse" {
			fd, err := strconv.Atoi(e.Name())
			if err != nil {
				return err
			}
			syscall.CloseOnExec(fd)
		}
	}
	return nil
}

// Unmount takes it away, as soon as nobody uses it.
func (m *Mounted) Unmount() error {
	var err error
	for range 100 {
		if err = m.server.Unmount(); err == nil {
			m.server.Wait()
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return err
}

// node is an inode as the kernel knows it.
type node struct {
	fs.Inode
	disk  *Disk
	inode *inode
}

func (n *node) stat(out *fuse.Attr) {
	i := n.inode
	out.Ino, out.Mode, out.Size, out.Nlink = i.ino, i.mode, uint64(len(i.data)), 1
	out.Blocks, out.Blksize = (out.Size+511)/512, page
	out.SetTimes(&i.at, &i.at, &i.at)
}

// child makes an inode known to the kernel.
func (n *node) child(ctx context.Context, i *inode, out *fuse.EntryOut) *fs.Inode {
	c := &node{disk: n.disk, inode: i}
	c.stat(&out.Attr)
	return n.NewInode(ctx, c, fs.StableAttr{Mode: i.mode, Ino: i.ino})
}

func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	i := n.inode.entries[name]
	if i == nil {
		return nil, syscall.ENOENT
	}
	return n.child(ctx, i, out), 0
}

func (n *node) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	n.stat(&out.Attr)
	return 0
}

// Setattr changes the length or the mode.
func (n *node) Setattr(_ context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if errno := n.disk.enter(Write, n.inode.area); errno != 0 {
		return errno
	}
	defer n.disk.leave()
	if size, ok := in.GetSize(); ok {
		n.inode.resize(int64(size))
	}
	if mode, ok := in.GetMode(); ok {
		n.inode.mode = n.inode.mode&syscall.S_IFMT | mode&^uint32(syscall.S_IFMT)
	}
	n.stat(&out.Attr)
	return 0
}

// add makes a new inode under a name.
func (n *node) add(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	area := n.disk.areaOf(n.inode, name, mode)
	if errno := n.disk.enter(Create, area); errno != 0 {
		return nil, errno
	}
	defer n.disk.leave()
	if n.inode.entries[name] != nil {
		return nil, syscall.EEXIST
	}
	i := n.disk.newInode(mode, area)
	n.disk.name(half{n.inode, name, i})
	return n.child(ctx, i, out), 0
}

func (n *node) Create(ctx context.Context, name string, _ uint32, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	i, errno := n.add(ctx, name, syscall.S_IFREG|mode, out)
	return i, nil, 0, errno
}

func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return n.add(ctx, name, syscall.S_IFDIR|mode, out)
}

// Mknod makes a socket.
func (n *node) Mknod(ctx context.Context, name string, mode, _ uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return n.add(ctx, name, mode, out)
}

func (n *node) Link(ctx context.Context, target fs.InodeEmbedder, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if errno := n.disk.enter(Create, n.inode.area); errno != 0 {
		return nil, errno
	}
	defer n.disk.leave()
	if n.inode.entries[name] != nil {
		return nil, syscall.EEXIST
	}
	i := target.EmbeddedInode().Operations().(*node).inode
	n.disk.name(half{n.inode, name, i})
	return n.child(ctx, i, out), 0
}

func (n *node) remove(name string) syscall.Errno {
	if errno := n.disk.enter(Remove, n.disk.areaOf(n.inode, name, 0)); errno != 0 {
		return errno
	}
	defer n.disk.leave()
	i := n.inode.entries[name]
	switch {
	case i == nil:
		return syscall.ENOENT
	case len(i.entries) > 0:
		return syscall.ENOTEMPTY
	}
	n.disk.name(half{n.inode, name, nil})
	return 0
}

func (n *node) Unlink(_ context.Context, name string) syscall.Errno { return n.remove(name) }
func (n *node) Rmdir(_ context.Context, name string) syscall.Errno  { return n.remove(name) }

func (n *node) Rename(_ context.Context, name string, parent fs.InodeEmbedder, as string, flags uint32) syscall.Errno {
	if errno := n.disk.enter(Rename, n.inode.area); errno != 0 {
		return errno
	}
	defer n.disk.leave()
	to, i := parent.EmbeddedInode().Operations().(*node).inode, n.inode.entries[name]
	switch {
	case i == nil:
		return syscall.ENOENT
	case flags != 0:
		return syscall.EINVAL // the exchanges and no-replacements of renameat2(2)
	}
	if !i.isDir() {
		i.area = n.disk.areaOf(to, as, i.mode)
	}
	n.disk.name(half{n.inode, name, nil}, half{to, as, i})
	return 0
}

func (n *node) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, 0, 0
}

func (n *node) Read(_ context.Context, _ fs.FileHandle, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	if errno := n.disk.enter(Read, n.inode.area); errno != 0 {
		return nil, errno
	}
	defer n.disk.leave()
	if off >= int64(len(n.inode.data)) {
		return fuse.ReadResultData(nil), 0
	}
	return fuse.ReadResultData(dest[:copy(dest, n.inode.data[off:])]), 0
}

func (n *node) Write(_ context.Context, _ fs.FileHandle, data []byte, off int64) (uint32, syscall.Errno) {
	if errno := n.disk.enter(Write, n.inode.area); errno != 0 {
		return 0, errno
	}
	defer n.disk.leave()
	n.inode.write(data, off)
	return uint32(len(data)), 0
}

func (n *node) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	if errno := n.disk.enter(Sync, n.inode.area); errno != 0 {
		n.disk.mu.Lock()
		defer n.disk.mu.Unlock()
		n.inode.forget()
		return errno
	}
	defer n.disk.leave()
	if n.inode.isDir() {
		n.disk.syncDir(n.inode)
	} else {
		n.inode.sync()
	}
	return 0
}

func (n *node) Flush(context.Context, fs.FileHandle) syscall.Errno { return 0 }

func (n *node) Readdir(context.Context) (fs.DirStream, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	var list []fuse.DirEntry
	for name, i := range n.inode.entries {
		list = append(list, fuse.DirEntry{Name: name, Mode: i.mode, Ino: i.ino})
	}
	return fs.NewListDirStream(list), 0
}

// blocks is how many blocks the disk says that it has, all of them free.
const blocks = 64 << 30 / page

func (n *node) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	out.Bsize, out.Frsize, out.NameLen = page, page, 255
	out.Blocks, out.Bfree, out.Bavail = blocks, blocks, blocks
	out.Files, out.Ffree = 1<<30, 1<<30
	return 0
}
