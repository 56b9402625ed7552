package inspect

import (
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
	if !e.VR.IsString() || m.report.full("active-markup") {
		return
	}
	if at := container.ActiveMarkup(v); at >= 0 {
		m.report.add("active-markup", e, e.ValueOffset+int64(at), "")
	}
}
