package dimse

import (
	"fmt"

	"cordon/dicom"
)

// CommandField says what a message is (PS3.7 §E.1).
type CommandField uint16

const responseBit CommandField = 0x8000

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

// IsResponse tells whether the message is a response.
func (f CommandField) IsResponse() bool { return f&responseBit != 0 }

// Response is the response to the request.
func (f CommandField) Response() CommandField { return f | responseBit }

// IsKnown tells whether PS3.7 defines the message.
func (f CommandField) IsKnown() bool { return f.name() != "" }

// String is the standard's name, C-STORE-RQ, or the number of a message that it does not define.
func (f CommandField) String() string {
	if n := f.name(); n != "" {
		return n
	}
	return fmt.Sprintf("message %04XH", uint16(f))
}

func (f CommandField) name() string {
	if f == CCancelRQ {
		return "C-CANCEL-RQ"
	}
	for _, m := range services {
		switch f {
		case m.request:
			return m.name + "-RQ"
		case m.request.Response():
			return m.name + "-RSP"
		}
	}
	return ""
}

// hasPriority tells whether the message carries a priority (PS3.7 §9.3).
func (f CommandField) hasPriority() bool {
	return f == CStoreRQ || f == CFindRQ || f == CGetRQ || f == CMoveRQ
}

// services are those of PS3.7 that have a request and a response.
var services = [...]struct {
	request CommandField
	name    string
}{
	{CStoreRQ, "C-STORE"}, {CGetRQ, "C-GET"}, {CFindRQ, "C-FIND"}, {CMoveRQ, "C-MOVE"}, {CEchoRQ, "C-ECHO"},
	{NEventReportRQ, "N-EVENT-REPORT"}, {NGetRQ, "N-GET"}, {NSetRQ, "N-SET"},
	{NActionRQ, "N-ACTION"}, {NCreateRQ, "N-CREATE"}, {NDeleteRQ, "N-DELETE"},
}

// Priority of an operation (PS3.7 §E.1). The zero value is medium.
type Priority uint16

// Priorities.
const (
	Medium Priority = 0
	High   Priority = 1
	Low    Priority = 2
)

// Command is a command set (PS3.7 annex E), general enough for every message.
//
// Empty strings, empty lists and nil pointers are absent elements. MessageID is present in requests but C-CANCEL,
// MessageIDBeingRespondedTo in responses and C-CANCEL, Priority in C-STORE, C-FIND, C-GET and C-MOVE requests, Status in
// responses. The UIDs and titles of a received Command are what the peer sent, less padding; they need not be valid.
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
