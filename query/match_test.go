package query_test

import (
	"strings"
	"testing"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/query"
)

// What an archive finds need not be clean, but it must be readable in one way and no value absurd.
func TestMatches(t *testing.T) {
	const ts = dicom.ExplicitVRLittleEndian
	good := identifier(t, ts, str(studyDate, "20261121"), str(patientName, "M\xfcller^"+strings.Repeat("X", 90)), str(studyUID, "1.02.3"))
	for _, c := range []struct {
		name  string
		match []byte
		want  dimse.Status
	}{
		{"an entry as archives have them", good, dimse.Success},
		{"odd length", append(identifier(t, ts, str(studyDate, "")), "\x10\x00\x20\x00LO\x01\x001"...), dimse.Success},
		{"out of order", identifier(t, ts, str(patientName, "A"), str(studyDate, "")), dimse.Success},
		{"the same element twice", identifier(t, ts, str(patientName, "A"), str(studyDate, ""), str(patientName, "B")), query.StatusUnreadable},
		{"the same element in two items", identifier(t, ts, sq(stepSequence, item(str(modality, "CT")), item(str(modality, "CT")))), dimse.Success},
		{"the same element twice in an item", identifier(t, ts, sq(stepSequence, item(str(modality, "CT"), str(studyDate, ""), str(modality, "MR")))), query.StatusUnreadable},
		{"a value cut short", good[:len(good)-4], query.StatusUnreadable},
		{"a program after the end", append(good[:len(good):len(good)], "MZ\x90\x00"...), query.StatusUnreadable},
		{"a name that overflows", identifier(t, ts, str(patientName, strings.Repeat("X", 5000))), query.StatusMismatch},
		{"a UID with a path", identifier(t, ts, as(studyUID, dicom.UI, "../../etc/passwd")), query.StatusMismatch},
		{"an irregular UID", identifier(t, ts, as(studyUID, dicom.UI, "1..2.ABC\x00\x00")), dimse.Success},
		{"a comment of any length", identifier(t, ts, str(comments, strings.Repeat("X", 5000))), dimse.Success},
		{"an element of a command", identifier(t, ts, as(0x00000900, dicom.US, "\x00\x00")), query.StatusMismatch},
		{"sequences without end", identifier(t, ts, nest(20)), query.StatusUnreadable},
		{"implicit where explicit", identifier(t, dicom.ImplicitVRLittleEndian, str(studyDate, "20261121")), query.StatusUnreadable},
		{"too long", identifier(t, ts, as(comments, dicom.UT, strings.Repeat("X", 1<<20))), query.StatusTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) { verify(t, query.CheckMatch(c.match, ts), c.want, 0) })
	}
	verify(t, query.CheckMatch(good, "1.2.3"), query.StatusUnreadable, 0)
}

func nest(n int) part {
	p := sq(stepSequence)
	for range n - 1 {
		p = sq(stepSequence, item(p))
	}
	return p
}
