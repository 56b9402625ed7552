package container

import (
	"bytes"
	"cmp"
	"compress/bzip2"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
)

// Signatures of APPNOTE.TXT §4.3.
const (
	zipLocal   = "PK\x03\x04"
	zipCentral = "PK\x01\x02"
	zipEnd     = "PK\x05\x06"
	zip64End   = "PK\x06\x06"
	zip64Seek  = "PK\x06\x07"
)

// zipEntry is a file of a ZIP, as one of its two headers describes it.
type zipEntry struct {
	name          string
	flags, method uint16
	packed, size  int64
	at            int // of the local header
	data, end     int // of the packed bytes
}

func (e *zipEntry) encrypted() bool { return e.flags&1 != 0 || e.method == 99 }

// zip opens every file that the central directory names, as unpackers do, and every one that
// only has a local header, which others find.
func (l *level) zip() {
	entries, directory, end := l.zipDirectory()
	entries = l.zipLocals(entries)
	known := len(entries)
	entries = append(entries, l.zipHidden(entries, directory)...)
	if end > 0 && known < len(entries) {
		l.found("container-mismatch", entries[known].at, fmt.Sprintf("%d files that the directory does not list", len(entries)-known))
	}
	l.openPackage(entries)
	read := 0
	for i := range entries {
		if l.spent {
			return
		}
		if read += entries[i].end - entries[i].data; read > 2*len(l.data) { // work without end, though little may come out
			l.found("container-bomb", entries[i].at, "files share their bytes")
			return
		}
		l.zipMember(i, &entries[i])
	}
	if end > 0 && len(bytes.Trim(l.data[end:], "\x00")) > 0 {
		l.member(item{index: len(entries), offset: end}, bytes.NewReader(l.data[end:]))
	}
}

// appendedZIP opens the ZIP at the end of a file of another format: unpackers look for
// one from the end, whatever it begins with. A ZIP inside the other format, which need not
// stand there in one piece, is no reason to complain that files of it are missing.
func (l *level) appendedZIP() {
	entries, _, _ := l.zipDirectory()
	l.openPackage(entries)
	read := 0
	for i := range entries {
		e := &entries[i]
		local, ok := readLocal(l.data, e.at)
		if !ok {
			continue
		}
		if why := differs(e, &local); why != "" {
			l.found("container-mismatch", e.at, why)
		}
		e.data = local.data
		e.end = e.data + int(min(max(e.packed, 0), int64(len(l.data)-e.data)))
		if read += e.end - e.data; l.spent || read > 2*len(l.data) {
			return
		}
		l.zipMember(i, e)
	}
}

// zipDirectory reads the central directory. It returns where the directory begins and
// where what belongs to the ZIP ends; 0 when there is none.
func (l *level) zipDirectory() (entries []zipEntry, directory, end int) {
	le := binary.LittleEndian
	last := bytes.LastIndex(l.data, []byte(zipEnd))
	if last < 0 || last+22 > len(l.data) || !l.whole { // of a part, the last one is a member's
		return nil, len(l.data), 0
	}
	size, offset, stop := int64(le.Uint32(l.data[last+12:])), int64(le.Uint32(l.data[last+16:])), last
	if last >= 76 && string(l.data[last-20:last-16]) == zip64Seek && string(l.data[last-76:last-72]) == zip64End {
		stop = last - 76
		size, offset = int64(le.Uint64(l.data[stop+40:])), int64(le.Uint64(l.data[stop+48:]))
	}
	end = min(len(l.data), last+22+int(le.Uint16(l.data[last+20:])))
	directory = stop - int(min(max(size, 0), int64(stop)))
	if directory+46 > len(l.data) || string(l.data[directory:directory+4]) != zipCentral {
		if directory = int(min(max(offset, 0), int64(stop))); directory+4 > stop || string(l.data[directory:directory+4]) != zipCentral {
			return nil, stop, end
		}
	}
	base := directory - int(min(max(offset, 0), int64(directory))) // bytes before the ZIP
	for at := directory; at+46 <= stop && string(l.data[at:at+4]) == zipCentral; {
		e, n := readCentral(l.data[at:stop])
		e.at += base
		entries = append(entries, e)
		if at += n; len(entries) > l.limits.Members {
			l.limited(at, fmt.Sprintf("more than %d members", l.limits.Members))
			break
		}
	}
	return entries, directory, end
}

// readCentral reads the central header that begins p, at least 46 bytes, and says how long it is.
func readCentral(p []byte) (zipEntry, int) {
	le := binary.LittleEndian
	e := zipEntry{
		flags: le.Uint16(p[8:]), method: le.Uint16(p[10:]), packed: int64(le.Uint32(p[20:])), size: int64(le.Uint32(p[24:])),
		at: int(le.Uint32(p[42:])),
	}
	name := 46 + int(le.Uint16(p[28:]))
	extra := name + int(le.Uint16(p[30:]))
	e.name = string(p[46:min(name, len(p))])
	e.zip64(p[min(name, len(p)):min(extra, len(p))])
	return e, extra + int(le.Uint16(p[32:]))
}

