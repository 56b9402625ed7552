package inspect

import (
	"encoding/binary"
	"fmt"

	"cordon/dicom"
)

// rle checks the header of each RLE frame (PS3.5 §G.5): at most 15 segments, the
// first right after the header, rising, inside the frame. A frame has one fragment
// (PS3.5 §A.4.2), but there are encoders that cut it into several.
type rle struct {
	blind
	report   *report
	geometry *geometry
	syntax   func() dicom.TransferSyntax

	active    bool
	header    [64]byte
	n         int
	fragments int64
	first     int64     // bytes of the first fragment
	all       int64     // bytes of all fragments
	reach     int64     // where the first frame's last segment begins
	bad       [2]string // why the first fragment's header is wrong; and that of any other
	at        [2]int64
}

func (r *rle) raises() []string { return []string{"rle-header"} }

func (r *rle) begin(e *dicom.Element) {
	switch e.Kind {
	case dicom.KindEncapsulated:
		r.active = e.Depth == 0 && r.syntax().UID == dicom.RLELossless
		r.fragments, r.all, r.reach, r.bad = 0, 0, 0, [2]string{}
	case dicom.KindFragment:
		r.n = 0
	}
}

func (r *rle) chunk(e *dicom.Element, p []byte) {
	if r.active && e.Kind == dicom.KindFragment && e.Index > 0 {
		r.n += copy(r.header[r.n:], p)
	}
}

func (r *rle) end(e *dicom.Element) {
	switch {
	case !r.active:
	case e.Kind == dicom.KindFragment && e.Index > 0:
		r.endFragment(e)
	case e.Kind == dicom.KindEncapsulated:
		r.judge(e)
		r.active = false
	}
}

func (r *rle) endFragment(e *dicom.Element) {
	which, length := 1, int64(e.Length)
	last, why := r.wrong()
	if r.fragments == 0 {
		which, r.first, r.reach = 0, length, last
		r.at[0] = e.ValueOffset
	} else if why == "" && last >= length {
		why = beyond(last, length)
	}
	if why != "" && r.bad[which] == "" {
		r.bad[which], r.at[which] = why, e.ValueOffset
	}
	r.fragments++
	r.all += length
}

// judge reports. When there are more fragments than frames, a later fragment
// continues a frame, and begins with no header.
func (r *rle) judge(e *dicom.Element) {
	room, frames := r.first, max(1, r.geometry.frames)
	if r.fragments > frames {
		room = r.all // the first frame ends somewhere in them
	}
	if r.bad[0] == "" && r.fragments > 0 && r.reach >= room {
		r.bad[0] = beyond(r.reach, room)
	}
	if r.bad[0] != "" {
		r.report.add("rle-header", e, r.at[0], r.bad[0])
	} else if r.bad[1] != "" && r.fragments == frames {
		r.report.add("rle-header", e, r.at[1], r.bad[1])
	}
}

func beyond(offset, length int64) string {
	return fmt.Sprintf("a segment at offset %d of %d", offset, length)
}

// wrong says where the last segment begins, and what is wrong with the header, or "".
func (r *rle) wrong() (last int64, why string) {
	if r.n < len(r.header) {
		return 0, fmt.Sprintf("fragment of %d bytes, its header takes 64", r.n)
	}
	le := binary.LittleEndian
	segments := le.Uint32(r.header[:])
	if segments == 0 || segments > 15 {
		return 0, fmt.Sprintf("%d segments", segments)
	}
	for i := range segments {
		offset := int64(le.Uint32(r.header[4+4*i:]))
		if i == 0 && offset != 64 {
			return 0, fmt.Sprintf("first segment at offset %d", offset)
		}
		if offset <= last {
			return 0, fmt.Sprintf("segment %d at offset %d after %d", i+1, offset, last)
		}
		last = offset
	}
	return last, ""
}
