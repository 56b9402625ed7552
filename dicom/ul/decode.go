package ul

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"cordon/dicom"
)

const (
	maxTransferSyntaxes = 256 // of one presentation context
	maxSubItems         = 1024
	minPDULength        = 16 // the shortest maximum length that leaves room for data
)

// decoder walks nested items. Reading past the end sets err once, and everything after it reads as empty.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
	d.b = nil
}

// take returns the next n bytes, which alias the input.
func (d *decoder) take(n int, what string) []byte {
	if d.err == nil && n > len(d.b) {
		d.fail(invalid("%s of %d bytes, %d are left", what, n, len(d.b)))
	}
	if d.err != nil {
		return nil
	}
	p := d.b[:n]
	d.b = d.b[n:]
	return p
}

func (d *decoder) u8(what string) uint8 {
	if p := d.take(1, what); p != nil {
		return p[0]
	}
	return 0
}

func (d *decoder) u16(what string) uint16 {
	if p := d.take(2, what); p != nil {
		return binary.BigEndian.Uint16(p)
	}
	return 0
}

func (d *decoder) u32(what string) uint32 {
	if p := d.take(4, what); p != nil {
		return binary.BigEndian.Uint32(p)
	}
	return 0
}

// counted returns a field with a 16-bit length before it.
func (d *decoder) counted(what string) []byte {
	return d.take(int(d.u16(what)), what)
}

// item returns the next item's type and contents.
func (d *decoder) item() (uint8, decoder) {
	h := d.take(4, "item header")
	if h == nil {
		return 0, decoder{err: d.err}
	}
	p := d.take(int(binary.BigEndian.Uint16(h[2:])), "item")
	return h[0], decoder{b: p, err: d.err}
}

// rest returns what is left.
func (d *decoder) rest() []byte {
	p := d.b
	d.b = nil
	return p
}

// end checks that nothing is left of an item.
func (d *decoder) end(what string) error {
	if d.err == nil && len(d.b) > 0 {
		d.fail(invalid("%s: %d bytes too long", what, len(d.b)))
	}
	return d.err
}

// associateHead is what precedes the items of A-ASSOCIATE-RQ and -AC.
type associateHead struct {
	version         uint16
	called, calling string // as received, less padding
}

func (d *decoder) associateHead() associateHead {
	p := d.take(associateFixed, "A-ASSOCIATE header")
	if p == nil {
		return associateHead{}
	}
	return associateHead{binary.BigEndian.Uint16(p), trimTitle(p[4:20]), trimTitle(p[20:36])}
}

// trimTitle drops padding; some peers pad with NUL.
func trimTitle(p []byte) string {
	return strings.Trim(strings.TrimRight(string(p), "\x00"), " ")
}

// trimText drops padding of a version name.
func trimText(p []byte) string { return string(bytes.TrimRight(p, "\x00 ")) }

// decodeRequest reads the variable field of an A-ASSOCIATE-RQ. The titles are not checked yet.
func decodeRequest(p []byte) (*Request, uint16, error) {
	d := decoder{b: p}
	head := d.associateHead()
	r := &Request{Called: dicom.AETitle(head.called), Calling: dicom.AETitle(head.calling)}
	var proposed [256]bool
	for d.err == nil && len(d.b) > 0 {
		typ, it := d.item()
		switch typ {
		case itemApplicationContext:
			r.ApplicationContext = dicom.TrimUID(it.rest())
		case itemContextRQ:
			c := it.proposedContext()
			if it.err == nil && (c.ID&1 == 0 || proposed[c.ID]) {
				it.fail(invalid("presentation context id %d: even or used twice", c.ID))
			}
			proposed[c.ID] = true
			r.Contexts = append(r.Contexts, c)
		case itemUserInformation:
			it.eachSubItem(r.subItem)
		}
		if it.err != nil {
			d.fail(it.err)
		}
	}
	if d.err == nil && len(r.Contexts) == 0 {
		d.fail(invalid("A-ASSOCIATE-RQ without a presentation context"))
	}
	if d.err == nil {
		d.err = checkMaxLength(r.MaxPDULength)
	}
	return r, head.version, d.err
}

func (d *decoder) proposedContext() ProposedContext {
	h := d.take(4, "presentation context")
	if h == nil {
		return ProposedContext{}
	}
	c := ProposedContext{ID: h[0]}
	for d.err == nil && len(d.b) > 0 {
		typ, it := d.item()
		switch typ {
		case itemAbstractSyntax:
			c.AbstractSyntax = dicom.TrimUID(it.rest())
		case itemTransferSyntax:
			c.TransferSyntaxes = append(c.TransferSyntaxes, dicom.TrimUID(it.rest()))
		}
		if len(c.TransferSyntaxes) > maxTransferSyntaxes {
			d.fail(invalid("presentation context %d: more than %d transfer syntaxes", c.ID, maxTransferSyntaxes))
		}
	}
	if d.err == nil && (c.AbstractSyntax == "" || len(c.TransferSyntaxes) == 0) {
		d.fail(invalid("presentation context %d: no abstract syntax or no transfer syntax", c.ID))
	}
	return c
}

