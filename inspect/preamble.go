package inspect

import (
	"bytes"
	"fmt"

	"cordon/dicom"
)

// preamble says what the preamble holds when it is neither empty nor a payload.
type preamble struct {
	blind
	report *report
	buf    [128]byte
	n      int
}

func (p *preamble) raises() []string { return []string{"preamble-tiff", "preamble-content"} }

func (p *preamble) chunk(e *dicom.Element, b []byte) {
	if e.Kind == dicom.KindPreamble {
		p.n += copy(p.buf[p.n:], b)
	}
}

func (p *preamble) end(e *dicom.Element) {
	if e.Kind != dicom.KindPreamble || p.report.raised("preamble") {
		return
	}
	used := len(bytes.Trim(p.buf[:p.n], "\x00"))
	if used == 0 {
		return
	}
	for _, t := range tiffMagics {
		if string(p.buf[:len(t.magic)]) == t.magic {
			p.report.add("preamble-tiff", e, e.ValueOffset, t.format)
			return
		}
	}
	p.report.add("preamble-content", e, e.ValueOffset, fmt.Sprintf("%d bytes between zeros", used))
}

var tiffMagics = []struct{ magic, format string }{
	{"II\x2A\x00", "TIFF, little endian"},
	{"MM\x00\x2A", "TIFF, big endian"},
	{"II\x2B\x00", "BigTIFF, little endian"},
	{"MM\x00\x2B", "BigTIFF, big endian"},
}

// dualProgram follows an MZ header at an object's first byte to its PE header,
// which may lie in any element: the file is an image and a program at once. It
// reads the raw stream, since that is what an operating system would load.
type dualProgram struct {
	report   *report
	watching bool
	head     [64]byte // of the stream
	target   [64]byte // of the stream from the place that the head points at
	n        int      // bytes in target
	at       int64    // of target in the stream; 0 until known
	seen     int64
}

func (d *dualProgram) write(p []byte) {
	if !d.watching {
		return
	}
	if d.seen < int64(len(d.head)) {
		n := copy(d.head[d.seen:], p)
		if d.seen+int64(n) == int64(len(d.head)) {
			d.at, d.watching = peOffset(d.head[:])
		}
	}
	if d.at > 0 && d.at+int64(d.n) >= d.seen && d.at+int64(d.n) < d.seen+int64(len(p)) {
		d.n += copy(d.target[d.n:], p[d.at+int64(d.n)-d.seen:])
	}
	d.seen += int64(len(p))
}

func (d *dualProgram) finish() {
	if d.at < int64(len(d.head)) || d.report.plain {
		return // inside the header itself, where the sweep finds it
	}
	if detail, ok := portableExecutable(d.target[:d.n]); ok {
		d.report.addAt("preamble-executable", "preamble", 0, fmt.Sprintf("MZ header, and at byte %d %s", d.at, detail))
	}
}
