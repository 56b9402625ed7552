package inspect

import (
	"fmt"

	"cordon/dicom"
)

// overlays holds Overlay Data against its size (PS3.3 §C.9.2).
type overlays struct {
	blind
	report                *report
	group                 uint16
	rows, columns, frames int64
}

func (o *overlays) raises() []string { return []string{"overlay-short"} }

func overlayGroup(t dicom.Tag) bool { return t.Group()&0xFF01 == 0x6000 }

func (o *overlays) begin(e *dicom.Element) {
	if e.Depth > 0 || !overlayGroup(e.Tag) {
		return
	}
	if e.Tag.Group() != o.group {
		o.group, o.rows, o.columns, o.frames = e.Tag.Group(), 0, 0, 1
	}
	if e.Tag.Element() != 0x3000 || e.Kind != dicom.KindElement {
		return
	}
	if want := ceilBytes(product(o.rows, o.columns, max(1, o.frames))); int64(e.Length) < want {
		o.report.add("overlay-short", e, e.Offset, fmt.Sprintf("%d bytes where %d×%d points, %d frames take %d", e.Length, o.rows, o.columns, o.frames, want))
	}
}

func (o *overlays) whole(e *dicom.Element, v []byte) {
	if e.Depth > 0 || e.Tag.Group() != o.group {
		return
	}
	switch e.Tag.Element() {
	case 0x0010:
		o.rows = number(e, v)
	case 0x0011:
		o.columns = number(e, v)
	case 0x0015:
		o.frames = number(e, v)
	}
}
