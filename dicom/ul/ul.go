// Package ul implements the DICOM Upper Layer protocol for TCP/IP (PS3.8 §9), requestor and acceptor.
//
// A requestor:
//
//	a, err := ul.Dial(ctx, "127.0.0.1:104", nil, ul.Request{Calling: "CT1", Called: "PACS", Contexts: contexts}, ul.Limits{})
//	if err != nil {
//		return err // *ul.Rejection, *ul.Abort or the network's error
//	}
//	defer a.Close()
//	err = a.WriteMessage(1, command, dataSet)
//
// An acceptor calls Receive with each accepted connection, then Accept or Reject on the Indication.
//
// The protocol machine of PS3.8 §9.2 is a table (see state.go) and every PDU sent or received goes
// through it. No goroutine is started: whoever calls ReadPDV reads the connection, whoever calls
// WriteMessage writes it, and timers are deadlines on the connection. One goroutine may read while
// another writes; Abort may be called from any. Close must be called, by one owner, at the end.
//
// Every length meets a limit before it meets memory: a connection that has not yet sent an
// A-ASSOCIATE-RQ holds a few KiB, an association holds one received PDU and one send buffer.
//
// What it will not do: interpret messages (see package dimse), decide whom to accept, or listen.
package ul

import "cordon/dicom"

// ApplicationContextName is the DICOM Application Context Name (PS3.7 §A.2.1).
const ApplicationContextName dicom.UID = "1.2.840.10008.3.1.1.1"

// Request is an A-ASSOCIATE-RQ (PS3.8 §9.3.2).
// For Dial, MaxPDULength is filled in from the Limits, and empty ApplicationContext and implementation fields mean ours.
// The titles and UIDs of a received Request are what the peer sent, less padding; the titles are valid, the UIDs need not be.
type Request struct {
	Called, Calling           dicom.AETitle
	ApplicationContext        dicom.UID
	Contexts                  []ProposedContext
	MaxPDULength              uint32 // the longest P-DATA-TF that the requestor receives, in bytes; 0 is unlimited on the wire
	ImplementationClassUID    dicom.UID
	ImplementationVersionName string
	Roles                     []RoleSelection
	Async                     *AsyncWindow
	Extended                  []ExtendedNegotiation
	UserIdentity              *UserIdentity
	Unknown                   []SubItem // user information sub-items that this package does not interpret, in order
}

// ProposedContext is a presentation context of an A-ASSOCIATE-RQ (PS3.8 §9.3.2.2).
// ID is odd. For Dial, an ID of 0 means the next free one.
type ProposedContext struct {
	ID               uint8
	AbstractSyntax   dicom.UID
	TransferSyntaxes []dicom.UID
}

// Response is an A-ASSOCIATE-AC (PS3.8 §9.3.3).
// For Accept, the titles, ApplicationContext and MaxPDULength are filled in, whatever they are, and empty implementation
// fields mean ours.
type Response struct {
	Called, Calling           dicom.AETitle // copies of the request's; not to be tested
	ApplicationContext        dicom.UID
	Contexts                  []AcceptedContext
	MaxPDULength              uint32
	ImplementationClassUID    dicom.UID
	ImplementationVersionName string
	Roles                     []RoleSelection
	Async                     *AsyncWindow
	Extended                  []ExtendedNegotiation
	UserIdentity              *UserIdentityResponse
	Unknown                   []SubItem
}

// AcceptedContext is the answer to one proposed presentation context (PS3.8 §9.3.3.2).
// TransferSyntax is significant only if Result is Acceptance.
type AcceptedContext struct {
	ID             uint8
	Result         uint8
	TransferSyntax dicom.UID
}

// Results of presentation context negotiation (PS3.8 table 9-18).
const (
	Acceptance                   uint8 = 0
	UserRejection                uint8 = 1
	NoReason                     uint8 = 2
	AbstractSyntaxNotSupported   uint8 = 3
	TransferSyntaxesNotSupported uint8 = 4
)

// Context is a presentation context in use on an association.
type Context struct {
	ID             uint8
	AbstractSyntax dicom.UID
	TransferSyntax dicom.UID
}

// RoleSelection is an SCP/SCU role selection sub-item, 54H (PS3.7 §D.3.3.4): the roles that the association requestor takes.
type RoleSelection struct {
	SOPClass dicom.UID
	SCU, SCP bool
}

// AsyncWindow is an asynchronous operations window sub-item, 53H (PS3.7 §D.3.3.3); 0 is unlimited.
type AsyncWindow struct {
	Invoked, Performed uint16
}

// ExtendedNegotiation is a SOP class extended negotiation sub-item, 56H (PS3.7 §D.3.3.5).
type ExtendedNegotiation struct {
	SOPClass    dicom.UID
	Information []byte
}

// Types of user identity (PS3.7 §D.3.3.7).
const (
	IdentityUserName uint8 = 1
	IdentityPasscode uint8 = 2 // user name and passcode
	IdentityKerberos uint8 = 3
	IdentitySAML     uint8 = 4
	IdentityJWT      uint8 = 5
)

// UserIdentity is a user identity sub-item of a request, 58H (PS3.7 §D.3.3.7.1). It may hold secrets: never log it.
type UserIdentity struct {
	Type               uint8
	ResponseRequested  bool
	Primary, Secondary []byte
}

// UserIdentityResponse is a user identity sub-item of a response, 59H (PS3.7 §D.3.3.7.2).
type UserIdentityResponse struct {
	ServerResponse []byte
}

// SubItem is a user information sub-item as received.
type SubItem struct {
	Type uint8
	Data []byte
}

// PDV is a presentation data value (PS3.8 §9.3.5.1) with its message control header (PS3.8 §E.2).
type PDV struct {
	ContextID uint8
	Command   bool // a fragment of a command set, otherwise of a data set
	Last      bool // the last fragment of it
	Data      []byte
}
