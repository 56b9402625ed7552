package query_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/query"
)

const (
	patientName   dicom.Tag = 0x00100010
	patientID               = dicom.TagPatientID
	studyUID                = dicom.TagStudyInstanceUID
	seriesUID               = dicom.TagSeriesInstanceUID
	instanceUID             = dicom.TagSOPInstanceUID
	charset                 = dicom.TagSpecificCharacterSet
	levelTag                = dicom.TagQueryRetrieveLevel
	studyDate     dicom.Tag = 0x00080020
	studyTime     dicom.Tag = 0x00080030
	accession     dicom.Tag = 0x00080050
	modalities    dicom.Tag = 0x00080061
	modality      dicom.Tag = 0x00080060
	acquired      dicom.Tag = 0x0008002A // Acquisition DateTime, DT
	patientAge    dicom.Tag = 0x00101010
	patientSize   dicom.Tag = 0x00101020 // DS
	seriesNumber  dicom.Tag = 0x00200011 // IS
	rows          dicom.Tag = 0x00280010
	birthDate     dicom.Tag = 0x00100030
	comments      dicom.Tag = 0x00104000 // LT
	performer     dicom.Tag = 0x00400006 // in the sequence of a worklist
	stepSequence  dicom.Tag = 0x00400100
	stepDate      dicom.Tag = 0x00400002
	stationTitle  dicom.Tag = 0x00400001 // AE
	codeSequence  dicom.Tag = 0x00081032
	simpleFrames  dicom.Tag = 0x00081161
	timeRange     dicom.Tag = 0x00081163
	newerStandard dicom.Tag = 0x0018FFF1 // in no edition of the dictionary
)

// Identifiers are written by functions, so that a test sees what it sends.
type part func(w *dicom.Writer)

// str is an element of text with the dictionary's VR.
func str(t dicom.Tag, value string) part {
	return func(w *dicom.Writer) {
		a, ok := dicom.LookupAttribute(t)
		if !ok {
			a.VRs = []dicom.VR{dicom.LO}
		}
		w.String(t, a.VRs[0], value)
	}
}

func as(t dicom.Tag, vr dicom.VR, value string) part {
	return func(w *dicom.Writer) { w.Element(t, vr, []byte(value)) }
}

func sq(t dicom.Tag, items ...[]part) part {
	return func(w *dicom.Writer) {
		w.BeginSequence(t, dicom.Undefined)
		for _, item := range items {
			w.BeginItem(dicom.Undefined)
			for _, p := range item {
				p(w)
			}
			w.EndItem()
		}
		w.EndSequence()
	}
}

func item(parts ...part) []part { return parts }

func level(l string) part { return str(levelTag, l) }

