package inspect

import (
	"bytes"

	"cordon/dicom"
	"cordon/inspect/container"
)

// markup looks for text that a web viewer would run if it did not escape it. A
// bare '<' is normal in text, and so are tags without behaviour.
type markup struct {
	blind
	report *report
}

func (m *markup) raises() []string { return []string{"active-markup"} }

func (m *markup) whole(e *dicom.Element, v []byte) {
	if !isText(e) || m.report.full("active-markup") || document(e, v) {
		return
	}
	if at := container.ActiveMarkup(v); at >= 0 {
		m.report.add("active-markup", e, e.ValueOffset+int64(at), "")
	}
}

// document reports whether a value is a vendor's XML, which is judged as a document
// by its piece.
func document(e *dicom.Element, v []byte) bool {
	return e.Tag.IsPrivate() && len(v) > shortValue && bytes.HasPrefix(v, []byte("<?xml"))
}
