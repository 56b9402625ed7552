package dimse

import (
	"encoding/binary"
	"fmt"

	"cordon/dicom"
)

// Elements of the command group (PS3.7 §E.1).
const (
	elemGroupLength             uint16 = 0x0000
	elemAffectedSOPClassUID     uint16 = 0x0002
	elemRequestedSOPClassUID    uint16 = 0x0003
	elemCommandField            uint16 = 0x0100
	elemMessageID               uint16 = 0x0110
	elemMessageIDRespondedTo    uint16 = 0x0120
	elemMoveDestination         uint16 = 0x0600
	elemPriority                uint16 = 0x0700
	elemCommandDataSetType      uint16 = 0x0800
	elemStatus                  uint16 = 0x0900
	elemOffendingElement        uint16 = 0x0901
	elemErrorComment            uint16 = 0x0902
	elemErrorID                 uint16 = 0x0903
	elemAffectedSOPInstanceUID  uint16 = 0x1000
	elemRequestedSOPInstanceUID uint16 = 0x1001
	elemEventTypeID             uint16 = 0x1002
	elemAttributeIdentifierList uint16 = 0x1005
	elemActionTypeID            uint16 = 0x1008
	elemRemainingSuboperations  uint16 = 0x1020
	elemCompletedSuboperations  uint16 = 0x1021
	elemFailedSuboperations     uint16 = 0x1022
	elemWarningSuboperations    uint16 = 0x1023
	elemMoveOriginatorAETitle   uint16 = 0x1030
	elemMoveOriginatorMessageID uint16 = 0x1031
	groupLengthSize                    = 12
	elementHeaderSize                  = 8
	noDataSet                   uint16 = 0x0101
	aDataSet                    uint16 = 0x0001 // any value but 0101H
	maxCommand                         = 64 << 10
	maxErrorComment                    = 64 // characters of VR LO
)

// Encode returns the command set in implicit VR little endian, with its group length (PS3.7 §6.3.1). A longer
// ErrorComment is cut at its 64 characters.
func (c *Command) Encode() ([]byte, error) {
	e := encoder{b: make([]byte, groupLengthSize, 256)}
	e.uid(elemAffectedSOPClassUID, c.AffectedSOPClassUID)
	e.uid(elemRequestedSOPClassUID, c.RequestedSOPClassUID)
	e.us(elemCommandField, uint16(c.Field))
	if c.Field.IsResponse() || c.Field == CCancelRQ {
		e.us(elemMessageIDRespondedTo, c.MessageIDBeingRespondedTo)
	} else {
		e.us(elemMessageID, c.MessageID)
	}
	e.text(elemMoveDestination, string(c.MoveDestination))
	if c.Field.hasPriority() {
		e.us(elemPriority, uint16(c.Priority))
	}
	e.us(elemCommandDataSetType, dataSetType(c.HasData))
	if c.Field.IsResponse() {
		e.us(elemStatus, uint16(c.Status))
	}
	e.tags(elemOffendingElement, c.OffendingElement)
	e.text(elemErrorComment, cut(c.ErrorComment, maxErrorComment))
	e.optional(elemErrorID, c.ErrorID)
	e.uid(elemAffectedSOPInstanceUID, c.AffectedSOPInstanceUID)
	e.uid(elemRequestedSOPInstanceUID, c.RequestedSOPInstanceUID)
	e.optional(elemEventTypeID, c.EventTypeID)
	e.tags(elemAttributeIdentifierList, c.AttributeIdentifierList)
	e.optional(elemActionTypeID, c.ActionTypeID)
	e.optional(elemRemainingSuboperations, c.NumberOfRemainingSuboperations)
	e.optional(elemCompletedSuboperations, c.NumberOfCompletedSuboperations)
	e.optional(elemFailedSuboperations, c.NumberOfFailedSuboperations)
	e.optional(elemWarningSuboperations, c.NumberOfWarningSuboperations)
	e.text(elemMoveOriginatorAETitle, string(c.MoveOriginatorAETitle))
	e.optional(elemMoveOriginatorMessageID, c.MoveOriginatorMessageID)
	if len(e.b) > maxCommand {
		return nil, fmt.Errorf("command set of %d bytes, at most %d are allowed", len(e.b), maxCommand)
	}
	putGroupLength(e.b)
	return e.b, nil
}

func putGroupLength(b []byte) {
	binary.LittleEndian.PutUint32(b[4:], 4)
	binary.LittleEndian.PutUint32(b[8:], uint32(len(b)-groupLengthSize))
}

func dataSetType(hasData bool) uint16 {
	if hasData {
		return aDataSet
	}
	return noDataSet
}

// cut returns at most n characters of s.
func cut(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

type encoder struct{ b []byte }

func (e *encoder) header(element uint16, n int) {
	e.b = append(e.b, 0, 0)
	e.b = binary.LittleEndian.AppendUint16(e.b, element)
	e.b = binary.LittleEndian.AppendUint32(e.b, uint32(n))
}

func (e *encoder) us(element, v uint16) {
	e.header(element, 2)
	e.b = binary.LittleEndian.AppendUint16(e.b, v)
}

func (e *encoder) optional(element uint16, v *uint16) {
	if v != nil {
		e.us(element, *v)
	}
}

// uid pads with NUL (PS3.5 §9.4).
func (e *encoder) uid(element uint16, v dicom.UID) { e.padded(element, string(v), 0) }

// text pads with a space.
func (e *encoder) text(element uint16, v string) { e.padded(element, v, ' ') }

func (e *encoder) padded(element uint16, v string, pad byte) {
	if v == "" {
		return
	}
	e.header(element, len(v)+len(v)&1)
	e.b = append(e.b, v...)
	if len(v)&1 == 1 {
		e.b = append(e.b, pad)
	}
}

func (e *encoder) tags(element uint16, tags []dicom.Tag) {
	if len(tags) == 0 {
		return
	}
	e.header(element, 4*len(tags))
	for _, t := range tags {
		e.b = binary.LittleEndian.AppendUint16(e.b, t.Group())
		e.b = binary.LittleEndian.AppendUint16(e.b, t.Element())
	}
}