func identifier(t testing.TB, ts dicom.UID, parts ...part) []byte {
	t.Helper()
	syntax, _ := dicom.LookupTransferSyntax(ts)
	var b bytes.Buffer
	w := dicom.NewWriter(&b, syntax)
	for _, p := range parts {
		p(w)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Requests to fill in.
var (
	studyFind    = query.Request{Command: dimse.CFindRQ, SOPClass: dicom.StudyRootQueryRetrieveInformationModelFind}
	studyMove    = query.Request{Command: dimse.CMoveRQ, SOPClass: dicom.StudyRootQueryRetrieveInformationModelMove}
	studyGet     = query.Request{Command: dimse.CGetRQ, SOPClass: dicom.StudyRootQueryRetrieveInformationModelGet}
	patientFind  = query.Request{Command: dimse.CFindRQ, SOPClass: dicom.PatientRootQueryRetrieveInformationModelFind}
	patientMove  = query.Request{Command: dimse.CMoveRQ, SOPClass: dicom.PatientRootQueryRetrieveInformationModelMove}
	worklistFind = query.Request{Command: dimse.CFindRQ, SOPClass: dicom.ModalityWorklistInformationModelFind}
	upsFind      = query.Request{Command: dimse.CFindRQ, SOPClass: dicom.UnifiedProcedureStepPull}
	hangingMove  = query.Request{Command: dimse.CMoveRQ, SOPClass: dicom.HangingProtocolInformationModelMove}
	instanceGet  = query.Request{Command: dimse.CGetRQ, SOPClass: dicom.CompositeInstanceRootRetrieveGet}
	vendorFind   = query.Request{Command: dimse.CFindRQ, SOPClass: "1.3.12.2.1107.5.9.1"}
)

func relational(rq query.Request) query.Request {
	rq.Extended = []byte{1}
	return rq
}

// Each rule, with what just keeps to it beside what breaks it.
func TestRules(t *testing.T) {
	const pass = dimse.Success
	long := strings.Repeat("X", 64)
	for _, c := range []struct {
		name  string
		rq    query.Request
		want  dimse.Status
		at    dicom.Tag
		parts []part
	}{
		{"a study by its patient", studyFind, pass, 0, item(str(studyDate, "20200101-"), level("STUDY"), str(patientName, "DOE^J*"), str(patientID, ""), str(studyUID, ""))},
		{"everything", studyFind, pass, 0, item(level("STUDY"), str(studyUID, ""))},
		{"a worklist query for everything", worklistFind, pass, 0, nil},
		{"a worklist query as modalities send it", worklistFind, pass, 0, item(
			str(patientName, ""), str(patientID, ""),
			sq(stepSequence, item(str(modality, "CT"), str(stationTitle, "CT1"), str(stepDate, "20261121"), str(performer, ""))))},
		{"procedure steps", upsFind, pass, 0, item(sq(0x00404025, item(str(0x00080100, ""))))},
		{"a vendor's own model", vendorFind, pass, 0, item(level("ANYTHING"), str(patientID, "1"))},

		{"command on another's SOP class", query.Request{Command: dimse.CMoveRQ, SOPClass: studyFind.SOPClass}, query.StatusWrongClass, 0, nil},
		{"C-FIND on a hanging protocol's C-MOVE", query.Request{Command: dimse.CFindRQ, SOPClass: hangingMove.SOPClass}, query.StatusWrongClass, 0, nil},
		{"C-STORE", query.Request{Command: dimse.CStoreRQ, SOPClass: "1.2.3"}, query.StatusWrongClass, 0, nil},

		// Levels and unique keys.
		{"no level", studyFind, query.StatusMismatch, levelTag, item(str(patientID, "1"))},
		{"level in small letters", studyFind, query.StatusMismatch, levelTag, item(as(levelTag, dicom.CS, "study "))},
		{"level with a wildcard", studyFind, query.StatusMismatch, levelTag, item(level("STUDY*"))},
		{"level of another root", studyFind, query.StatusMismatch, levelTag, item(level("PATIENT"))},
		{"level of this root", patientFind, pass, 0, item(level("PATIENT"), str(patientID, "*"))},
		{"series of one study", studyFind, pass, 0, item(level("SERIES"), str(studyUID, "1.2.3"), str(seriesUID, ""))},
		{"series of any study", studyFind, pass, 0, item(level("SERIES"), str(studyUID, ""), str(seriesUID, ""))},
		{"series of any study, relational", relational(studyFind), pass, 0, item(level("SERIES"), str(seriesUID, ""))},
		{"series of two studies", studyFind, pass, 0, item(level("SERIES"), str(studyUID, `1.2.3\1.2.4`))},
		{"studies of a patient", patientFind, pass, 0, item(level("STUDY"), str(patientID, "1"), str(studyUID, ""))},
		{"studies of a pattern of patients", patientFind, pass, 0, item(level("STUDY"), str(patientID, "1*"))},
		{"study named by an instance", studyFind, pass, 0, item(str(instanceUID, "1.2.3"), level("STUDY"))},
		{"study's instances asked for", studyFind, pass, 0, item(str(instanceUID, ""), level("STUDY"))},
		{"list of studies", studyFind, pass, 0, item(level("STUDY"), str(studyUID, `1.2.3\1.2.4`))},

		// Retrieval.
		{"a study", studyMove, pass, 0, item(level("STUDY"), str(studyUID, "1.2.3"))},
		{"a study, and whose", studyGet, pass, 0, item(level("STUDY"), str(patientID, "1"), str(studyUID, "1.2.3"))},
		{"studies", studyMove, pass, 0, item(level("STUDY"), str(studyUID, `1.2.3\1.2.4`))},
		{"no study", studyMove, query.StatusMismatch, studyUID, item(level("STUDY"), str(studyUID, ""))},
		{"study by a wildcard", studyMove, query.StatusMismatch, studyUID, item(level("STUDY"), str(studyUID, "1.2.*"))},
		{"images", studyMove, pass, 0, item(str(instanceUID, `1.2\1.3`), level("IMAGE"), str(studyUID, "1.2.3"), str(seriesUID, "1.2.3.4"))},
		{"images of no named series", studyMove, pass, 0, item(str(instanceUID, "1.2"), level("IMAGE"), str(studyUID, "1.2.3"))},
		{"images of no series, relational", relational(studyMove), pass, 0, item(str(instanceUID, "1.2"), level("IMAGE"))},
		{"a study, and one of its series", studyMove, query.StatusMismatch, seriesUID, item(level("STUDY"), str(studyUID, "1.2"), str(seriesUID, "1.2.3"))},
		{"nothing, relational", relational(studyMove), query.StatusMismatch, instanceUID, item(level("IMAGE"))},
		{"a patient", patientMove, pass, 0, item(level("PATIENT"), str(patientID, "1"))},
		{"every patient", patientMove, query.StatusMismatch, patientID, item(level("PATIENT"), str(patientID, "*"))},
		{"two patients", patientMove, query.StatusMismatch, patientID, item(level("PATIENT"), as(patientID, dicom.LO, `1\2 `))},
		{"a name beside it is empty", studyMove, pass, 0, item(level("STUDY"), str(patientName, ""), str(studyUID, "1.2.3"))},
		{"a name beside it", studyMove, query.StatusMismatch, patientName, item(level("STUDY"), str(patientName, "DOE"), str(studyUID, "1.2.3"))},
		{"sequence in a retrieval", studyMove, query.StatusMismatch, codeSequence, item(level("STUDY"), sq(codeSequence), str(studyUID, "1.2.3"))},
		{"hanging protocol", hangingMove, pass, 0, item(str(instanceUID, "1.2.3"))},
		{"no hanging protocol", hangingMove, query.StatusMismatch, instanceUID, nil},
		{"frames", instanceGet, pass, 0, item(str(instanceUID, "1.2"), level("FRAME"), func(w *dicom.Writer) { w.Uint32(simpleFrames, 1, 2, 9) })},
		{"frames in no list", instanceGet, query.StatusMismatch, simpleFrames, item(str(instanceUID, "1.2"), level("FRAME"))},
		{"frames in two lists", instanceGet, query.StatusMismatch, simpleFrames, item(str(instanceUID, "1.2"), level("FRAME"),
			func(w *dicom.Writer) { w.Uint32(simpleFrames, 1) }, as(timeRange, dicom.FD, string(make([]byte, 16))))},
		{"frames of two instances", instanceGet, query.StatusMismatch, instanceUID, item(str(instanceUID, `1.2\1.3`), level("FRAME"), func(w *dicom.Writer) { w.Uint32(simpleFrames, 1) })},
		{"frames at another level", instanceGet, query.StatusMismatch, simpleFrames, item(str(instanceUID, "1.2"), level("IMAGE"), func(w *dicom.Writer) { w.Uint32(simpleFrames, 1) })},

		// Which elements may be there.
		{"VR of the standard", studyFind, query.StatusMismatch, patientName, item(level("STUDY"), as(patientName, dicom.LO, "DOE "))},
		{"VR that the sender does not know, only asked for", studyFind, pass, 0, item(level("STUDY"), as(patientName, dicom.UN, ""))},
		{"VR that the sender does not know, matched on", studyFind, query.StatusMismatch, patientName, item(level("STUDY"), as(patientName, dicom.UN, "DOE "))},
		{"attribute not of the standard, asked for", studyFind, pass, 0, item(level("STUDY"), as(newerStandard, dicom.LO, ""))},
		{"attribute not of the standard, matched on", studyFind, query.StatusMismatch, newerStandard, item(level("STUDY"), as(newerStandard, dicom.LO, "1 "))},
		{"group length of another VR", studyFind, query.StatusMismatch, 0x00400000, item(level("STUDY"), as(0x00400000, dicom.UI, "1.2.3.4\x00"))},
		{"group length of another VR, as long", studyFind, query.StatusMismatch, 0x00400000, item(level("STUDY"), as(0x00400000, dicom.LO, "\x00\x00\x00\x00"))},
		{"group length with more", studyFind, query.StatusMismatch, 0x00400000, item(level("STUDY"), as(0x00400000, dicom.UL, "\x00\x00\x00\x00more"))},
		{"group length that is empty", studyFind, query.StatusMismatch, 0x00400000, item(level("STUDY"), as(0x00400000, dicom.UL, ""))},
		{"element of a command", studyFind, query.StatusMismatch, 0x00000002, item(as(0x00000002, dicom.UI, "1.2\x00"), level("STUDY"))},
		{"private key with its creator", studyFind, pass, 0, item(level("STUDY"), as(0x00290010, dicom.LO, "ACME"), as(0x00291001, dicom.LO, "7 "))},
		{"private key without a creator", studyFind, query.StatusMismatch, 0x00291001, item(level("STUDY"), as(0x00291001, dicom.LO, "7 "))},
		{"private key of another block", studyFind, query.StatusMismatch, 0x00291101, item(level("STUDY"), as(0x00290010, dicom.LO, "ACME"), as(0x00291101, dicom.LO, "7 "))},
		{"creator outside the item", worklistFind, query.StatusMismatch, 0x00411001, item(
			sq(stepSequence, item(as(0x00411001, dicom.LO, "7 "))), as(0x00410010, dicom.LO, "ACME"))},
		{"creator inside the item", worklistFind, pass, 0, item(sq(stepSequence, item(as(0x00410010, dicom.LO, "ACME"), as(0x00411001, dicom.LO, "7 "))))},
		{"creator without a name", studyFind, query.StatusMismatch, 0x00290010, item(level("STUDY"), as(0x00290010, dicom.LO, ""))},
		{"group that may not be used", studyFind, query.StatusMismatch, 0x00070010, item(as(0x00070010, dicom.LO, "ACME"), level("STUDY"))},
		{"sequence, one item", studyFind, pass, 0, item(level("STUDY"), sq(codeSequence, item(str(0x00080100, "A1"))))},
		{"sequence, two items", studyFind, query.StatusMismatch, codeSequence, item(level("STUDY"), sq(codeSequence, item(), item()))},
		{"sequence that is none", studyFind, query.StatusMismatch, codeSequence, item(level("STUDY"), as(codeSequence, dicom.LO, "A1"))},
		{"value of pixel data", studyFind, query.StatusMismatch, dicom.TagPixelData, item(level("STUDY"), as(dicom.TagPixelData, dicom.OW, "12"))},

		// VM.
		{"two names", studyFind, query.StatusMismatch, patientName, item(level("STUDY"), as(patientName, dicom.PN, `DOE\ROE `))},
		{"two modalities", studyFind, pass, 0, item(level("STUDY"), str(modalities, `CT\MR`))},
		{"two modalities of a step", worklistFind, pass, 0, item(sq(stepSequence, item(str(modality, `CT\MR`))))},
		{"two numbers", studyFind, query.StatusMismatch, rows, item(level("STUDY"), func(w *dicom.Writer) { w.Uint16(rows, 512, 512) })},
		{"one number", studyFind, pass, 0, item(level("STUDY"), func(w *dicom.Writer) { w.Uint16(rows, 512) })},
		{"half a number", studyFind, query.StatusMismatch, 0x00280009, item(level("STUDY"), as(0x00280009, dicom.AT, "12"))},

		// Values.
		{"name of 64", studyFind, pass, 0, item(level("STUDY"), str(patientName, long+"*"))},
		{"name of 65", studyFind, query.StatusMismatch, patientName, item(level("STUDY"), str(patientName, long+"X"))},
		{"name of three groups", studyFind, pass, 0, item(level("STUDY"), str(patientName, long+"="+long+"="+long))},
		{"name of four groups", studyFind, query.StatusMismatch, patientName, item(level("STUDY"), str(patientName, "A=B=C=D"))},
		{"name of five components", studyFind, pass, 0, item(level("STUDY"), str(patientName, "A^B^C^D^E"))},
		{"name of six components", studyFind, query.StatusMismatch, patientName, item(level("STUDY"), str(patientName, "A^B^C^D^E^F"))},
		{"number of 16 and a wildcard", studyFind, pass, 0, item(str(accession, "1234567890123456*"), level("STUDY"))},
		{"number of 17", studyFind, query.StatusMismatch, accession, item(str(accession, "12345678901234567"), level("STUDY"))},
		{"eight wildcards", studyFind, pass, 0, item(level("STUDY"), str(patientName, "*a*b*c*d*e*f*g*"))},
		{"nine wildcards", studyFind, query.StatusMismatch, patientName, item(level("STUDY"), str(patientName, "*a*b*c*d*e*f*g*h*"))},
		{"question marks", studyFind, pass, 0, item(level("STUDY"), str(patientName, "????????????????"))},
		{"null inside a value", studyFind, query.StatusMismatch, patientID, item(level("STUDY"), as(patientID, dicom.LO, "1\x00*\x00"))},
		{"null after a value", studyFind, pass, 0, item(level("STUDY"), as(patientID, dicom.LO, "1\x00"))},
		{"line end in a name", studyFind, query.StatusMismatch, patientName, item(level("STUDY"), str(patientName, "A\r\nB"))},
		{"line end in a comment", studyFind, pass, 0, item(level("STUDY"), str(comments, "A\r\nB"))},
		{"small letters in a code", studyFind, query.StatusMismatch, modalities, item(level("STUDY"), str(modalities, "ct"))},
		{"wildcard in a code", studyFind, pass, 0, item(level("STUDY"), str(modalities, "C*"))},
		{"UID", studyFind, pass, 0, item(level("STUDY"), str(studyUID, "1.02.3"))},
		{"UID with a path", studyFind, query.StatusMismatch, studyUID, item(level("STUDY"), as(studyUID, dicom.UI, "../../etc\x00"))},
		{"UID with a wildcard", studyFind, query.StatusMismatch, studyUID, item(level("STUDY"), as(studyUID, dicom.UI, "1.2.*\x00"))},
		{"UID of 65", studyFind, query.StatusMismatch, studyUID, item(level("STUDY"), str(studyUID, strings.Repeat("1", 65)))},
		{"age", studyFind, pass, 0, item(level("STUDY"), str(patientAge, "042Y"))},
		{"age of no unit", studyFind, query.StatusMismatch, patientAge, item(level("STUDY"), str(patientAge, "0042"))},
		{"decimal", studyFind, pass, 0, item(level("STUDY"), str(patientSize, "-1.5E2"))},
		{"no decimal", studyFind, query.StatusMismatch, patientSize, item(level("STUDY"), str(patientSize, "0x10p1"))},
		{"integer", studyFind, pass, 0, item(level("SERIES"), str(studyUID, "1.2"), str(seriesNumber, "+12"))},
		{"integer with a wildcard", studyFind, query.StatusMismatch, seriesNumber, item(level("SERIES"), str(studyUID, "1.2"), str(seriesNumber, "1*"))},

		// Ranges.
		{"date", studyFind, pass, 0, item(str(studyDate, "20201231"), level("STUDY"))},
		{"dates until", studyFind, pass, 0, item(str(studyDate, "-20201231"), level("STUDY"))},
		{"dates between", studyFind, pass, 0, item(str(studyDate, "20200101-20201231"), level("STUDY"))},
		{"date that is none", studyFind, query.StatusMismatch, studyDate, item(str(studyDate, "20201331"), level("STUDY"))},
		{"date as it was before 1993", studyFind, query.StatusMismatch, studyDate, item(str(studyDate, "2020.12.31"), level("STUDY"))},
		{"range of nothing", studyFind, query.StatusMismatch, studyDate, item(str(studyDate, "-"), level("STUDY"))},
		{"range of three", studyFind, query.StatusMismatch, studyDate, item(str(studyDate, "20200101-20200102-20200103"), level("STUDY"))},
		{"date with a wildcard", studyFind, query.StatusMismatch, studyDate, item(str(studyDate, "2020*"), level("STUDY"))},
		{"time", studyFind, pass, 0, item(str(studyTime, "0800-120000.5"), level("STUDY"))},
		{"time that is none", studyFind, query.StatusMismatch, studyTime, item(str(studyTime, "2460"), level("STUDY"))},
		{"fraction of a minute", studyFind, query.StatusMismatch, studyTime, item(str(studyTime, "1200.5"), level("STUDY"))},
		{"date and time", relational(studyFind), pass, 0, item(str(acquired, "20200101120000.5+0100-20200102"), level("IMAGE"))},
		{"year and offset", relational(studyFind), pass, 0, item(str(acquired, "2020-0500"), level("IMAGE"))},
		{"no date and time", relational(studyFind), query.StatusMismatch, acquired, item(str(acquired, "202001011260"), level("IMAGE"))},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.rq.TransferSyntax = dicom.ExplicitVRLittleEndian
			c.rq.Identifier = identifier(t, c.rq.TransferSyntax, c.parts...)
			verify(t, query.Rules{}.Check(c.rq), c.want, c.at)
		})
	}
}

