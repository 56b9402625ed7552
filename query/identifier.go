package query

import (
	"cordon/dicom"
	"cordon/dicom/dimse"
)

// element is a piece of an identifier: an element, a sequence or an item.
type element struct {
	tag       dicom.Tag
	kind      dicom.Kind
	vr        dicom.VR // as declared, else the dictionary's first
	explicit  bool     // the VR is declared
	bigEndian bool
	depth     int    // how many sequences enclose it
	items     int    // of a sequence
	value     []byte // as encoded; empty for sequences and items
}

// read reads an identifier into its elements, in their order. Whatever a conformant encoder would not have written is a
// refusal, since readers differ in what they make of it: a tag twice or out of order, lengths that do not fit, another
// encoding than the announced one, bytes after the end.
func read(p []byte, ts dicom.UID, l Limits) ([]element, *Refusal) {
	if len(p) > l.Bytes {
		return nil, refuse(StatusTooLarge, 0, "identifier of more than %d bytes", l.Bytes)
	}
	if _, ok := dicom.LookupTransferSyntax(ts); !ok {
		return nil, refuse(StatusUnreadable, 0, "transfer syntax is not known")
	}
	r := reader{limits: l}
	d := dicom.NewDecoder(&r, dicom.Options{
		TransferSyntax: ts,
		Size:           int64(len(p)),
		Limits:         dicom.Limits{Depth: l.Depth, Elements: int64(l.Elements), InflateBytes: int64(l.Bytes)},
	})
	d.Write(p)
	d.Close()
	return r.elements, r.refusal
}

// reader is the visitor that gathers elements until something is wrong. It keeps at most what the limits allow.
type reader struct {
	limits   Limits
	elements []element
	open     []int // the sequences around what comes next, as indexes of elements
	refusal  *Refusal
}

func (r *reader) Begin(e *dicom.Element) {
	switch {
	case r.refusal != nil:
	case e.Kind == dicom.KindSequence:
		r.add(e)
		r.open = append(r.open, len(r.elements)-1)
	case e.Kind == dicom.KindItem:
		r.elements[r.open[len(r.open)-1]].items++
		r.add(e)
	case e.Kind == dicom.KindElement:
		r.add(e)
	case e.Kind == dicom.KindEncapsulated, e.Kind == dicom.KindFragment:
		r.refuse(StatusUnreadable, e.Tag, "fragments in an identifier")
	}
}

func (r *reader) add(e *dicom.Element) {
	r.elements = append(r.elements, element{
		tag: e.Tag, kind: e.Kind, vr: e.VR, explicit: e.Explicit, bigEndian: e.BigEndian, depth: e.Depth,
	})
}

func (r *reader) Value(e *dicom.Element, p []byte) {
	if r.refusal == nil && e.Kind == dicom.KindElement {
		last := &r.elements[len(r.elements)-1]
		last.value = append(last.value, p...)
	}
}

func (r *reader) End(e *dicom.Element) {
	switch {
	case r.refusal != nil:
	case e.Kind == dicom.KindSequence:
		r.open = r.open[:len(r.open)-1]
	case e.Kind == dicom.KindUnparsed:
		r.refuse(StatusUnreadable, e.Tag, "identifier cannot be read")
	}
}

// Anomaly refuses; the status tells a limit from an encoding.
func (r *reader) Anomaly(e *dicom.Element, a dicom.Anomaly) {
	if r.refusal != nil {
		return
	}
	var t dicom.Tag
	if e != nil {
		t = e.Tag
	}
	switch a.Code {
	case dicom.AnomalyDepthLimit, dicom.AnomalyElementLimit, dicom.AnomalyItemLimit, dicom.AnomalyInflateLimit, dicom.AnomalyInflateRatio:
		r.refuse(StatusTooLarge, t, "identifier is too large (%s)", a.Code)
	default:
		r.refuse(StatusUnreadable, t, "identifier cannot be read (%s)", a.Code)
	}
}

func (r *reader) refuse(s dimse.Status, t dicom.Tag, format string, args ...any) {
	r.refusal = refuse(s, t, format, args...)
}
