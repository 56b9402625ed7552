package query_test

import (
	"strings"
	"testing"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/query"
)

// FuzzCheck: whatever is asked, the check neither panics nor grows, a refusal has a status and a short comment, and what
// may pass is a data set that reads to its end.
func FuzzCheck(f *testing.F) {
	syntaxes := []dicom.UID{dicom.ExplicitVRLittleEndian, dicom.ImplicitVRLittleEndian, dicom.ExplicitVRBigEndian, dicom.DeflatedExplicitVRLittleEndian}
	requests := []query.Request{studyFind, relational(studyFind), patientFind, studyMove, studyGet, worklistFind, hangingMove, instanceGet, vendorFind}
	for i, ts := range syntaxes {
		f.Add(identifier(f, ts, str(charset, `\ISO 2022 IR 87`), level("STUDY"), str(patientName, "Y=\x1b$B;3\x1b(B*"), str(studyUID, `1.2\1.3`)), uint8(0), uint8(i))
		f.Add(identifier(f, ts, str(studyDate, "2020-"), sq(stepSequence, item(str(modality, "CT")))), uint8(5), uint8(i))
		f.Add(identifier(f, ts, str(instanceUID, "1.2"), level("FRAME"), func(w *dicom.Writer) { w.Uint32(simpleFrames, 1) }), uint8(7), uint8(i))
	}
	f.Fuzz(func(t *testing.T, p []byte, request, syntax uint8) {
		rq := requests[int(request)%len(requests)]
		rq.TransferSyntax, rq.Identifier = syntaxes[int(syntax)%len(syntaxes)], p
		refusal := query.Rules{}.Check(rq)
		if refusal != nil {
			if refusal.Status.Class() != dimse.ClassFailure || refusal.Comment == "" || len(refusal.Comment) > 64 || strings.ContainsAny(refusal.Comment, "\x00\x1b\\") {
				t.Errorf("%+v", refusal)
			}
			return
		}
		ts, _ := dicom.LookupTransferSyntax(rq.TransferSyntax)
		if _, err := dicom.ReadElements(p, ts, 512); err != nil {
			t.Errorf("may pass, and cannot be read: %v", err)
		}
		if match := query.CheckMatch(p, rq.TransferSyntax); match != nil {
			t.Errorf("may be asked, and not be answered: %v", match)
		}
	})
}