func verify(t *testing.T, got *query.Refusal, want dimse.Status, at dicom.Tag) {
	t.Helper()
	switch {
	case got == nil && want == dimse.Success:
	case got == nil:
		t.Errorf("may pass, want status %04X", uint16(want))
	case got.Status != want || at != 0 && !slices.Equal(got.Offending, []dicom.Tag{at}):
		t.Errorf("%v, want status %04X for %v", got, uint16(want), at)
	case len(got.Comment) > 64 || got.Comment == "":
		t.Errorf("comment of %d characters: %s", len(got.Comment), got.Comment)
	}
}

// What an identifier is encoded in makes no difference.
func TestEveryEncoding(t *testing.T) {
	for _, ts := range []dicom.UID{dicom.ImplicitVRLittleEndian, dicom.ExplicitVRLittleEndian, dicom.ExplicitVRBigEndian, dicom.DeflatedExplicitVRLittleEndian} {
		rq := worklistFind
		rq.TransferSyntax = ts
		rq.Identifier = identifier(t, ts, str(patientName, "DOE*"), sq(stepSequence, item(str(modality, "CT"), str(stepDate, "20261121"))))
		verify(t, query.Rules{}.Check(rq), dimse.Success, 0)
		rq.Identifier = identifier(t, ts, str(patientName, "DOE*"), sq(stepSequence, item(str(modality, "CT"), str(stepDate, "today"))))
		verify(t, query.Rules{}.Check(rq), query.StatusMismatch, stepDate)
	}
	rq := worklistFind
	rq.TransferSyntax = "1.2.3"
	verify(t, query.Rules{}.Check(rq), query.StatusUnreadable, 0)
}

