package commit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"cordon/dicom"
)

// read decodes a data set as it comes. Both kinds have the same attributes; of a
// request the references are what a report calls committed.
func read(r io.Reader, ts dicom.UID) (*visitor, error) {
	if _, ok := dicom.LookupTransferSyntax(ts); !ok {
		return nil, fmt.Errorf("transfer syntax %.64q is not known", string(ts))
	}
	v := &visitor{}
	d := dicom.NewDecoder(v, dicom.Options{
		TransferSyntax: ts,
		Limits:         dicom.Limits{Depth: 4, Items: MaxReferences + 1, InflateBytes: MaxBytes},
	})
	defer d.Close()
	block := make([]byte, 32<<10)
	for total := 0; ; {
		n, err := r.Read(block)
		if total += n; total > MaxBytes {
			return nil, ErrTooLong
		}
		d.Write(block[:n])
		switch {
		case v.err != nil:
			return nil, v.err
		case errors.Is(err, io.EOF):
			d.Close()
			return v, v.end()
		case err != nil:
			return nil, err
		}
	}
}

// visitor collects what the decoder tells it of.
type visitor struct {
	report   Report
	sequence dicom.Tag // the open one at the root, or 0
	item     Failure   // the open one
	value    []byte    // of the element under way, as far as it is of use
	err      error
}

// Begin implements dicom.Visitor.
func (v *visitor) Begin(e *dicom.Element) {
	v.value = v.value[:0]
	switch {
	case e.Kind == dicom.KindSequence && e.Depth == 0:
		v.sequence = e.Tag
	case e.Kind == dicom.KindItem && e.Depth == 1:
		v.item = Failure{Reason: ProcessingFailure}
	}
}

// Value implements dicom.Visitor.
func (v *visitor) Value(_ *dicom.Element, p []byte) {
	v.value = append(v.value, p[:min(len(p), maxValue-len(v.value))]...)
}

// End implements dicom.Visitor.
func (v *visitor) End(e *dicom.Element) {
	switch {
	case e.Kind == dicom.KindItem && e.Depth == 1:
		v.endItem()
	case e.Kind != dicom.KindElement:
	case e.Depth == 0 && e.Tag == tagTransactionUID:
		v.report.TransactionUID = v.uid(e)
	case e.Depth != 1 || v.sequence != tagFailedSOPSequence && v.sequence != dicom.TagReferencedSOPSequence:
	case e.Tag == dicom.TagReferencedSOPClassUID:
		v.item.SOPClassUID = v.uid(e)
	case e.Tag == dicom.TagReferencedSOPInstanceUID:
		v.item.SOPInstanceUID = v.uid(e)
	case e.Tag == tagFailureReason && len(v.value) == 2 && e.BigEndian:
		v.item.Reason = binary.BigEndian.Uint16(v.value)
	case e.Tag == tagFailureReason && len(v.value) == 2:
		v.item.Reason = binary.LittleEndian.Uint16(v.value)
	}
}

// Anomaly implements dicom.Visitor. What leaves the structure certain is let
// pass: a modality that pads wrongly asks for the same.
func (v *visitor) Anomaly(_ *dicom.Element, a dicom.Anomaly) {
	switch {
	case a.Code == dicom.AnomalyItemLimit, a.Code == dicom.AnomalyInflateLimit:
		v.fail(ErrTooLong)
	case a.Fatal, a.Code == dicom.AnomalyTrailingBytes:
		v.fail(fmt.Errorf("%s at offset %d", a.Code, a.Offset))
	}
}

func (v *visitor) fail(err error) {
	if v.err == nil {
		v.err = err
	}
}

// endItem keeps what an item of one of the two sequences says.
func (v *visitor) endItem() {
	if v.sequence != tagFailedSOPSequence && v.sequence != dicom.TagReferencedSOPSequence || v.err != nil {
		return
	}
	switch {
	case v.item.SOPClassUID == "" || v.item.SOPInstanceUID == "":
		v.fail(errors.New("an item without Referenced SOP Class UID and Referenced SOP Instance UID"))
	case len(v.report.Committed)+len(v.report.Failed) == MaxReferences:
		v.fail(ErrTooLong)
	case v.sequence == tagFailedSOPSequence:
		v.report.Failed = append(v.report.Failed, v.item)
	default:
		v.report.Committed = append(v.report.Committed, v.item.Reference)
	}
}

// uid is the value just ended, if it can be a UID at all.
func (v *visitor) uid(e *dicom.Element) dicom.UID {
	u := dicom.TrimUID(v.value)
	if len(u) > maxUID {
		v.fail(fmt.Errorf("%v: a UID of more than %d bytes", e.Tag, maxUID))
		return ""
	}
	for i := range len(u) {
		if u[i] <= ' ' || u[i] > '~' || u[i] == '\\' {
			v.fail(fmt.Errorf("%v: byte %02XH in a UID", e.Tag, u[i]))
			return ""
		}
	}
	return u
}

// end says what a data set that is complete lacks.
func (v *visitor) end() error {
	if v.err == nil && v.report.TransactionUID == "" {
		return errors.New("no Transaction UID")
	}
	return v.err
}
