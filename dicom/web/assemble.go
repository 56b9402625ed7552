package web

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"

	"cordon/dicom"
)

// BulkPart is a part of a store request that holds bulk data (PS3.18 §10.5.1): the value of an
// attribute, or a frame of compressed Pixel Data.
type BulkPart struct {
	Type MediaType
	Size int64 // in bytes
	Open func() (io.ReadCloser, error)
}

// Assembly is an instance that was sent as metadata and bulk data.
type Assembly struct {
	DataSet           DataSet
	SOPClassUID       dicom.UID
	SOPInstanceUID    dicom.UID
	StudyInstanceUID  dicom.UID
	TransferSyntaxUID dicom.UID // in which it will be written

	parts map[string][]BulkPart // those that it uses
}

// Assemble makes an instance of its metadata and the parts that its bulk data URIs name, those
// with the same Content-Location in the order in which they came. It is written in explicit VR little
// endian, or in the transfer syntax of its Pixel Data where that is compressed, one fragment to a part.
// A part is the value of one attribute of one instance: those that are used are taken out of parts.
// The error is a *[Refusal]: 400 if a part or a UID is missing, 413 if a value is too long for DICOM, 415 for Pixel Data
// whose transfer syntax is not known or not that of its media type.
func Assemble(metadata DataSet, parts map[string][]BulkPart) (*Assembly, error) {
	a := &Assembly{
		DataSet: metadata.declared(), parts: map[string][]BulkPart{}, TransferSyntaxUID: dicom.ExplicitVRLittleEndian,
		SOPClassUID: metadata.UID(dicom.TagSOPClassUID), SOPInstanceUID: metadata.UID(dicom.TagSOPInstanceUID),
		StudyInstanceUID: metadata.UID(dicom.TagStudyInstanceUID),
	}
	for _, u := range []dicom.UID{a.SOPClassUID, a.SOPInstanceUID, a.StudyInstanceUID} {
		if err := u.Validate(); err != nil {
			return nil, bad("metadata: SOP Class, SOP Instance and Study Instance: %v", err)
		}
	}
	if e := metadata.Find(dicom.TagPixelData); e != nil && e.BulkDataURI != "" {
		if err := a.pixelData(parts[e.BulkDataURI]); err != nil {
			return nil, err
		}
	}
	if err := a.use(metadata, parts); err != nil {
		return nil, err
	}
	for uri := range a.parts {
		delete(parts, uri)
	}
	return a, nil
}

// pixelData finds the transfer syntax: the same for all parts.
func (a *Assembly) pixelData(parts []BulkPart) *Refusal {
	for i, p := range parts {
		ts, ok := bulkSyntax(p.Type)
		if !ok || i > 0 && ts != a.TransferSyntaxUID {
			return refuse(http.StatusUnsupportedMediaType, "bulk data: Pixel Data whose media type and transfer syntax do not go together, or differ (PS3.18 §8.7.3)")
		}
		a.TransferSyntaxUID = ts
	}
	frames := max(a.DataSet.Int(dicom.TagNumberOfFrames), 1)
	if a.encapsulated() && len(parts) > 1 && len(parts) != frames {
		return bad("bulk data: %d parts of Pixel Data for %d frames", len(parts), frames)
	}
	return nil
}

// bulkSyntax is the transfer syntax of Pixel Data of a media type.
func bulkSyntax(m MediaType) (dicom.UID, bool) {
	named := m.TransferSyntax()
	if m.Type == TypeOctetStream {
		switch named {
		case "", dicom.ExplicitVRLittleEndian, dicom.ImplicitVRLittleEndian: // the same bytes
			return dicom.ExplicitVRLittleEndian, true
		}
		return "", false
	}
	for _, row := range frameTypes {
		if row.kind == m.Type && (named == "" || named == row.ts) {
			return row.ts, true
		}
	}
	return "", false
}

func (a *Assembly) encapsulated() bool { return a.TransferSyntaxUID != dicom.ExplicitVRLittleEndian }

// isFrames tells whether the parts of e are fragments: those of the instance's own Pixel Data, not of an icon's.
func (a *Assembly) isFrames(e *Element) bool {
	if e.Tag != dicom.TagPixelData || !a.encapsulated() {
		return false
	}
	own := a.DataSet.Find(dicom.TagPixelData)
	return own != nil && own.BulkDataURI == e.BulkDataURI
}

// maxValue is the longest value that has a length (PS3.5 §7.1.1).
const maxValue = 0xFFFFFFFE

