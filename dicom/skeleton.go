package dicom

import "io"

type frame struct{ element Element }
type Decoder struct{ v Visitor }

func NewDecoder(v Visitor, o Options) *Decoder    { return &Decoder{v: v} }
func (d *Decoder) Write(p []byte) (int, error)    { return len(p), nil }
func (d *Decoder) Close() error                   { return nil }
func (d *Decoder) TransferSyntax() TransferSyntax { return TransferSyntax{} }
func LookupAttribute(t Tag) (Attribute, bool)     { return Attribute{}, false }

// UIDName is an entry of the UID dictionary (PS3.6 annex A).
type UIDName struct {
	UID     UID
	Name    string // CT Image Storage
	Type    string // SOP Class, Transfer Syntax, Meta SOP Class, ...
	Keyword string // CTImageStorage
	Retired bool
}

func LookupUID(u UID) (UIDName, bool) { return UIDName{}, false }

const DictionaryEdition = "2022b"

// LengthForm is how the length of a sequence or item is written.
type LengthForm bool

const (
	Defined   LengthForm = false // its length in bytes
	Undefined LengthForm = true  // FFFFFFFF, ended by a delimitation item
)

type Writer struct{}

func NewWriter(w io.Writer, ts TransferSyntax) *Writer  { return &Writer{} }
func (w *Writer) Element(t Tag, vr VR, value []byte)    {}
func (w *Writer) String(t Tag, vr VR, values ...string) {}
func (w *Writer) Uint16(t Tag, values ...uint16)        {}
func (w *Writer) Uint32(t Tag, values ...uint32)        {}
func (w *Writer) Header(t Tag, vr VR, length uint32)    {} // a header alone, with any length
func (w *Writer) Raw(p []byte)                          {}
func (w *Writer) BeginSequence(t Tag, f LengthForm)     {}
func (w *Writer) EndSequence()                          {}
func (w *Writer) BeginItem(f LengthForm)                {}
func (w *Writer) EndItem()                              {}
func (w *Writer) BeginEncapsulated(t Tag)               {}
func (w *Writer) Fragment(p []byte)                     {}
func (w *Writer) EndEncapsulated()                      {}
func (w *Writer) Close() error                          { return nil }

// FileMeta is the File Meta Information of a Part 10 file (PS3.10 §7.1).
type FileMeta struct {
	Preamble                  [128]byte
	SOPClassUID               UID
	SOPInstanceUID            UID
	TransferSyntaxUID         UID
	ImplementationClassUID    UID    // empty: ours
	ImplementationVersionName string // empty: ours, if ImplementationClassUID is empty
	SourceAETitle             AETitle
	SendingAETitle            AETitle
	ReceivingAETitle          AETitle
}

func WriteFileMeta(w io.Writer, m FileMeta) error { return nil }

// DataElement is an element of a small data set.
type DataElement struct {
	Tag   Tag
	VR    VR
	Depth int
	Value []byte
}

func ReadElements(p []byte, ts TransferSyntax, max int) ([]DataElement, error) { return nil, nil }
