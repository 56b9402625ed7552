package web

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"cordon/dicom"
)

// DataSet is a small data set in memory: the attributes of a match, of a
// response, or of an instance without its bulk data. Its elements are in the
// order of their tags, each at most once.
type DataSet []Element

// Element is a data element of a [DataSet].
type Element struct {
	Tag dicom.Tag
	VR  dicom.VR
	// Value is as PS3.5 encodes it, numbers little endian, without padding;
	// text is UTF-8, several values are separated by backslashes. Nothing for a sequence.
	Value []byte
	// Items are those of a sequence.
	Items []DataSet
	// BulkDataURI says where the value is, if it is not here.
	BulkDataURI string
}

// UTF8 is the Specific Character Set of every DataSet that is not in ASCII:
// ISO 10646 in UTF-8 (PS3.3 §C.12.1.1.2).
const UTF8 = "ISO_IR 192"

// Limits bound a data set in memory. A zero field means its default.
type Limits struct {
	Bytes    int64 // of a whole body of JSON or XML, or of the values kept of an object; 64 MiB
	Elements int   // of one data set, at all depths, items included; 500,000, enough for 10,000 frames with attributes of their own
	Depth    int   // sequences around an element; 16
	DataSets int   // in one body; 100,000
}

func (l Limits) withDefaults() Limits {
	set := func(n *int, value int) {
		if *n == 0 {
			*n = value
		}
	}
	if l.Bytes == 0 {
		l.Bytes = 64 << 20
	}
	set(&l.Elements, 500_000)
	set(&l.Depth, 16)
	set(&l.DataSets, 100_000)
	return l
}

// Find is the element with tag t, or nil.
func (d DataSet) Find(t dicom.Tag) *Element {
	if i, found := d.search(t); found {
		return &d[i]
	}
	return nil
}

func (d DataSet) search(t dicom.Tag) (int, bool) {
	return slices.BinarySearchFunc(d, t, func(e Element, t dicom.Tag) int { return int(int64(e.Tag) - int64(t)) })
}

// Set puts e into its place, instead of what is there.
func (d *DataSet) Set(e Element) {
	i, found := d.search(e.Tag)
	if found {
		(*d)[i] = e
		return
	}
	*d = slices.Insert(*d, i, e)
}

// SetString is Set for text; several values are separated by backslashes.
func (d *DataSet) SetString(t dicom.Tag, vr dicom.VR, values ...string) {
	d.Set(Element{Tag: t, VR: vr, Value: []byte(strings.Join(values, `\`))})
}

// SetUint16 is Set for one value of VR US.
func (d *DataSet) SetUint16(t dicom.Tag, value uint16) {
	d.Set(Element{Tag: t, VR: dicom.US, Value: binary.LittleEndian.AppendUint16(nil, value)})
}

// Delete takes out the element with tag t.
func (d *DataSet) Delete(t dicom.Tag) {
	if i, found := d.search(t); found {
		*d = slices.Delete(*d, i, i+1)
	}
}

// String is the value of the element with tag t as text: all values, backslashes
// between them, numbers in decimal. It is empty if there is none.
func (d DataSet) String(t dicom.Tag) string {
	e := d.Find(t)
	if e == nil || e.VR.IsBulk() || e.VR == dicom.SQ {
		return ""
	}
	if e.VR.IsString() {
		return string(e.Value)
	}
	return strings.Join(e.numbers(), `\`)
}

// UID is the value of the element with tag t as a UID, not validated.
func (d DataSet) UID(t dicom.Tag) dicom.UID { return dicom.TrimUID([]byte(d.String(t))) }

// Uint16 is the one value of VR US of the element with tag t.
func (d DataSet) Uint16(t dicom.Tag) (uint16, bool) {
	e := d.Find(t)
	if e == nil || len(e.Value) < 2 || e.VR != dicom.US {
		return 0, false
	}
	return binary.LittleEndian.Uint16(e.Value), true
}

// Int is the one value of VR US or IS of the element with tag t, or 0.
func (d DataSet) Int(t dicom.Tag) int {
	n, _ := strconv.Atoi(strings.TrimSpace(d.String(t)))
	return n
}

// Items are those of the sequence with tag t.
func (d DataSet) Items(t dicom.Tag) []DataSet {
	if e := d.Find(t); e != nil {
		return e.Items
	}
	return nil
}

// Encode writes the data set in an uncompressed transfer syntax. Where text is
// not in ASCII it says so in the Specific Character Set, as [UTF8]. An element whose
// value is not here is an error.
func (d DataSet) Encode(w io.Writer, ts dicom.UID) error {
	syntax, known := dicom.LookupTransferSyntax(ts)
	if !known || syntax.BigEndian || syntax.Encapsulated {
		return fmt.Errorf("writing a data set: transfer syntax %.64q is not one it can be written in", string(ts))
	}
	x := dicom.NewWriter(w, syntax)
	if err := d.declared().write(x); err != nil {
		return err
	}
	return x.Close()
}

// declared is d with the Specific Character Set that its text is in.
func (d DataSet) declared() DataSet {
	if d.isASCII() {
		return d
	}
	out := slices.Clone(d)
	out.SetString(dicom.TagSpecificCharacterSet, dicom.CS, UTF8)
	return out
}

func (d DataSet) isASCII() bool {
	for i := range d {
		e := &d[i]
		if e.VR.IsString() && slices.ContainsFunc(e.Value, func(b byte) bool { return b >= 0x80 }) {
			return false
		}
		for _, item := range e.Items {
			if !item.isASCII() {
				return false
			}
		}
	}
	return true
}

// write writes the elements; group lengths are left out (PS3.5 §7.2).
func (d DataSet) write(x *dicom.Writer) error {
	for i := range d {
		e := &d[i]
		switch {
		case e.BulkDataURI != "":
			return fmt.Errorf("writing a data set: the value of %v is elsewhere", e.Tag)
		case e.Tag.IsGroupLength():
		case e.VR == dicom.SQ:
			if err := e.writeItems(x); err != nil {
				return err
			}
		default:
			x.Element(e.Tag, e.VR, e.Value)
		}
	}
	return nil
}

func (e *Element) writeItems(x *dicom.Writer) error {
	x.BeginSequence(e.Tag, dicom.Undefined)
	for _, item := range e.Items {
		x.BeginItem(dicom.Undefined)
		if err := item.write(x); err != nil {
			return err
		}
		x.EndItem()
	}
	x.EndSequence()
	return nil
}

// isText tells whether values are in the Specific Character Set (PS3.5 §6.1.2.3).
func isText(vr dicom.VR) bool {
	switch vr {
	case dicom.LO, dicom.LT, dicom.PN, dicom.SH, dicom.ST, dicom.UC, dicom.UT:
		return true
	}
	return false
}

// isSingle tells whether a value has no backslashes that separate values (PS3.5 §6.4).
func isSingle(vr dicom.VR) bool {
	switch vr {
	case dicom.LT, dicom.ST, dicom.UR, dicom.UT:
		return true
	}
	return false
}

// standardVR is the VR that the dictionary gives t: the first of several, UN if there is none.
func standardVR(t dicom.Tag) dicom.VR {
	switch a, known := dicom.LookupAttribute(t); {
	case known && len(a.VRs) > 0:
		return a.VRs[0]
	case t.IsPrivateCreator():
		return dicom.LO
	case t.IsGroupLength():
		return dicom.UL
	}
	return dicom.UN
}
