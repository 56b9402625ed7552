package dimse

// Status of a response (PS3.7 annex C, PS3.4 §B.2.3).
type Status uint16

// Statuses. Those of C-STORE that are ranges are named by their first value.
const (
	Success                     Status = 0x0000
	Cancel                      Status = 0xFE00
	Pending                     Status = 0xFF00
	PendingWarning              Status = 0xFF01
	WarningCoercion             Status = 0xB000
	WarningElementsDiscarded    Status = 0xB006
	WarningDataSetMismatch      Status = 0xB007
	AttributeListError          Status = 0x0107
	AttributeValueOutOfRange    Status = 0x0116
	SOPClassNotSupported        Status = 0x0122
	ClassInstanceConflict       Status = 0x0119
	DuplicateSOPInstance        Status = 0x0111
	DuplicateInvocation         Status = 0x0210
	InvalidArgumentValue        Status = 0x0115
	InvalidAttributeValue       Status = 0x0106
	InvalidSOPInstance          Status = 0x0117
	MissingAttribute            Status = 0x0120
	MissingAttributeValue       Status = 0x0121
	MistypedArgument            Status = 0x0212
	NoSuchArgument              Status = 0x0114
	NoSuchAttribute             Status = 0x0105
	NoSuchEventType             Status = 0x0113
	NoSuchSOPInstance           Status = 0x0112
	NoSuchSOPClass              Status = 0x0118
	NoSuchActionType            Status = 0x0123
	NotAuthorized               Status = 0x0124
	ProcessingFailure           Status = 0x0110
	ResourceLimitation          Status = 0x0213
	UnrecognizedOperation       Status = 0x0211
	OutOfResources              Status = 0xA700
	DataSetDoesNotMatchSOPClass Status = 0xA900
	CannotUnderstand            Status = 0xC000
)

// Class is the class of a status (PS3.7 annex C).
type Class uint8

// Classes. The zero value is a failure.
const (
	ClassFailure Class = iota
	ClassSuccess
	ClassWarning
	ClassPending
	ClassCancel
)

// Class of the status.
func (s Status) Class() Class {
	switch {
	case s == Success:
		return ClassSuccess
	case s == Cancel:
		return ClassCancel
	case s == Pending || s == PendingWarning:
		return ClassPending
	case s == 0x0001 || s == AttributeListError || s == AttributeValueOutOfRange || s&0xF000 == 0xB000:
		return ClassWarning
	}
	return ClassFailure
}
