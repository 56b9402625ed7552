package inspect

import (
	"slices"

	"cordon/dicom"
)

// readAs reports whether e may be read as a value of VR vr: its header says so, or the
// dictionary does, by which many readers go where the header says UN (PS3.5 §6.2.2)
// or names another VR of characters.
func readAs(e *dicom.Element, vr dicom.VR) bool {
	if e.VR == vr {
		return true
	}
	return (e.VR == dicom.UN || e.VR.IsString()) && slices.Contains(dictionaryVRs(e.Tag), vr)
}

// isText reports whether e may be read as characters.
func isText(e *dicom.Element) bool {
	return e.VR.IsString() || e.VR == dicom.UN && slices.ContainsFunc(dictionaryVRs(e.Tag), dicom.VR.IsString)
}

func dictionaryVRs(t dicom.Tag) []dicom.VR {
	if t.IsPrivate() {
		return nil
	}
	a, _ := dicom.LookupAttribute(t) // what is not there has none
	return a.VRs
}
