package inspect

import (
	"fmt"

	"cordon/dicom"
)

// palettes holds Palette Color Lookup Table Data against its descriptor (PS3.3
// §C.7.6.3.1.5): red, green, blue and alpha.
type palettes struct {
	blind
	report *report
	length [5]int64 // bytes that the descriptors 1 to 4 ask for; 0: none
}

func (p *palettes) raises() []string { return []string{"lookup-table-short"} }

func (p *palettes) whole(e *dicom.Element, v []byte) {
	const descriptors = 0x00281100
	if n := e.Tag - descriptors; e.Depth == 0 && n >= 1 && n <= 4 && len(v) == 6 {
		entries, bits := number(e, v[:2]), number(e, v[4:])
		if entries == 0 {
			entries = 1 << 16
		}
		p.length[n] = entries * ((bits + 7) / 8)
	}
}

func (p *palettes) begin(e *dicom.Element) {
	const data = 0x00281200
	if n := e.Tag - data; e.Depth == 0 && e.Kind == dicom.KindElement && n >= 1 && n <= 4 && int64(e.Length) < p.length[n] {
		p.report.add("lookup-table-short", e, e.Offset, fmt.Sprintf("%d bytes where the descriptor asks for %d", e.Length, p.length[n]))
	}
}
