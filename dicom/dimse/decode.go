package dimse

import (
	"encoding/binary"
	"fmt"
	"strings"

	"cordon/dicom"
)

// DecodeCommand reads a command set of at most 64 KiB: implicit VR little endian, elements of group 0000 in rising order
// (PS3.7 §6.3.1). Elements that it does not know are skipped, and so are those of other groups behind the end that the
// group length gives: Orthanc 1.10 puts the Failed SOP Instance UID List of a C-GET response there. The command field, the message id that the message must
// have and the data set type must be there, and a response's status.
func DecodeCommand(p []byte) (Command, error) {
	if len(p) > maxCommand {
		return Command{}, fmt.Errorf("command set of %d bytes, at most %d are allowed", len(p), maxCommand)
	}
	p = group0(p)
	d := commandDecoder{}
	last := -1
	for len(p) > 0 {
		element, value, rest, err := splitElement(p)
		if err == nil && int(element) <= last {
			err = fmt.Errorf("command element (0000,%04X): out of order", element)
		}
		if err == nil {
			err = d.element(element, value, len(rest))
		}
		if err != nil {
			return Command{}, err
		}
		p, last = rest, int(element)
	}
	return d.Command, d.complete()
}

// group0 cuts off what follows the command group, if it is of another group.
func group0(p []byte) []byte {
	if len(p) < groupLengthSize || binary.LittleEndian.Uint32(p) != 0 || binary.LittleEndian.Uint32(p[4:]) != 4 {
		return p
	}
	n := uint64(binary.LittleEndian.Uint32(p[8:])) + groupLengthSize
	if n+2 > uint64(len(p)) || binary.LittleEndian.Uint16(p[n:]) == 0 {
		return p
	}
	return p[:n]
}

// splitElement cuts the first element off a command set.
func splitElement(p []byte) (element uint16, value, rest []byte, err error) {
	if len(p) < elementHeaderSize {
		return 0, nil, nil, fmt.Errorf("command element header: %d bytes are left, 8 are needed", len(p))
	}
	if group := binary.LittleEndian.Uint16(p); group != 0 {
		return 0, nil, nil, fmt.Errorf("command element of group %04X, want 0000", group)
	}
	element = binary.LittleEndian.Uint16(p[2:])
	n := binary.LittleEndian.Uint32(p[4:])
	p = p[elementHeaderSize:]
	if uint64(n) > uint64(len(p)) {
		return 0, nil, nil, fmt.Errorf("command element (0000,%04X) of %d bytes, %d are left", element, n, len(p))
	}
	return element, p[:n], p[n:], nil
}

// commandDecoder collects a command set and which of its elements were seen.
type commandDecoder struct {
	Command
	dataSetType *uint16
	field       *uint16
	messageID   *uint16
	respondedTo *uint16
	priority    *uint16
	status      *uint16
}

// element takes one element; left is how many bytes follow it.
func (d *commandDecoder) element(element uint16, v []byte, left int) error {
	switch element {
	case elemGroupLength:
		return checkGroupLength(v, left)
	case elemAffectedSOPClassUID:
		d.AffectedSOPClassUID = dicom.TrimUID(v)
	case elemRequestedSOPClassUID:
		d.RequestedSOPClassUID = dicom.TrimUID(v)
	case elemMoveDestination:
		d.MoveDestination = dicom.AETitle(trim(v))
	case elemErrorComment:
		d.ErrorComment = trim(v)
	case elemAffectedSOPInstanceUID:
		d.AffectedSOPInstanceUID = dicom.TrimUID(v)
	case elemRequestedSOPInstanceUID:
		d.RequestedSOPInstanceUID = dicom.TrimUID(v)
	case elemMoveOriginatorAETitle:
		d.MoveOriginatorAETitle = dicom.AETitle(trim(v))
	case elemOffendingElement:
		return tags(&d.OffendingElement, element, v)
	case elemAttributeIdentifierList:
		return tags(&d.AttributeIdentifierList, element, v)
	default:
		if to := d.number(element); to != nil {
			return number(to, element, v)
		}
	}
	return nil
}

// number is where the value of an element of VR US goes, nil if the element is not known.
func (d *commandDecoder) number(element uint16) **uint16 {
	switch element {
	case elemCommandField:
		return &d.field
	case elemMessageID:
		return &d.messageID
	case elemMessageIDRespondedTo:
		return &d.respondedTo
	case elemPriority:
		return &d.priority
	case elemCommandDataSetType:
		return &d.dataSetType
	case elemStatus:
		return &d.status
	case elemErrorID:
		return &d.ErrorID
	case elemEventTypeID:
		return &d.EventTypeID
	case elemActionTypeID:
		return &d.ActionTypeID
	case elemRemainingSuboperations:
		return &d.NumberOfRemainingSuboperations
	case elemCompletedSuboperations:
		return &d.NumberOfCompletedSuboperations
	case elemFailedSuboperations:
		return &d.NumberOfFailedSuboperations
	case elemWarningSuboperations:
		return &d.NumberOfWarningSuboperations
	case elemMoveOriginatorMessageID:
		return &d.MoveOriginatorMessageID
	}
	return nil
}

// complete checks that what the message must have was there.
func (d *commandDecoder) complete() error {
	if d.field == nil {
		return fmt.Errorf("command set without a command field")
	}
	d.Field = CommandField(*d.field)
	answers := d.Field.IsResponse() || d.Field == CCancelRQ
	switch {
	case d.dataSetType == nil:
		return fmt.Errorf("%v without a command data set type", d.Field)
	case answers && d.respondedTo == nil:
		return fmt.Errorf("%v without a message id being responded to", d.Field)
	case !answers && d.messageID == nil:
		return fmt.Errorf("%v without a message id", d.Field)
	case d.Field.IsResponse() && d.status == nil:
		return fmt.Errorf("%v without a status", d.Field)
	}
	d.HasData = *d.dataSetType != noDataSet
	if answers {
		d.MessageIDBeingRespondedTo = *d.respondedTo
	} else {
		d.MessageID = *d.messageID
	}
	if d.Field.hasPriority() {
		d.Priority = Priority(value(d.priority)) // some senders leave it out
	}
	if d.Field.IsResponse() {
		d.Status = Status(*d.status)
	}
	return nil
}

func value(v *uint16) uint16 {
	if v == nil {
		return 0
	}
	return *v
}

func checkGroupLength(v []byte, left int) error {
	if len(v) != 4 {
		return fmt.Errorf("command group length of %d bytes, want 4", len(v))
	}
	if n := binary.LittleEndian.Uint32(v); uint64(n) != uint64(left) {
		return fmt.Errorf("command group length %d, but %d bytes follow", n, left)
	}
	return nil
}

// number reads one value of VR US. An empty element is an absent one.
func number(to **uint16, element uint16, v []byte) error {
	switch len(v) {
	case 0:
	case 2:
		n := binary.LittleEndian.Uint16(v)
		*to = &n
	default:
		return fmt.Errorf("command element (0000,%04X) of %d bytes, want 2", element, len(v))
	}
	return nil
}

// tags reads values of VR AT.
func tags(to *[]dicom.Tag, element uint16, v []byte) error {
	if len(v)%4 != 0 {
		return fmt.Errorf("command element (0000,%04X) of %d bytes, want a multiple of 4", element, len(v))
	}
	for ; len(v) > 0; v = v[4:] {
		*to = append(*to, dicom.NewTag(binary.LittleEndian.Uint16(v), binary.LittleEndian.Uint16(v[2:])))
	}
	return nil
}

func trim(v []byte) string { return strings.Trim(string(v), "\x00 ") }
