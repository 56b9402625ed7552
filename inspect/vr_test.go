package inspect_test

import (
	"strings"
	"testing"

	"cordon/dicom"
	"cordon/inspect/compose"
)

// Readers that go by the dictionary, whatever VR a header names, meet the same values.
func TestVRsThatReadersIgnore(t *testing.T) {
	const retrieveAETitle dicom.Tag = 0x00080054
	for _, c := range []struct {
		tag   dicom.Tag
		vr    dicom.VR
		value string
		id    string // "" for none
	}{
		{dicom.TagStudyInstanceUID, dicom.UN, "1.2/../../x", "path-traversal"},
		{dicom.TagStudyInstanceUID, dicom.LO, "../../etc/cron.d/x", "path-traversal"},
		{dicom.TagSOPInstanceUID, dicom.UN, "1.2.3/../../x", "path-traversal"},
		{retrieveAETitle, dicom.UN, "../../x", "path-traversal"},
		{dicom.TagPatientName, dicom.UN, "a<img src=x onerror=f()>", "active-markup"},
		{dicom.TagPatientName, dicom.UN, strings.Repeat("a ", 50) + "<img src=x onerror=f()>", "active-markup"},
		{dicom.TagPatientName, dicom.UN, strings.Repeat("a ", 50) + "< 5 mm", ""},
		{dicom.TagStudyDescription, dicom.LO, "CT/../MR", ""},
	} {
		o := compose.CT(16, 16)
		o.Set(c.tag, c.vr, []byte(c.value+strings.Repeat(" ", len(c.value)%2)))
		out := judgedFile(o.File())
		if c.id != "" && !has(out, c.id, c.tag.String()) {
			t.Errorf("%v as %v: found %v, want %s", c.tag, c.vr, out.Findings, c.id)
		}
		if c.id == "" && len(out.Findings) > 0 {
			t.Errorf("%v as %v: found %v", c.tag, c.vr, out.Findings)
		}
	}
}
