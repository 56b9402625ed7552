package inspect

import (
	"fmt"
	"slices"

	"cordon/dicom"
)

// metaInformation checks that group 0002 has the VRs of the dictionary. The
// decoder checks its length and place.
type metaInformation struct {
	blind
	report *report
}

func (m *metaInformation) raises() []string { return []string{"meta-vr"} }

func (m *metaInformation) begin(e *dicom.Element) {
	if !e.Meta || !e.Explicit {
		return
	}
	known, ok := dicom.LookupAttribute(e.Tag)
	if ok && !slices.Contains(known.VRs, e.VR) || e.VR == dicom.UN {
		m.report.add("meta-vr", e, e.Offset, fmt.Sprintf("VR %v", e.VR))
	}
}