// Identifiers that two readers may take for two things.
func TestNothingIsReadInTwoWays(t *testing.T) {
	explicit := func(parts ...part) []byte { return identifier(t, dicom.ExplicitVRLittleEndian, parts...) }
	for name, p := range map[string][]byte{
		"a key twice":             explicit(level("STUDY"), str(patientID, "1"), str(patientID, "*")),
		"a key out of order":      explicit(level("STUDY"), str(studyUID, ""), str(patientID, "1")),
		"implicit where explicit": identifier(t, dicom.ImplicitVRLittleEndian, level("STUDY"), str(patientID, "1")),
		"bytes after the end":     append(explicit(level("STUDY"), str(patientID, "1")), "MZ"...),
		"a value cut short":       explicit(level("STUDY"), str(patientID, "1234"))[:14+10],
		"odd length":              append(explicit(level("STUDY")), "\x10\x00\x20\x00LO\x01\x001"...),
		"item longer than its sequence": append(explicit(level("STUDY")),
			"\x40\x00\x00\x01SQ\x00\x00\x08\x00\x00\x00\xfe\xff\x00\xe0\x40\x00\x00\x00"...),
		"VR that nobody knows":      append(explicit(level("STUDY")), "\x10\x00\x20\x00XX\x02\x001 "...),
		"a wrong group length":      append([]byte("\x08\x00\x00\x00UL\x04\x00\x04\x00\x00\x00"), explicit(level("STUDY"))...),
		"file meta information":     append([]byte("\x02\x00\x10\x00UI\x04\x001.2\x00"), explicit(level("STUDY"))...),
		"fragments":                 append(explicit(level("STUDY")), "\xe0\x7f\x10\x00OB\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\x00\x00\x00\x00\xfe\xff\xdd\xe0\x00\x00\x00\x00"...),
		"no data set at all, noise": []byte("GET / HTTP/1.1\r\n\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			rq := studyFind
			rq.TransferSyntax, rq.Identifier = dicom.ExplicitVRLittleEndian, p
			verify(t, query.Rules{}.Check(rq), query.StatusUnreadable, 0)
		})
	}
	t.Run("a right group length", func(t *testing.T) {
		rq := studyFind
		rq.TransferSyntax = dicom.ExplicitVRLittleEndian
		rq.Identifier = append([]byte("\x08\x00\x00\x00UL\x04\x00\x0e\x00\x00\x00"), explicit(level("STUDY"))...)
		verify(t, query.Rules{}.Check(rq), dimse.Success, 0)
	})
}

