package gateway

import (
	"bytes"
	"slices"
	"strings"

	"cordon/dicom"
)

// maxFailedList bounds the Failed SOP Instance UID List that is written: what
// an element with a 16-bit length holds, since UI has one in explicit VR.
const maxFailedList = 0xFFFE

// failedList adds instances to the Failed SOP Instance UID List (0008,0058) of
// an identifier (PS3.4 §C.4.2.1.4.2), which has nothing else in it. nil, which
// a response may have, is returned if it cannot be written.
func failedList(data []byte, ts dicom.UID, more []dicom.UID) []byte {
	syntax, ok := dicom.LookupTransferSyntax(ts)
	if !ok {
		return nil
	}
	var failed []string
	if es, err := dicom.ReadElements(data, syntax, 16); err == nil {
		for _, e := range es {
			if e.Tag == dicom.TagFailedSOPInstanceUIDList && len(e.Value) > 0 {
				failed = strings.Split(string(dicom.TrimUID(e.Value)), `\`)
			}
		}
	}
	for _, u := range more {
		if !slices.Contains(failed, string(u)) {
			failed = append(failed, string(u))
		}
	}
	for size := len(strings.Join(failed, `\`)); size > maxFailedList; size = len(strings.Join(failed, `\`)) {
		failed = failed[:len(failed)/2]
	}
	var b bytes.Buffer
	w := dicom.NewWriter(&b, syntax)
	w.String(dicom.TagFailedSOPInstanceUIDList, dicom.UI, failed...)
	if w.Close() != nil {
		return nil
	}
	return b.Bytes()
}