// zip64 reads the sizes that did not fit (APPNOTE.TXT §4.5.3).
func (e *zipEntry) zip64(extra []byte) {
	le := binary.LittleEndian
	for len(extra) >= 4 {
		id, n := le.Uint16(extra), min(int(le.Uint16(extra[2:])), len(extra)-4)
		field := extra[4 : 4+n]
		extra = extra[4+n:]
		if id != 1 {
			continue
		}
		next := func(v int64) int64 {
			if v != 0xFFFFFFFF || len(field) < 8 {
				return v
			}
			v = int64(le.Uint64(field) & (1<<62 - 1))
			field = field[8:]
			return v
		}
		e.size = next(e.size)
		e.packed = next(e.packed)
		e.at = int(next(int64(e.at)))
	}
}

// zipLocals completes entries of the central directory from their local headers,
// and reports where the two differ. It drops those without one.
func (l *level) zipLocals(entries []zipEntry) []zipEntry {
	kept := entries[:0]
	for _, e := range entries {
		local, ok := readLocal(l.data, e.at)
		if !ok {
			if l.whole {
				l.found("container-mismatch", 0, "the directory lists a file that is not there")
			}
			continue
		}
		if why := differs(&e, &local); why != "" {
			l.found("container-mismatch", e.at, why)
		}
		e.data = local.data
		e.end = e.data + int(min(max(e.packed, 0), int64(len(l.data)-e.data)))
		e.flags |= local.flags & 1
		kept = append(kept, e)
	}
	slices.SortStableFunc(kept, func(a, b zipEntry) int { return cmp.Compare(a.at, b.at) })
	for i := 1; i < len(kept); i++ {
		if kept[i].at < kept[i-1].end {
			l.found("container-bomb", kept[i].at, "files share their bytes")
		}
	}
	return kept
}

// readLocal reads the local header at byte at. Its end is known only if its size is.
func readLocal(data []byte, at int) (zipEntry, bool) {
	le := binary.LittleEndian
	if at < 0 || at > len(data)-30 || string(data[at:at+4]) != zipLocal {
		return zipEntry{}, false
	}
	p := data[at:]
	e := zipEntry{at: at, flags: le.Uint16(p[6:]), method: le.Uint16(p[8:]), packed: int64(le.Uint32(p[18:])), size: int64(le.Uint32(p[22:]))}
	name := 30 + int(le.Uint16(p[26:]))
	extra := name + int(le.Uint16(p[28:]))
	if extra > len(p) {
		return zipEntry{}, false
	}
	e.name = string(p[30:name])
	e.data, e.end = at+extra, at+extra
	return e, true
}

// differs says in what the two headers of a file differ. What a writer cannot
// know when it writes the local one may differ: sizes that follow in a descriptor.
func differs(central, local *zipEntry) string {
	const descriptor, utf8 = 1 << 3, 1 << 11
	switch {
	case central.method != local.method:
		return "headers name two methods"
	case (central.flags^local.flags)&1 != 0:
		return "headers differ in encryption"
	case (central.flags^local.flags)&utf8 == 0 && !sameName(central.name, local.name):
		return "headers name two files"
	case local.flags&descriptor == 0 && local.packed != 0xFFFFFFFF && local.packed != central.packed:
		return "headers give two sizes"
	}
	return ""
}

// sameName compares ASCII names; others may be encoded in two ways.
func sameName(a, b string) bool {
	for _, s := range [...]string{a, b} {
		for i := range len(s) {
			if s[i] >= 0x80 {
				return true
			}
		}
	}
	return lowerName(a) == lowerName(b)
}

// zipHidden finds files between those that are known, sorted by place, up to the
// central directory. Without one these are all.
func (l *level) zipHidden(known []zipEntry, directory int) (hidden []zipEntry) {
	at := 0
	for i := 0; i <= len(known); i++ {
		stop := directory
		if i < len(known) {
			stop = known[i].at
		}
		for at < stop && len(hidden) < l.limits.Members {
			j := bytes.Index(l.data[at:stop], []byte(zipLocal))
			if j < 0 {
				break
			}
			e, ok := readLocal(l.data[:stop], at+j)
			if !ok || e.method > 100 || len(e.name) == 0 {
				at += j + 4
				continue
			}
			e.end = e.data + int(min(e.packed, int64(stop-e.data)))
			if e.packed == 0 {
				e.end = stop
				if next := bytes.Index(l.data[e.data:stop], []byte(zipLocal)); next >= 0 {
					e.end = e.data + next
				}
			}
			hidden = append(hidden, e)
			at = max(e.end, e.data)
		}
		if i < len(known) {
			at = max(at, known[i].end)
		}
	}
	return hidden
}

// zipMember judges a file's name, and passes its content on.
func (l *level) zipMember(index int, e *zipEntry) {
	l.judgeName(index, e.at, e.name)
	if e.encrypted() {
		l.encrypted(e.at, "ZIP")
		return
	}
	var r io.Reader = bytes.NewReader(l.data[e.data:e.end])
	switch e.method {
	case 0:
	case 8:
		r = l.inflater.reset(r)
	case 12:
		r = bzip2.NewReader(r)
	default:
		l.unread(e.at, fmt.Sprintf("ZIP method %d", e.method))
		return
	}
	l.member(item{index: index, offset: e.at, name: e.name}, r)
}
