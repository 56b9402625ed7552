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
	if e.VR != dicom.UI || len(v) == 0 {
		return
	}
	if why := path(v); why != "" {
		u.report.add("path-traversal", e, e.ValueOffset, "UID with "+why)
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
// Values are separated by backslashes, so a backslash alone says nothing.
func path(v []byte) string {
	for _, c := range v {
		switch c {
		case '/':
			return "a slash"
		case '|', ';', '&', '$', '`', '<', '>', '"', '\'', '*', '?', '!', '(', ')', '{', '}':
			return "a shell character"
		case ':':
			return "a colon"
		}
	}
	for one := range bytes.SplitSeq(v, []byte{'\\'}) {
		one = bytes.Trim(one, "\x00 ")
		if string(one) == ".." || bytes.HasPrefix(one, []byte("...")) {
			return "a parent folder"
		}
	}
	return ""
}
