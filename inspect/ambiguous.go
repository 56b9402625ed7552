package inspect

import (
	"bytes"

	"cordon/dicom"
)

// ambiguous looks for elements that stand twice, at the root, with different
// values, and decide what the object is or how large its image is: readers differ
// in which of the two they take.
type ambiguous struct {
	blind
	report *report
	first  map[dicom.Tag][]byte
}

func (a *ambiguous) raises() []string { return []string{"ambiguous-element"} }

func (a *ambiguous) whole(e *dicom.Element, v []byte) {
	if e.Depth > 0 || !decisive(e.Tag) {
		return
	}
	v = bytes.TrimRight(v[:min(len(v), 2*maxUID)], "\x00 ")
	if first, ok := a.first[e.Tag]; !ok {
		if a.first == nil {
			a.first = map[dicom.Tag][]byte{}
		}
		a.first[e.Tag] = bytes.Clone(v)
	} else if !bytes.Equal(first, v) {
		a.report.add("ambiguous-element", e, e.Offset, "")
	}
}

func decisive(t dicom.Tag) bool {
	switch t {
	case dicom.TagTransferSyntaxUID, dicom.TagSOPClassUID, dicom.TagSOPInstanceUID, dicom.TagStudyInstanceUID, dicom.TagSeriesInstanceUID,
		tagSamplesPerPixel, tagRows, tagColumns, tagBitsAllocated, tagNumberOfFrames, tagPhotometricInterpretation:
		return true
	}
	return false
}