func TestLimits(t *testing.T) {
	limits := query.Limits{Bytes: 2000, Elements: 8, Depth: 2, UIDs: 3, Values: 2, Wildcards: 1}
	nested := func(n int) part {
		p := sq(stepSequence, item(str(modality, "CT")))
		for range n - 1 {
			p = sq(stepSequence, item(p))
		}
		return p
	}
	for _, c := range []struct {
		name  string
		rq    query.Request
		want  dimse.Status
		parts []part
	}{
		{"two deep", worklistFind, dimse.Success, item(nested(2))},
		{"three deep", worklistFind, query.StatusTooLarge, item(nested(3))},
		{"three UIDs", studyFind, dimse.Success, item(level("STUDY"), str(studyUID, `1\2\3`))},
		{"four UIDs", studyFind, query.StatusMismatch, item(level("STUDY"), str(studyUID, `1\2\3\4`))},
		{"three codes", studyFind, query.StatusMismatch, item(level("STUDY"), str(modalities, `CT\MR\US`))},
		{"two wildcards", studyFind, query.StatusMismatch, item(level("STUDY"), str(patientName, `*A*`))},
		{"too long", studyFind, query.StatusTooLarge, item(level("STUDY"), str(comments, strings.Repeat("A", 2000)))},
		{"too many elements", studyFind, query.StatusTooLarge, item(
			str(studyDate, ""), str(studyTime, ""), str(accession, ""), level("STUDY"), str(modality, ""), str(patientName, ""), str(patientID, ""), str(birthDate, ""), str(studyUID, ""))},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.rq.TransferSyntax = dicom.ExplicitVRLittleEndian
			c.rq.Identifier = identifier(t, c.rq.TransferSyntax, c.parts...)
			verify(t, query.Rules{Limits: limits}.Check(c.rq), c.want, 0)
		})
	}
	t.Run("small, but inflates", func(t *testing.T) {
		rq := studyFind
		rq.TransferSyntax = dicom.DeflatedExplicitVRLittleEndian
		rq.Identifier = identifier(t, rq.TransferSyntax, level("STUDY"), str(comments, strings.Repeat("A", 10000)))
		if len(rq.Identifier) > limits.Bytes {
			t.Fatal("not small")
		}
		verify(t, query.Rules{Limits: limits}.Check(rq), query.StatusTooLarge, 0)
	})
}

