package inspect

import (
	"bytes"
	"fmt"

	"cordon/dicom"
)

// uids checks every UID.
type uids struct {
	blind
	report *report
}

func (u *uids) raises() []string { return []string{"uid-irregular", "path-traversal"} }

func (u *uids) whole(e *dicom.Element, v []byte) {
	if why := path(v); why != "" && readAs(e, dicom.UI) {
		u.report.add("path-traversal", e, e.ValueOffset, "UID with "+why)
		return
	}
	if e.VR != dicom.UI {
		return
	}
	for n, one := range bytes.Split(v, []byte{'\\'}) {
		one = bytes.TrimRight(one, "\x00 ")
		if len(one) == 0 {
			continue
		}
		if err := dicom.UID(one).Validate(); err != nil {
			u.report.add("uid-irregular", e, e.ValueOffset, fmt.Sprintf("value %d: %v", n+1, err))
			return
		}
	}
}

// path says what in an identifier would make a path or a command of it, or "".
// Values are separated by backslashes, so a backslash alone says nothing; nor does
// a slash, as in "N/A", or a bracket, as in "(null)".
func path(v []byte) string {
	if bytes.ContainsAny(v, "|;&$`<>\"'\n") {
		return "a shell character"
	}
	if bytes.Contains(v, []byte("../")) || bytes.Contains(v, []byte("/..")) {
		return "a parent folder"
	}
	for one := range bytes.SplitSeq(v, []byte{'\\'}) {
		one = bytes.Trim(one, "\x00 ")
		switch {
		case string(one) == "..":
			return "a parent folder"
		case bytes.HasPrefix(one, []byte("/")):
			return "a path from the root"
		case len(one) >= 2 && one[1] == ':':
			return "a drive"
		}
	}
	return ""
}
