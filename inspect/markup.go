package inspect

import (
	"bytes"
	"regexp"

	"cordon/dicom"
)

// markup looks for text that a web viewer would run if it did not escape it. A
// bare '<' is normal in text, and so are tags without behaviour.
type markup struct {
	blind
	report *report
}

func (m *markup) raises() []string { return []string{"active-markup"} }

// activeMarkup matches tags that run, event handlers in tags, and script addresses.
var activeMarkup = regexp.MustCompile(`(?i)<\s*/?\s*(?:script|iframe|object|embed|svg)\b[^<]{0,200}>` +
	`|<[a-z][^<>]{0,200}[\s/"']on(?:load|error|click|dblclick|mouse[a-z]+|key[a-z]+|focus[a-z]*|blur|submit|change|input|toggle|pointer[a-z]+|touch[a-z]+|animation[a-z]+|transition[a-z]+|scroll|wheel|resize|begin|canplay|play|paste|copy|cut|drag[a-z]*|drop|message|pageshow|hashchange|popstate|before[a-z]+)\s*=` +
	`|(?:href|src|action)\s*=\s*["']?\s*(?:java|vb)script:`)

func (m *markup) whole(e *dicom.Element, v []byte) {
	if !e.VR.IsString() || bytes.IndexByte(v, '<') < 0 {
		return
	}
	if at := activeMarkup.FindIndex(v); at != nil {
		m.report.add("active-markup", e, e.ValueOffset+int64(at[0]), "")
	}
}
