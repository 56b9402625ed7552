package inspect

import (
	"fmt"

	"cordon/dicom"
)

// palettes holds Palette Color Lookup Table Data against its descriptor (PS3.3
// §C.7.6.3.1.5): red, green, blue and alpha.
type palettes struct {
	blind
	report  *report
	entries [5]int64 // of the descriptors 1 to 4; 0: none
	width   [5]int64 // bytes of one entry
}

func (p *palettes) raises() []string { return []string{"lookup-table-short", "lookup-table-depth"} }

func (p *palettes) whole(e *dicom.Element, v []byte) {
	const descriptors = 0x00281100
	if n := e.Tag - descriptors; e.Depth == 0 && n >= 1 && n <= 4 && len(v) == 6 {
		entries, bits := number(e, v[:2]), number(e, v[4:])
		if entries == 0 {
			entries = 1 << 16
		}
		p.entries[n], p.width[n] = entries, (bits+7)/8
	}
}

// begin holds the data against the descriptor. Some devices store one byte for
// each entry and say 16 bits, which readers know.
func (p *palettes) begin(e *dicom.Element) {
	const data = 0x00281200
	n := e.Tag - data
	if e.Depth > 0 || e.Kind != dicom.KindElement || n < 1 || n > 4 {
		return
	}
	detail := fmt.Sprintf("%d bytes for %d entries of %d bytes", e.Length, p.entries[n], p.width[n])
	switch {
	case int64(e.Length) < p.entries[n]:
		p.report.add("lookup-table-short", e, e.Offset, detail)
	case int64(e.Length) < p.entries[n]*p.width[n]:
		p.report.add("lookup-table-depth", e, e.Offset, detail)
	}
}
