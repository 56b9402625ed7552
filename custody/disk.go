package custody

import (
	"fmt"
	"io"

	"cordon/store"
)

// Watermarks are what a disk must have left. What waits for an archive stops
// first, so that what is harmful can still be held; then that, so that the
// database can still record what leaves and what is turned away. A zero floor
// means one that fits the disk.
type Watermarks struct {
	Warn  store.Floor // for nothing to be said; a tenth of the disk, at most 20 GiB
	Spool store.Floor // for an object to be spooled; Vault and a fiftieth, at most 1 GiB
	Vault store.Floor // for an object to be received to disk, or held; 128 MiB
}

// fit fills in what is zero, for a disk.
func (w Watermarks) fit(r store.Room) Watermarks {
	fill := func(to *int64, value int64) {
		if *to == 0 {
			*to = value
		}
	}
	fill(&w.Vault.Bytes, 128<<20)
	fill(&w.Vault.Inodes, min(r.AllInodes/100, 5_000))
	fill(&w.Spool.Bytes, w.Vault.Bytes+min(r.Size/50, 1<<30))
	fill(&w.Spool.Inodes, w.Vault.Inodes+min(r.AllInodes/100, 5_000))
	fill(&w.Warn.Bytes, w.Spool.Bytes+min(r.Size/10, 20<<30))
	fill(&w.Warn.Inodes, w.Spool.Inodes+min(r.AllInodes/20, 100_000))
	return w
}

// disk is one file system that a part of the data directory is on.
type disk struct {
	name, path string
	marks      Watermarks
}

// watchDisks finds the file systems of the data directory, most often one.
func (c *Custody) watchDisks(dir string, marks Watermarks) error {
	for _, d := range []disk{{name: "data", path: dir}, {name: "spill", path: c.spill}, {name: "objects", path: c.objects}} {
		known, err := c.onDisk(d.path)
		if err != nil {
			return err
		}
		if known {
			continue
		}
		room, err := store.RoomOf(d.path)
		if err != nil {
			return err
		}
		d.marks = marks.fit(room)
		c.disks = append(c.disks, d)
	}
	return nil
}

func (c *Custody) onDisk(path string) (known bool, err error) {
	for _, d := range c.disks {
		if known, err = store.SameDisk(d.path, path); known || err != nil {
			return known, err
		}
	}
	return false, nil
}

// room is store.ErrFull if the disks are too full for an object to come into
// this state.
func (c *Custody) room(s State) error { return c.roomFor(s, 0) }

// roomFor is room for an object of which so many bytes are still to be written.
func (c *Custody) roomFor(s State, bytes int64) error {
	for _, d := range c.disks {
		r, err := store.RoomOf(d.path)
		if err != nil {
			return err
		}
		r.Bytes -= bytes
		floor, kept := d.marks.Vault, "the database"
		if s == Spooled {
			floor, kept = d.marks.Spool, "the vault and the database"
		}
		if short := r.Short(floor); short != "" {
			return fmt.Errorf("disk of %s: %s, which are kept for %s: %w", d.name, short, kept, store.ErrFull)
		}
	}
	return nil
}

// rationed writes as long as the disks have room: what many long objects need that
// are kept at a time is known to none of them before.
type rationed struct {
	w         io.Writer
	c         *Custody
	unchecked int
}

func (r *rationed) Write(p []byte) (int, error) {
	if r.unchecked += len(p); r.unchecked > roomEvery {
		r.unchecked = 0
		if err := r.c.room(Receiving); err != nil {
			return 0, err
		}
	}
	return r.w.Write(p)
}

// Disk is a file system that a part of the data directory is on, as it is now.
type Disk struct {
	Name   string `json:"name"`  // "data" for the data directory, "spill" or "objects" where that is on another
	Bytes  int64  `json:"bytes"` // left
	Inodes int64  `json:"inodes"`
	Low    string `json:"low,omitempty"` // what is getting short; "" if nothing is
}

// Disks asks each.
func (c *Custody) Disks() []Disk {
	var all []Disk
	for _, d := range c.disks {
		r, err := store.RoomOf(d.path)
		one := Disk{Name: d.name, Bytes: r.Bytes, Inodes: r.Inodes, Low: r.Short(d.marks.Warn)}
		if err != nil {
			one.Low = err.Error()
		}
		all = append(all, one)
	}
	return all
}
