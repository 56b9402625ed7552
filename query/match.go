package query

import (
	"bytes"

	"cordon/dicom"
)

// Bounds of what an archive answers. Real data sets are longer than PS3.5 §6.2 allows, and less clean than a query must
// be; what is refused here is what has taken over its readers before.
const (
	maxMatchBytes    = 1 << 20
	maxMatchElements = 8192
	maxMatchDepth    = 16
	maxShortValue    = 1024 // bytes of one value of a VR that PS3.5 limits to 64 characters or fewer
)

// CheckMatch says why the identifier of a pending C-FIND response may not pass, or nil: it has to be readable to its
// end, in one way, and no value may be many times longer than its VR allows. What the text says is not judged here.
func CheckMatch(identifier []byte, ts dicom.UID) *Refusal {
	if len(identifier) > maxMatchBytes {
		return refuse(StatusTooLarge, 0, "match of more than %d bytes", maxMatchBytes)
	}
	if _, ok := dicom.LookupTransferSyntax(ts); !ok {
		return refuse(StatusUnreadable, 0, "transfer syntax is not known")
	}
	m := matchReader{seen: []map[dicom.Tag]bool{{}}}
	d := dicom.NewDecoder(&m, dicom.Options{
		TransferSyntax: ts,
		Size:           int64(len(identifier)),
		Limits:         dicom.Limits{Depth: maxMatchDepth, Elements: maxMatchElements, InflateBytes: maxMatchBytes},
	})
	d.Write(identifier)
	d.Close()
	return m.refusal
}

// matchReader is the visitor of CheckMatch. It keeps one value that should be short, and which tags there are.
type matchReader struct {
	value   []byte
	seen    []map[dicom.Tag]bool // in the data set, and in each item that is open
	refusal *Refusal
}

func (m *matchReader) Begin(e *dicom.Element) {
	m.value = m.value[:0]
	switch {
	case m.refusal != nil:
	case e.Kind == dicom.KindUnparsed, e.Kind == dicom.KindEncapsulated:
		m.refusal = refuse(StatusUnreadable, e.Tag, "match cannot be read")
	case e.Kind == dicom.KindItem:
		m.seen = append(m.seen, map[dicom.Tag]bool{})
	case e.Kind != dicom.KindElement && e.Kind != dicom.KindSequence:
	case e.Tag.Group() == groupOfCommands:
		m.refusal = mismatch(e.Tag, "element of a command in a match")
	case m.seen[len(m.seen)-1][e.Tag]:
		m.refusal = refuse(StatusUnreadable, e.Tag, "the same element twice")
	default:
		m.seen[len(m.seen)-1][e.Tag] = true
	}
}

func (m *matchReader) Value(e *dicom.Element, p []byte) {
	if m.refusal == nil && isShort(e.VR) {
		m.value = append(m.value, p...)
	}
}

func (m *matchReader) End(e *dicom.Element) {
	if m.refusal == nil && e.Kind == dicom.KindItem {
		m.seen = m.seen[:len(m.seen)-1]
	}
	if m.refusal != nil || e.Kind != dicom.KindElement || !isShort(e.VR) {
		return
	}
	for v := range bytes.SplitSeq(m.value, []byte{'\\'}) {
		switch {
		case len(v) > maxShortValue:
			m.refusal = mismatch(e.Tag, "value of more than %d bytes", maxShortValue)
		case e.VR == dicom.UI && bytes.ContainsFunc(trim(v), noUIDHas):
			m.refusal = mismatch(e.Tag, "not a UID")
		}
	}
}

// noUIDHas tells the characters that make something else of a UID: a path, or nothing that can be printed. There are
// studies whose UIDs have letters or empty components.
func noUIDHas(r rune) bool { return r < 0x20 && r != 0 || r > 0x7E || r == '/' }

// Anomaly refuses what readers differ on; an odd length, say, is but untidy.
func (m *matchReader) Anomaly(e *dicom.Element, a dicom.Anomaly) {
	ambiguous := a.Fatal
	switch a.Code {
	case dicom.AnomalyTrailingBytes, dicom.AnomalyEncodingMismatch, dicom.AnomalyImplicitInExplicit,
		dicom.AnomalyExplicitInImplicit, dicom.AnomalyLengthExceedsParent, dicom.AnomalyLengthExceedsRest, dicom.AnomalyMetaInDataSet:
		ambiguous = true
	}
	if ambiguous && m.refusal == nil {
		m.refusal = refuse(StatusUnreadable, 0, "match cannot be read (%s)", a.Code)
	}
}

// isShort tells the VRs whose values have at most 64 characters (PS3.5 table 6.2-1), of a PN in each component group.
func isShort(vr dicom.VR) bool {
	switch vr {
	case dicom.AE, dicom.AS, dicom.CS, dicom.DA, dicom.DS, dicom.DT, dicom.IS, dicom.LO, dicom.PN, dicom.SH, dicom.TM, dicom.UI:
		return true
	}
	return false
}
