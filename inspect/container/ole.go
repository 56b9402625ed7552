package container

import (
	"bytes"
	"encoding/binary"
	"io"
)

// Classes of the root storage that say what a compound file is.
var (
	equationClass  = classID("0002ce02-0000-0000-c000-000000000046")
	installerClass = classID("000c1084-0000-0000-c000-000000000046")
	patchClass     = classID("000c1086-0000-0000-c000-000000000046")
)

// ole2 opens a compound file. It reads the directory as a list: what the tree
// does not reach is judged, too.
func (l *level) ole2() {
	_, start := recognise(l.data[:min(len(l.data), Window)])
	c, err := readCompound(l.data[start:])
	if err != nil {
		l.unread(start, "OLE2 header is corrupt")
		return
	}
	for i := range c.entries {
		e := &c.entries[i]
		l.oleClass(start, e)
		l.oleName(start, e)
		if e.kind == streamEntry && !l.spent {
			l.oleStream(i, start, c, e)
		}
	}
}

func (l *level) oleClass(at int, e *directoryEntry) {
	if e.kind != rootEntry && e.kind != storageEntry {
		return
	}
	switch e.class {
	case equationClass:
		l.found("equation-editor", at, "class of a storage")
	case installerClass, patchClass:
		l.found("executable", at, "Windows installer package")
	}
}

func (l *level) oleName(at int, e *directoryEntry) {
	switch e.name {
	case "vba", "_vba_project", "_vba_project_cur":
		l.found("office-macro", at, "VBA project")
	case "\x01ole10native":
		l.found("ole-package", at, "embedded file")
	case "equation native":
		l.found("equation-editor", at, "")
	case "encryptedpackage":
		l.encrypted(at, "OLE2")
	}
}

// oleStream passes a stream on, and opens those that hold files.
func (l *level) oleStream(index, at int, c *compound, e *directoryEntry) {
	it := item{index: index, offset: at, hidden: true}
	switch e.name {
	case "\x01ole10native":
		p := l.slurp(c.stream(e))
		if len(p) > 4 {
			p = p[4:] // its length
		}
		l.packageObject(it, p)
		return
	case "package", "contents":
		it.hidden = false
	case "workbook", "book":
		l.workbook(at, c.stream(e))
	}
	l.member(it, c.stream(e))
}

// slurp reads a stream of the container itself, which is no longer than it.
func (l *level) slurp(r io.Reader) []byte {
	p, _ := io.ReadAll(io.LimitReader(r, int64(len(l.data)))) // of memory: no error
	if !l.spend(l, len(p)) {
		return nil
	}
	return p
}

// packageObject opens what the Packager stored: two names, a path, a file. Where
// it is something else, all of it is passed on.
func (l *level) packageObject(it item, p []byte) {
	name, data, ok := unpackObject(p)
	if ok {
		it.name, p = name, data
		l.judgeName(it.index, it.offset, lastPart(name))
	}
	it.hidden = false
	l.member(it, bytes.NewReader(p))
}

// unpackObject reads the content of an Ole10Native stream behind its length.
func unpackObject(p []byte) (name string, data []byte, ok bool) {
	const flags = 2
	if len(p) < flags {
		return "", nil, false
	}
	label, rest, ok1 := bytes.Cut(p[flags:], []byte{0})
	_, rest, ok2 := bytes.Cut(rest, []byte{0}) // where it was
	if !ok1 || !ok2 || len(rest) < 8 {
		return "", nil, false
	}
	path := int64(binary.LittleEndian.Uint32(rest[4:])) // where it will be
	if rest = rest[8:]; path > int64(len(rest))-4 {
		return "", nil, false
	}
	size := int64(binary.LittleEndian.Uint32(rest[path:]))
	rest = rest[path+4:]
	return string(label), rest[:min(size, int64(len(rest)))], true
}

// lastPart returns the file's own name: the path before it is where it was packed.
func lastPart(name string) string {
	name = lowerName(name)
	for i := len(name) - 1; i >= 0; i-- {
		if name[i] == '/' {
			return name[i+1:]
		}
	}
	return name
}

// workbook looks through the globals of a BIFF stream for macro sheets and
// encryption (MS-XLS §2.4.28, §2.4.117).
func (l *level) workbook(at int, r io.Reader) {
	const filePass, boundSheet, endOfFile = 0x2F, 0x85, 0x0A
	le := binary.LittleEndian
	p := l.slurp(io.LimitReader(r, keepText))
	for len(p) >= 4 {
		id, n := le.Uint16(p), int(le.Uint16(p[2:]))
		if p = p[4:]; n > len(p) {
			return
		}
		switch record := p[:n]; {
		case id == filePass:
			l.encrypted(at, "workbook")
		case id == boundSheet && n > 5 && (record[5] == 1 || record[5] == 6):
			l.found("office-macro", at, "macro sheet")
		case id == endOfFile:
			return
		}
		p = p[n:]
	}
}
