package dicom_test

import (
	"bytes"
	"strings"
	"testing"

	"cordon/dicom"
)

func TestReadElements(t *testing.T) {
	for _, u := range encodings {
		ts := syntax(t, u)
		elements, err := dicom.ReadElements(build(t, u, sample(ts)), ts, 100)
		if err != nil {
			t.Errorf("%s: %v", ts.Name, err)
			continue
		}
		if e := elements[1]; e.Tag != dicom.TagSOPInstanceUID || e.VR != dicom.UI || dicom.TrimUID(e.Value) != "1.2.3" || e.BigEndian != ts.BigEndian {
			t.Errorf("%s: %+v", ts.Name, e)
		}
		if e := elements[3]; e.Tag != dicom.TagReferencedSOPSequence || e.VR != dicom.SQ || len(e.Value) != 0 {
			t.Errorf("%s: %+v", ts.Name, e)
		}
		if e := elements[7]; e.Tag != dicom.TagReferencedSOPClassUID || e.Depth != 2 {
			t.Errorf("%s: %+v", ts.Name, e)
		}
	}
}

func TestReadElementsRefuses(t *testing.T) {
	sound := build(t, explicit, sample(syntax(t, explicit)))
	bomb := build(t, deflated, func(w *dicom.Writer) { w.Element(dicom.TagPixelData, dicom.OW, make([]byte, 10<<20)) })
	for name, c := range map[string]struct {
		p   []byte
		u   dicom.UID
		max int
		err string
	}{
		"too many elements": {sound, explicit, 5, "more than 5 elements"},
		"cut off":           {sound[:len(sound)-1], explicit, 100, "truncated"},
		"trailing bytes":    {append(bytes.Clone(sound), "<script>"...), explicit, 100, "trailing-bytes"},
		"deflate bomb":      {bomb, deflated, 100, "inflate-limit"},
	} {
		if elements, err := dicom.ReadElements(c.p, syntax(t, c.u), c.max); err == nil || elements != nil || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %d elements, %v", name, len(elements), err)
		}
	}
}
