package inspect

import (
	"cordon/dicom"
	"cordon/finding"
)

// identity notes what the object is and which one it is, and whether the file
// meta information agrees.
type identity struct {
	blind
	report   *report
	identity finding.Identity
	file     finding.Identity // as the file meta information has it
	elements int64            // of the data set
}

func (i *identity) raises() []string { return []string{"identity-missing", "identity-mismatch"} }

func (i *identity) begin(e *dicom.Element) {
	if e.Tag != 0 && !e.Meta {
		i.elements++
	}
}

func (i *identity) whole(e *dicom.Element, v []byte) {
	if e.Depth > 0 {
		return
	}
	if field := i.field(e.Tag); field != nil && *field == "" && len(v) <= 2*maxUID { // the first one counts
		*field = string(dicom.TrimUID(v))
	}
}

const maxUID = 64 // PS3.5 §9.1

func (i *identity) field(t dicom.Tag) *string {
	switch t {
	case dicom.TagMediaStorageSOPClassUID:
		return &i.file.SOPClassUID
	case dicom.TagMediaStorageSOPInstanceUID:
		return &i.file.SOPInstanceUID
	case dicom.TagSOPClassUID:
		return &i.identity.SOPClassUID
	case dicom.TagSOPInstanceUID:
		return &i.identity.SOPInstanceUID
	case dicom.TagStudyInstanceUID:
		return &i.identity.StudyInstanceUID
	case dicom.TagSeriesInstanceUID:
		return &i.identity.SeriesInstanceUID
	}
	return nil
}

func (i *identity) finish() {
	directory := i.file.SOPClassUID == string(dicom.MediaStorageDirectoryStorage) // has neither, PS3.3 §F.3
	if i.elements == 0 || directory {
		return
	}
	for _, f := range []struct {
		name          string
		tag           dicom.Tag
		dataSet, file string
	}{
		{"SOP Class UID", dicom.TagSOPClassUID, i.identity.SOPClassUID, i.file.SOPClassUID},
		{"SOP Instance UID", dicom.TagSOPInstanceUID, i.identity.SOPInstanceUID, i.file.SOPInstanceUID},
	} {
		switch {
		case f.dataSet == "":
			i.report.addAt("identity-missing", f.tag.String(), 0, f.name)
		case f.file != "" && f.file != f.dataSet:
			i.report.addAt("identity-mismatch", f.tag.String(), 0, f.name)
		}
	}
}
