package ul

import (
	"encoding/binary"
	"fmt"

	"cordon/dicom"
)

// PDU types (PS3.8 §9.3.1).
const (
	typeAssociateRQ uint8 = 0x01
	typeAssociateAC uint8 = 0x02
	typeAssociateRJ uint8 = 0x03
	typeData        uint8 = 0x04
	typeReleaseRQ   uint8 = 0x05
	typeReleaseRP   uint8 = 0x06
	typeAbort       uint8 = 0x07
)

// Items and sub-items of A-ASSOCIATE PDUs (PS3.8 §9.3.2, PS3.7 annex D.3.3).
const (
	itemApplicationContext  uint8 = 0x10
	itemContextRQ           uint8 = 0x20
	itemContextAC           uint8 = 0x21
	itemAbstractSyntax      uint8 = 0x30
	itemTransferSyntax      uint8 = 0x40
	itemUserInformation     uint8 = 0x50
	itemMaxLength           uint8 = 0x51
	itemImplementationClass uint8 = 0x52
	itemAsyncWindow         uint8 = 0x53
	itemRoleSelection       uint8 = 0x54
	itemImplementationName  uint8 = 0x55
	itemExtended            uint8 = 0x56
	itemUserIdentityRQ      uint8 = 0x58
	itemUserIdentityAC      uint8 = 0x59
)

const (
	pduHeaderLen    = 6
	pdvHeaderLen    = 6 // item length, context id, message control header
	dataHeaderLen   = pduHeaderLen + pdvHeaderLen
	associateFixed  = 68 // protocol version, reserved, titles, reserved
	protocolVersion = 1
	titleLen        = 16
)

// A writer of nested lengths: begin appends a header whose length end fills in.
type encoder struct {
	b   []byte
	err error
}

// pdu starts a PDU and returns the mark to end it with.
func (e *encoder) pdu(typ uint8) int {
	e.b = append(e.b, typ, 0, 0, 0, 0, 0)
	return len(e.b)
}

func (e *encoder) endPDU(mark int) {
	binary.BigEndian.PutUint32(e.b[mark-4:], uint32(len(e.b)-mark))
}

// item starts an item and returns the mark to end it with.
func (e *encoder) item(typ uint8) int {
	e.b = append(e.b, typ, 0, 0, 0)
	return len(e.b)
}

func (e *encoder) endItem(mark int) {
	n := len(e.b) - mark
	if n > 0xFFFF {
		e.fail("item %02XH: %d bytes, at most 65535 fit", e.b[mark-4], n)
		return
	}
	binary.BigEndian.PutUint16(e.b[mark-2:], uint16(n))
}

func (e *encoder) fail(format string, args ...any) {
	if e.err == nil {
		e.err = fmt.Errorf(format, args...)
	}
}

func (e *encoder) bytes(p []byte)  { e.b = append(e.b, p...) }
func (e *encoder) string(s string) { e.b = append(e.b, s...) }
func (e *encoder) u16(v uint16)    { e.b = binary.BigEndian.AppendUint16(e.b, v) }
func (e *encoder) u32(v uint32)    { e.b = binary.BigEndian.AppendUint32(e.b, v) }

// counted appends a 16-bit length and the bytes.
func (e *encoder) counted(p string) {
	if len(p) > 0xFFFF {
		e.fail("field of %d bytes, at most 65535 fit", len(p))
		return
	}
	e.u16(uint16(len(p)))
	e.string(p)
}

func (e *encoder) uid(typ uint8, uid dicom.UID) {
	m := e.item(typ)
	e.string(string(uid))
	e.endItem(m)
}

func (e *encoder) title(t dicom.AETitle) {
	if len(t) > titleLen {
		e.fail("AE title of %d bytes, at most %d", len(t), titleLen)
		return
	}
	e.string(string(t))
	for i := len(t); i < titleLen; i++ {
		e.b = append(e.b, ' ')
	}
}

