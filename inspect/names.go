package inspect

import (
	"bytes"
	"fmt"

	"cordon/dicom"
)

// names checks AE titles and the file ids of a DICOMDIR.
type names struct {
	blind
	report *report
}

func (n *names) raises() []string {
	return []string{"ae-title-irregular", "file-id-irregular", "path-traversal"}
}

func (n *names) whole(e *dicom.Element, v []byte) {
	switch {
	case e.Tag == dicom.TagReferencedFileID:
		n.fileID(e, v)
	case e.VR == dicom.AE || bytes.IndexByte(v, '/') >= 0 && readAs(e, dicom.AE):
		n.aeTitle(e, v)
	}
}

// aeTitle accepts what PS3.5 §6.2 does, which includes shell characters; a
// path is another matter.
func (n *names) aeTitle(e *dicom.Element, v []byte) {
	for one := range bytes.SplitSeq(v, []byte{'\\'}) {
		one = bytes.Trim(one, " \x00")
		switch {
		case bytes.Contains(one, []byte("../")) || bytes.Contains(one, []byte("/..")) || bytes.HasPrefix(one, []byte("/")) || string(one) == "..":
			n.report.add("path-traversal", e, e.ValueOffset, "AE title with a path")
			return
		case len(one) > 0 && !aeTitle(one):
			n.report.add("ae-title-irregular", e, e.ValueOffset, fmt.Sprintf("%d characters", len(one)))
			return
		}
	}
}

func aeTitle(v []byte) bool {
	_, err := dicom.ParseAETitle(string(v))
	return err == nil
}

// fileID checks Referenced File ID: components of at most 8 capitals, digits
// and underscores (PS3.10 §8.5), of which files in the field are not always made.
func (n *names) fileID(e *dicom.Element, v []byte) {
	if why := path(v); why != "" {
		n.report.add("path-traversal", e, e.ValueOffset, "file id with "+why)
		return
	}
	for i, one := range bytes.Split(v, []byte{'\\'}) {
		one = bytes.Trim(one, " \x00")
		if len(one) > 8 || bytes.ContainsFunc(one, outsideFileID) {
			n.report.add("file-id-irregular", e, e.ValueOffset, fmt.Sprintf("component %d, %d characters", i+1, len(one)))
			return
		}
	}
}

func outsideFileID(r rune) bool {
	return (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_'
}
