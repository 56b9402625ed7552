package container

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"unicode/utf16"
)

// compound is a compound file (MS-CFB) in memory. All chains are followed for at
// most as many sectors as there are, so circles end.
type compound struct {
	data    []byte
	size    int      // of a sector: 512 or 4096
	fat     []uint32 // next sector, by sector
	mini    []uint32 // next mini sector, by mini sector
	root    []uint32 // sectors of the mini stream
	cutoff  uint32   // streams shorter than this are in the mini stream
	entries []directoryEntry
}

// directoryEntry is a storage or stream (MS-CFB §2.6.1).
type directoryEntry struct {
	name  string // in lower case
	kind  byte   // 1 storage, 2 stream, 5 root
	class [16]byte
	start uint32
	size  uint64
}

const (
	storageEntry, streamEntry, rootEntry = 1, 2, 5

	miniSector = 64
	endOfChain = 0xFFFFFFFA // and above: no sector
)

var errCompound = errors.New("not a compound file")

// readCompound reads the header, the allocation tables and the directory of data.
func readCompound(data []byte) (*compound, error) {
	le := binary.LittleEndian
	if len(data) < 512 {
		return nil, errCompound
	}
	shift := le.Uint16(data[30:])
	if shift != 9 && shift != 12 {
		return nil, errCompound
	}
	c := &compound{data: data, size: 1 << shift, cutoff: le.Uint32(data[56:])}
	for _, s := range c.tableSectors() {
		c.fat = appendTable(c.fat, c.sector(s))
	}
	for _, s := range c.chain(le.Uint32(data[60:])) {
		c.mini = appendTable(c.mini, c.sector(s))
	}
	for _, s := range c.chain(le.Uint32(data[48:])) {
		c.entries = appendEntries(c.entries, c.sector(s))
	}
	for _, e := range c.entries {
		if e.kind == rootEntry && c.root == nil {
			c.root = c.chain(e.start)
		}
	}
	return c, nil
}

// sector returns the bytes of sector s; fewer, or none, at the end of what is there.
func (c *compound) sector(s uint32) []byte {
	at := (int64(s) + 1) * int64(c.size)
	if at >= int64(len(c.data)) {
		return nil
	}
	return c.data[at:min(at+int64(c.size), int64(len(c.data)))]
}

func (c *compound) sectors() int { return len(c.data)/c.size + 1 }

// tableSectors lists the sectors of the FAT: 109 in the header, further ones in a
// chain of sectors whose last entry leads on (MS-CFB §2.5).
func (c *compound) tableSectors() (list []uint32) {
	le := binary.LittleEndian
	for at := 76; at < 512; at += 4 {
		if s := le.Uint32(c.data[at:]); s < endOfChain {
			list = append(list, s)
		}
	}
	next := le.Uint32(c.data[68:])
	for range c.sectors() {
		table := appendTable(nil, c.sector(next))
		if len(table) < c.size/4 || len(list) > c.sectors() {
			break
		}
		for _, s := range table[:len(table)-1] {
			if s < endOfChain {
				list = append(list, s)
			}
		}
		next = table[len(table)-1]
	}
	return list[:min(len(list), c.sectors()/(c.size/4)+1)]
}

func appendTable(table []uint32, p []byte) []uint32 {
	for ; len(p) >= 4; p = p[4:] {
		table = append(table, binary.LittleEndian.Uint32(p))
	}
	return table
}

// chain lists the sectors from start on.
func (c *compound) chain(start uint32) (list []uint32) { return follow(c.fat, start, c.sectors()) }

func follow(table []uint32, start uint32, limit int) (list []uint32) {
	for s := start; s < uint32(min(len(table), endOfChain)) && len(list) < limit; s = table[s] {
		list = append(list, s)
	}
	return list
}

func appendEntries(list []directoryEntry, p []byte) []directoryEntry {
	le := binary.LittleEndian
	for ; len(p) >= 128; p = p[128:] {
		e := directoryEntry{kind: p[66], start: le.Uint32(p[116:]), size: le.Uint64(p[120:]), class: [16]byte(p[80:96])}
		units := make([]uint16, min(32, le.Uint16(p[64:])/2))
		for i := range units {
			units[i] = le.Uint16(p[2*i:])
		}
		e.name = strings.ToLower(strings.TrimRight(string(utf16.Decode(units)), "\x00"))
		list = append(list, e)
	}
	return list
}

// stream returns a reader of the entry's bytes.
func (c *compound) stream(e *directoryEntry) io.Reader {
	size := min(e.size, uint64(len(c.data)))
	if c.size == 512 {
		size = min(e.size&0xFFFFFFFF, size) // the upper half may be anything in version 3
	}
	s := &chainReader{c: c, left: int(size), next: e.start, table: c.fat}
	if size < uint64(c.cutoff) {
		s.table, s.small = c.mini, true
	}
	return s
}

// chainReader reads a chain of sectors, or of mini sectors.
type chainReader struct {
	c     *compound
	table []uint32
	small bool
	next  uint32
	left  int
	rest  []byte // of the sector under way
}

func (r *chainReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		if r.left <= 0 || uint64(r.next) >= uint64(len(r.table)) {
			return 0, io.EOF
		}
		r.rest = r.sector(r.next)
		r.rest = r.rest[:min(len(r.rest), r.left)]
		r.left -= len(r.rest)
		r.next = r.table[r.next]
		if len(r.rest) == 0 {
			return 0, io.EOF
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *chainReader) sector(s uint32) []byte {
	if !r.small {
		return r.c.sector(s)
	}
	at := int(s) * miniSector
	i := at / r.c.size
	if i >= len(r.c.root) {
		return nil
	}
	whole := r.c.sector(r.c.root[i])
	return whole[min(at%r.c.size, len(whole)):min(at%r.c.size+miniSector, len(whole))]
}

// classID reads a class identifier as it is stored (MS-DTYP §2.3.4.2).
func classID(hex string) (id [16]byte) {
	order := [16]int{3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15}
	hex = strings.ReplaceAll(hex, "-", "")
	for i, o := range order {
		id[i] = unhex(hex[2*o])<<4 | unhex(hex[2*o+1])
	}
	return id
}

func unhex(c byte) byte { return byte(bytes.IndexByte([]byte("0123456789abcdef"), c|0x20)) }