// encodeRequest returns the A-ASSOCIATE-RQ PDU (PS3.8 §9.3.2).
func encodeRequest(r *Request) ([]byte, error) {
	e := &encoder{}
	pdu := e.pdu(typeAssociateRQ)
	e.associateHead(r.Called, r.Calling, r.ApplicationContext)
	for _, c := range r.Contexts {
		m := e.item(itemContextRQ)
		e.b = append(e.b, c.ID, 0, 0, 0)
		e.uid(itemAbstractSyntax, c.AbstractSyntax)
		for _, ts := range c.TransferSyntaxes {
			e.uid(itemTransferSyntax, ts)
		}
		e.endItem(m)
	}
	m := e.item(itemUserInformation)
	e.userInformation(r.userFields())
	if id := r.UserIdentity; id != nil {
		e.userIdentity(id)
	}
	e.unknown(r.Unknown)
	e.endItem(m)
	e.endPDU(pdu)
	return e.b, e.err
}

// encodeResponse returns the A-ASSOCIATE-AC PDU (PS3.8 §9.3.3).
func encodeResponse(r *Response) ([]byte, error) {
	e := &encoder{}
	pdu := e.pdu(typeAssociateAC)
	e.associateHead(r.Called, r.Calling, r.ApplicationContext)
	for _, c := range r.Contexts {
		m := e.item(itemContextAC)
		e.b = append(e.b, c.ID, 0, c.Result, 0)
		e.uid(itemTransferSyntax, c.TransferSyntax)
		e.endItem(m)
	}
	m := e.item(itemUserInformation)
	e.userInformation(r.userFields())
	if id := r.UserIdentity; id != nil {
		m := e.item(itemUserIdentityAC)
		e.counted(string(id.ServerResponse))
		e.endItem(m)
	}
	e.unknown(r.Unknown)
	e.endItem(m)
	e.endPDU(pdu)
	return e.b, e.err
}

func (e *encoder) associateHead(called, calling dicom.AETitle, context dicom.UID) {
	e.u16(protocolVersion)
	e.u16(0)
	e.title(called)
	e.title(calling)
	e.bytes(make([]byte, 32))
	e.uid(itemApplicationContext, context)
}

// userInformation appends the sub-items that requests and responses share, in the order of their types.
func (e *encoder) userInformation(u userFields) {
	m := e.item(itemMaxLength)
	e.u32(*u.maxLength)
	e.endItem(m)
	e.uid(itemImplementationClass, *u.class)
	if w := *u.async; w != nil {
		m := e.item(itemAsyncWindow)
		e.u16(w.Invoked)
		e.u16(w.Performed)
		e.endItem(m)
	}
	for _, r := range *u.roles {
		m := e.item(itemRoleSelection)
		e.counted(string(r.SOPClass))
		e.b = append(e.b, flag(r.SCU), flag(r.SCP))
		e.endItem(m)
	}
	if *u.name != "" {
		m := e.item(itemImplementationName)
		e.string(*u.name)
		e.endItem(m)
	}
	for _, x := range *u.extended {
		m := e.item(itemExtended)
		e.counted(string(x.SOPClass))
		e.bytes(x.Information)
		e.endItem(m)
	}
}

func (e *encoder) userIdentity(id *UserIdentity) {
	m := e.item(itemUserIdentityRQ)
	e.b = append(e.b, id.Type, flag(id.ResponseRequested))
	e.counted(string(id.Primary))
	e.counted(string(id.Secondary))
	e.endItem(m)
}

func (e *encoder) unknown(items []SubItem) {
	for _, s := range items {
		m := e.item(s.Type)
		e.bytes(s.Data)
		e.endItem(m)
	}
}

func flag(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

func encodeRejection(r Rejection) []byte {
	return []byte{typeAssociateRJ, 0, 0, 0, 0, 4, 0, r.Result, r.Source, r.Reason}
}

func encodeRelease(typ uint8) []byte {
	return []byte{typ, 0, 0, 0, 0, 4, 0, 0, 0, 0}
}

func encodeAbort(a Abort) []byte {
	return []byte{typeAbort, 0, 0, 0, 0, 4, 0, 0, a.Source, a.Reason}
}

// putDataHeader writes the headers of a P-DATA-TF that holds one PDV of n bytes into b[:dataHeaderLen].
func putDataHeader(b []byte, id uint8, control uint8, n int) {
	b[0], b[1] = typeData, 0
	binary.BigEndian.PutUint32(b[2:], uint32(n+pdvHeaderLen))
	binary.BigEndian.PutUint32(b[6:], uint32(n+2))
	b[10], b[11] = id, control
}
