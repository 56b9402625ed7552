package inspect

import (
	"encoding/binary"
	"fmt"
	"math"

	"cordon/dicom"
)

// offsetTables holds the Basic and the Extended Offset Table against the
// fragments (PS3.5 §A.4). Whether entries rise is checked for all; whether they
// point at a fragment for the first keptOffsets.
type offsetTables struct {
	blind
	report          *report
	basic, extended offsetTable
	inPixels        bool
	first           int64 // offset of the first fragment's item in the object
	fragments       int
	total           int64 // bytes of all fragments, with their headers
}

const keptOffsets = 1024

// offsetTable is one table under way.
type offsetTable struct {
	entry   [8]byte // the one under way
	n       int
	order   binary.ByteOrder
	count   int64
	last    uint64
	broken  string // why it does not fit, if it does not
	largest uint64
	kept    []uint64
	matched int // of kept, those met or passed
}

func (o *offsetTables) raises() []string { return []string{"offset-table-range", "offset-table-order"} }

func (o *offsetTables) begin(e *dicom.Element) {
	switch {
	case e.Kind == dicom.KindEncapsulated && e.Depth == 0:
		o.basic = offsetTable{order: binary.LittleEndian}
		o.inPixels, o.first, o.fragments, o.total = true, 0, 0, 0
	case e.Kind == dicom.KindFragment && o.inPixels && e.Index > 0:
		o.fragment(e)
	case e.Tag == dicom.TagExtendedOffsetTable && e.Kind == dicom.KindElement && e.Depth == 0:
		o.extended = offsetTable{order: binary.LittleEndian}
	}
}

func (o *offsetTables) fragment(e *dicom.Element) {
	if o.fragments == 0 {
		o.first = e.Offset
	}
	at := uint64(e.Offset - o.first)
	o.fragments++
	o.total = int64(at) + 8 + int64(e.Length)
	o.basic.meet(at)
	o.extended.meet(at)
}

func (o *offsetTables) chunk(e *dicom.Element, p []byte) {
	switch {
	case e.Kind == dicom.KindFragment && o.inPixels && e.Index == 0:
		o.basic.write(p, 4)
	case e.Tag == dicom.TagExtendedOffsetTable && e.Kind == dicom.KindElement && e.Depth == 0:
		o.extended.write(p, 8)
	}
}

func (o *offsetTables) end(e *dicom.Element) {
	if e.Kind != dicom.KindEncapsulated || !o.inPixels {
		return
	}
	o.inPixels = false
	o.judge(e, &o.basic, "Basic Offset Table")
	o.judge(e, &o.extended, "Extended Offset Table")
	o.extended = offsetTable{}
}

func (o *offsetTables) judge(e *dicom.Element, t *offsetTable, name string) {
	if t.count == 0 || o.total > math.MaxUint32 && t == &o.basic { // 32-bit entries wrap around
		return
	}
	if t.largest >= uint64(o.total) {
		o.report.add("offset-table-range", e, e.Offset, fmt.Sprintf("%s: offset %d where fragments take %d bytes", name, t.largest, o.total))
		return
	}
	if t.matched < len(t.kept) {
		t.broken = "an entry points past the last fragment's start"
	}
	if t.broken != "" || t.n != 0 {
		if t.broken == "" {
			t.broken = "its length is not whole entries"
		}
		o.report.add("offset-table-order", e, e.Offset, fmt.Sprintf("%s: %s", name, t.broken))
	}
}

// write reads entries of the given size.
func (t *offsetTable) write(p []byte, size int) {
	for len(p) > 0 {
		c := copy(t.entry[t.n:size], p)
		t.n += c
		p = p[c:]
		if t.n == size {
			t.n = 0
			t.add(size)
		}
	}
}

func (t *offsetTable) add(size int) {
	v := uint64(t.order.Uint32(t.entry[:]))
	if size == 8 {
		v = t.order.Uint64(t.entry[:])
	}
	switch {
	case t.count == 0 && v != 0:
		t.broken = "its first entry is not zero"
	case t.count > 0 && v <= t.last:
		t.broken = "entries do not rise"
	}
	if len(t.kept) < keptOffsets {
		t.kept = append(t.kept, v)
	}
	t.count++
	t.last = v
	t.largest = max(t.largest, v)
}

// meet tells the table that a fragment starts at the given offset.
func (t *offsetTable) meet(at uint64) {
	for t.matched < len(t.kept) && t.kept[t.matched] <= at {
		if t.kept[t.matched] != at {
			t.broken = "an entry points into a fragment"
		}
		t.matched++
	}
}