// use finds the parts that write needs. One that several attributes named would be
// written for each, so that little became as much as one likes.
func (a *Assembly) use(d DataSet, all map[string][]BulkPart) *Refusal {
	for i := range d {
		e := &d[i]
		for _, item := range e.Items {
			if err := a.use(item, all); err != nil {
				return err
			}
		}
		if e.BulkDataURI == "" {
			continue
		}
		parts := all[e.BulkDataURI]
		switch {
		case a.parts[e.BulkDataURI] != nil:
			return bad("bulk data: the part for %v is that of another attribute too", e.Tag)
		case len(parts) == 0:
			return bad("bulk data: no part has the Content-Location that the metadata gives for %v", e.Tag)
		case len(parts) > 1 && !a.isFrames(e):
			return bad("bulk data: %d parts for %v", len(parts), e.Tag)
		}
		for _, p := range parts {
			if p.Size > maxValue {
				return refuse(http.StatusRequestEntityTooLarge, "bulk data: %d bytes for %v, %d are allowed (PS3.5 §7.1.1)", p.Size, e.Tag, int64(maxValue))
			}
		}
		a.parts[e.BulkDataURI] = parts
	}
	return nil
}

// Write writes the Part 10 file.
func (a *Assembly) Write(w io.Writer) error {
	syntax, known := dicom.LookupTransferSyntax(a.TransferSyntaxUID)
	if !known {
		return errors.New("writing an instance: its transfer syntax is not known")
	}
	out := bufio.NewWriterSize(w, 64<<10)
	err := dicom.WriteFileMeta(out, dicom.FileMeta{
		SOPClassUID: a.SOPClassUID, SOPInstanceUID: a.SOPInstanceUID, TransferSyntaxUID: a.TransferSyntaxUID,
	})
	if err != nil {
		return err
	}
	x := dicom.NewWriter(out, syntax)
	if err := a.write(x, a.DataSet); err != nil {
		return fmt.Errorf("writing an instance: %w", err)
	}
	if err := x.Close(); err != nil {
		return err
	}
	return out.Flush()
}

func (a *Assembly) write(x *dicom.Writer, d DataSet) error {
	for i := range d {
		e := &d[i]
		var err error
		switch {
		case e.VR == dicom.SQ:
			err = a.writeItems(x, e)
		case e.BulkDataURI != "":
			err = a.writeBulk(x, e)
		default:
			err = DataSet{*e}.write(x)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *Assembly) writeItems(x *dicom.Writer, e *Element) error {
	x.BeginSequence(e.Tag, dicom.Undefined)
	for _, item := range e.Items {
		x.BeginItem(dicom.Undefined)
		if err := a.write(x, item); err != nil {
			return err
		}
		x.EndItem()
	}
	x.EndSequence()
	return nil
}

func (a *Assembly) writeBulk(x *dicom.Writer, e *Element) error {
	parts := a.parts[e.BulkDataURI]
	if !a.isFrames(e) {
		return writeValue(x, e.Tag, e.VR, parts[0])
	}
	x.BeginEncapsulated(e.Tag)
	x.Fragment(nil) // no Basic Offset Table
	for _, p := range parts {
		if err := writeValue(x, dicom.TagItem, 0, p); err != nil {
			return err
		}
	}
	x.EndEncapsulated()
	return nil
}

// writeValue writes an element or fragment whose value is a stream of a known size.
func writeValue(x *dicom.Writer, t dicom.Tag, vr dicom.VR, p BulkPart) error {
	if t != dicom.TagItem && !vr.HasLongLength() && p.Size > 0xFFFE {
		vr = dicom.UN // PS3.5 §6.2.2
	}
	x.Header(t, vr, uint32((p.Size+1)&^1))
	r, err := p.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	n, err := io.Copy(raw{x}, io.LimitReader(r, p.Size))
	if err != nil {
		return err
	}
	if n < p.Size {
		return io.ErrUnexpectedEOF
	}
	if p.Size%2 == 1 {
		x.Raw([]byte{padding(vr)})
	}
	return nil
}

// padding makes a value even (PS3.5 §6.2).
func padding(vr dicom.VR) byte {
	if vr.IsString() && vr != dicom.UI {
		return ' '
	}
	return 0
}

// raw writes to a data set as it is.
type raw struct{ x *dicom.Writer }

func (r raw) Write(p []byte) (int, error) {
	r.x.Raw(p)
	return len(p), nil
}
