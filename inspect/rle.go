package inspect

import (
	"encoding/binary"
	"fmt"

	"cordon/dicom"
)

// rle checks the header of each RLE frame (PS3.5 §G.5): at most 15 segments, the
// first right after the header, rising, inside the fragment.
type rle struct {
	blind
	report   *report
	geometry *geometry
	syntax   func() dicom.TransferSyntax

	active    bool
	header    [64]byte
	n         int
	fragments int64
	bad       [2]string // why the first fragment's header is wrong; and that of any other
	at        [2]int64
}

func (r *rle) raises() []string { return []string{"rle-header"} }

func (r *rle) begin(e *dicom.Element) {
	switch e.Kind {
	case dicom.KindEncapsulated:
		r.active = e.Depth == 0 && r.syntax().UID == dicom.RLELossless
		r.fragments, r.bad = 0, [2]string{}
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
		which := min(r.fragments, 1)
		if why := r.wrong(int64(e.Length)); why != "" && r.bad[which] == "" {
			r.bad[which], r.at[which] = why, e.ValueOffset
		}
		r.fragments++
	case e.Kind == dicom.KindEncapsulated:
		r.judge(e)
		r.active = false
	}
}

// judge reports. When there are more fragments than frames, a later fragment
// continues a frame, and begins with no header.
func (r *rle) judge(e *dicom.Element) {
	if r.bad[0] != "" {
		r.report.add("rle-header", e, r.at[0], r.bad[0])
	} else if r.bad[1] != "" && r.fragments == max(1, r.geometry.frames) {
		r.report.add("rle-header", e, r.at[1], r.bad[1])
	}
}

// wrong says what is wrong with the header, or "".
func (r *rle) wrong(length int64) string {
	if r.n < len(r.header) {
		return fmt.Sprintf("fragment of %d bytes, its header takes 64", r.n)
	}
	le := binary.LittleEndian
	segments := le.Uint32(r.header[:])
	if segments == 0 || segments > 15 {
		return fmt.Sprintf("%d segments", segments)
	}
	last := uint32(0)
	for i := range segments {
		offset := le.Uint32(r.header[4+4*i:])
		if i == 0 && offset != 64 {
			return fmt.Sprintf("first segment at offset %d", offset)
		}
		if offset <= last || int64(offset) >= length {
			return fmt.Sprintf("segment %d at offset %d of %d", i+1, offset, length)
		}
		last = offset
	}
	return ""
}