// decodeResponse reads the variable field of an A-ASSOCIATE-AC.
func decodeResponse(p []byte) (*Response, error) {
	d := decoder{b: p}
	head := d.associateHead()
	r := &Response{Called: dicom.AETitle(head.called), Calling: dicom.AETitle(head.calling)}
	var answered [256]bool
	for d.err == nil && len(d.b) > 0 {
		typ, it := d.item()
		switch typ {
		case itemApplicationContext:
			r.ApplicationContext = dicom.TrimUID(it.rest())
		case itemContextAC:
			c := it.acceptedContext()
			if it.err == nil && (c.ID&1 == 0 || answered[c.ID]) {
				it.fail(invalid("presentation context id %d: even or used twice", c.ID))
			}
			answered[c.ID] = true
			r.Contexts = append(r.Contexts, c)
		case itemUserInformation:
			it.eachSubItem(r.subItem)
		}
		if it.err != nil {
			d.fail(it.err)
		}
	}
	if d.err == nil {
		d.err = checkMaxLength(r.MaxPDULength)
	}
	return r, d.err
}

func (d *decoder) acceptedContext() AcceptedContext {
	h := d.take(4, "presentation context")
	if h == nil {
		return AcceptedContext{}
	}
	c := AcceptedContext{ID: h[0], Result: h[2]}
	for d.err == nil && len(d.b) > 0 {
		if typ, it := d.item(); typ == itemTransferSyntax {
			c.TransferSyntax = dicom.TrimUID(it.rest())
		}
	}
	return c
}

func checkMaxLength(n uint32) error {
	if n != 0 && n < minPDULength {
		return invalid("maximum length of %d bytes leaves no room for data", n)
	}
	return nil
}

// eachSubItem calls f with each sub-item of the user information.
func (d *decoder) eachSubItem(f func(typ uint8, it *decoder) error) {
	for n := 0; d.err == nil && len(d.b) > 0; n++ {
		if n == maxSubItems {
			d.fail(invalid("more than %d user information sub-items", maxSubItems))
			return
		}
		typ, it := d.item()
		if d.err != nil {
			return
		}
		if err := f(typ, &it); err != nil {
			d.fail(err)
		}
	}
}

// userFields are the places of the user information that requests and responses share.
type userFields struct {
	maxLength *uint32
	class     *dicom.UID
	name      *string
	async     **AsyncWindow
	roles     *[]RoleSelection
	extended  *[]ExtendedNegotiation
	unknown   *[]SubItem
}

func (r *Request) userFields() userFields {
	return userFields{&r.MaxPDULength, &r.ImplementationClassUID, &r.ImplementationVersionName, &r.Async, &r.Roles, &r.Extended, &r.Unknown}
}

func (r *Response) userFields() userFields {
	return userFields{&r.MaxPDULength, &r.ImplementationClassUID, &r.ImplementationVersionName, &r.Async, &r.Roles, &r.Extended, &r.Unknown}
}

// subItem reads one user information sub-item of a request.
func (r *Request) subItem(typ uint8, it *decoder) error {
	if typ == itemUserIdentityRQ {
		r.UserIdentity = it.userIdentity()
		return it.end("user identity")
	}
	return it.sharedSubItem(typ, r.userFields())
}

// subItem reads one user information sub-item of a response.
func (r *Response) subItem(typ uint8, it *decoder) error {
	if typ == itemUserIdentityAC {
		r.UserIdentity = &UserIdentityResponse{bytes.Clone(it.counted("server response"))}
		return it.end("user identity")
	}
	return it.sharedSubItem(typ, r.userFields())
}

func (d *decoder) sharedSubItem(typ uint8, u userFields) error {
	switch typ {
	case itemMaxLength:
		*u.maxLength = d.u32("maximum length")
	case itemImplementationClass:
		*u.class = dicom.TrimUID(d.rest())
	case itemImplementationName:
		*u.name = trimText(d.rest())
	case itemAsyncWindow:
		*u.async = &AsyncWindow{Invoked: d.u16("operations invoked"), Performed: d.u16("operations performed")}
	case itemRoleSelection:
		*u.roles = append(*u.roles, d.role())
	case itemExtended:
		*u.extended = append(*u.extended, d.extendedNegotiation())
	default:
		*u.unknown = append(*u.unknown, SubItem{typ, bytes.Clone(d.rest())})
	}
	return d.end(fmt.Sprintf("sub-item %02XH", typ))
}

func (d *decoder) role() RoleSelection {
	uid := dicom.TrimUID(d.counted("role selection UID"))
	return RoleSelection{SOPClass: uid, SCU: d.u8("SCU role") == 1, SCP: d.u8("SCP role") == 1}
}

func (d *decoder) extendedNegotiation() ExtendedNegotiation {
	uid := dicom.TrimUID(d.counted("extended negotiation UID"))
	return ExtendedNegotiation{SOPClass: uid, Information: bytes.Clone(d.rest())}
}

func (d *decoder) userIdentity() *UserIdentity {
	id := &UserIdentity{Type: d.u8("user identity type"), ResponseRequested: d.u8("response requested") == 1}
	id.Primary = bytes.Clone(d.counted("user identity primary field"))
	id.Secondary = bytes.Clone(d.counted("user identity secondary field"))
	return id
}

// splitPDV cuts the first presentation data value item off the variable field of a P-DATA-TF (PS3.8 §9.3.5.1).
func splitPDV(p []byte) (pdv PDV, rest []byte, err error) {
	if len(p) < pdvHeaderLen {
		return PDV{}, nil, invalid("presentation data value header of %d bytes, %d are left", pdvHeaderLen, len(p))
	}
	n := binary.BigEndian.Uint32(p)
	if n < 2 || uint64(n) > uint64(len(p)-4) {
		return PDV{}, nil, invalid("presentation data value of %d bytes, %d are left", n, len(p)-4)
	}
	item := p[4 : 4+n]
	return PDV{ContextID: item[0], Command: item[1]&1 != 0, Last: item[1]&2 != 0, Data: item[2:]}, p[4+n:], nil
}