// A key that a site does not allow refuses the query; it is not left out of it, which would match more.
func TestKeysOfTheSite(t *testing.T) {
	rules := query.Rules{Keys: []dicom.Tag{patientName, modality}, NeedKey: true}
	for _, c := range []struct {
		name  string
		rq    query.Request
		want  dimse.Status
		at    dicom.Tag
		parts []part
	}{
		{"allowed", studyFind, dimse.Success, 0, item(str(charset, "ISO_IR 192"), level("STUDY"), str(patientName, "DOE"), str(studyUID, ""))},
		{"not allowed", studyFind, query.StatusKeyForbidden, birthDate, item(level("STUDY"), str(patientName, "DOE"), str(birthDate, "19700101"))},
		{"not allowed, though only asked for", studyFind, query.StatusKeyForbidden, birthDate, item(level("STUDY"), str(patientName, "DOE"), str(birthDate, ""))},
		{"allowed in a sequence", worklistFind, dimse.Success, 0, item(sq(stepSequence, item(str(modality, "CT"))))},
		{"not allowed in a sequence", worklistFind, query.StatusKeyForbidden, stepDate, item(sq(stepSequence, item(str(stepDate, "20261121"))))},
		{"nothing to match on", studyFind, query.StatusNoKey, 0, item(level("STUDY"), str(patientName, "*"), str(studyUID, ""))},
		{"nothing to match on in a worklist", worklistFind, dimse.Success, 0, item(str(patientName, ""))},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.rq.TransferSyntax = dicom.ExplicitVRLittleEndian
			c.rq.Identifier = identifier(t, c.rq.TransferSyntax, c.parts...)
			verify(t, rules.Check(c.rq), c.want, c.at)
		})
	}
}

func TestRefusalNamesNoValue(t *testing.T) {
	rq := studyFind
	rq.TransferSyntax = dicom.ExplicitVRLittleEndian
	rq.Identifier = identifier(t, rq.TransferSyntax, level("STUDY"), str(patientName, "SECRET\x01"))
	got := query.Rules{}.Check(rq)
	if got == nil || strings.Contains(got.Error(), "SECRET") || !strings.Contains(got.Error(), "(0010,0010)") {
		t.Errorf("%v", got)
	}
}
