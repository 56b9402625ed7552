package inspect

import (
	"bytes"

	"cordon/dicom"
)

// remainder looks at what follows a data set that came over the network. Files
// carry all sorts of things after their data set; a message ends where its data
// set does, and what is there may be elements to another reader.
type remainder struct {
	blind
	report *report
	file   bool
	seen   bool
}

func (r *remainder) raises() []string { return []string{"unread-elements"} }

func (r *remainder) chunk(e *dicom.Element, p []byte) {
	if e.Kind != dicom.KindTrailer || r.file || r.seen || len(bytes.Trim(p, "\x00\xFF ")) == 0 {
		return
	}
	r.seen = true
	r.report.add("unread-elements", e, e.Offset, "")
}
