package dimse

import (
	"errors"

	"cordon/dicom"
)

// CommandField says what a message is (PS3.7 §E.1).
type CommandField uint16

// The messages of PS3.7, in the order of its table E.1-1.
const (
	CStoreRQ        CommandField = 0x0001
	CStoreRSP       CommandField = 0x8001
	CGetRQ          CommandField = 0x0010
	CGetRSP         CommandField = 0x8010
	CFindRQ         CommandField = 0x0020
	CFindRSP        CommandField = 0x8020
	CMoveRQ         CommandField = 0x0021
	CMoveRSP        CommandField = 0x8021
	CEchoRQ         CommandField = 0x0030
	CEchoRSP        CommandField = 0x8030
	NEventReportRQ  CommandField = 0x0100
	NEventReportRSP CommandField = 0x8100
	NGetRQ          CommandField = 0x0110
	NGetRSP         CommandField = 0x8110
	NSetRQ          CommandField = 0x0120
	NSetRSP         CommandField = 0x8120
	NActionRQ       CommandField = 0x0130
	NActionRSP      CommandField = 0x8130
	NCreateRQ       CommandField = 0x0140
	NCreateRSP      CommandField = 0x8140
	NDeleteRQ       CommandField = 0x0150
	NDeleteRSP      CommandField = 0x8150
	CCancelRQ       CommandField = 0x0FFF
)

// Priority of an operation (PS3.7 §E.1). The zero value is medium.
type Priority uint16

// Priorities.
const (
	Medium Priority = 0
	High   Priority = 1
	Low    Priority = 2
)

// Command is a command set (PS3.7 annex E). Empty strings, empty lists and nil pointers are absent elements.
// MessageID, MessageIDBeingRespondedTo, Priority and Status are present where the message has them.
type Command struct {
	AffectedSOPClassUID            dicom.UID     // (0000,0002)
	RequestedSOPClassUID           dicom.UID     // (0000,0003)
	Field                          CommandField  // (0000,0100)
	MessageID                      uint16        // (0000,0110), requests
	MessageIDBeingRespondedTo      uint16        // (0000,0120), responses and C-CANCEL
	MoveDestination                dicom.AETitle // (0000,0600)
	Priority                       Priority      // (0000,0700), C-STORE, C-FIND, C-GET, C-MOVE requests
	HasData                        bool          // (0000,0800) is not 0101H
	Status                         Status        // (0000,0900), responses
	OffendingElement               []dicom.Tag   // (0000,0901)
	ErrorComment                   string        // (0000,0902), at most 64 characters
	ErrorID                        *uint16       // (0000,0903)
	AffectedSOPInstanceUID         dicom.UID     // (0000,1000)
	RequestedSOPInstanceUID        dicom.UID     // (0000,1001)
	EventTypeID                    *uint16       // (0000,1002)
	AttributeIdentifierList        []dicom.Tag   // (0000,1005)
	ActionTypeID                   *uint16       // (0000,1008)
	NumberOfRemainingSuboperations *uint16       // (0000,1020)
	NumberOfCompletedSuboperations *uint16       // (0000,1021)
	NumberOfFailedSuboperations    *uint16       // (0000,1022)
	NumberOfWarningSuboperations   *uint16       // (0000,1023)
	MoveOriginatorAETitle          dicom.AETitle // (0000,1030)
	MoveOriginatorMessageID        *uint16       // (0000,1031)
}

// Encode returns the command set: implicit VR little endian, with its group length (PS3.7 §6.3.1).
func (c *Command) Encode() ([]byte, error) { return nil, errNotYet }

// DecodeCommand reads a command set.
func DecodeCommand(p []byte) (Command, error) { return Command{}, errNotYet }

var errNotYet = errors.New("not available")
