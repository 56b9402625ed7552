package main

import (
	"errors"
	"io"
	"os"
	"strings"

	"cordon/dicom"
)

// object is a DICOM file as a sender needs it: what its command and its
// presentation context say, and where its data set begins.
type object struct {
	path                    string
	class, instance, syntax dicom.UID
	offset, size            int64 // of the data set in the file, bytes
	open                    opener
}

// opener opens a regular file and returns its size.
type opener func(path string) (*os.File, int64, error)

// dataSet reads the data set in f. A deflated one of odd length gets the NULL
// byte that evens it out (PS3.5 §A.5), since fragments of a message have even
// lengths (PS3.8 §9.3.5.1).
func (o object) dataSet(f io.ReaderAt) io.Reader {
	data := io.NewSectionReader(f, o.offset, o.size)
	if ts, _ := dicom.LookupTransferSyntax(o.syntax); ts.Deflated && o.size%2 == 1 {
		return io.MultiReader(data, strings.NewReader("\x00"))
	}
	return data
}

var errNotSendable = errors.New("names no SOP class, instance or transfer syntax: not a DICOM object that can be sent")

// readObject reads the beginning of a file, as far as the SOP Instance UID of
// its data set. The data set is sent as it is in the file; its own UIDs go
// into the command.
func readObject(path string, open opener) (object, error) {
	f, size, err := open(path)
	if err != nil {
		return object{}, err
	}
	defer f.Close()
	r := beginning{offset: -1}
	d := dicom.NewDecoder(&r, dicom.Options{Size: size})
	if err := feed(d, f, &r); err != nil {
		return object{}, err
	}
	o := object{path, r.class, r.instance, d.TransferSyntax().UID, r.offset, size - r.offset, open}
	if o.class.Validate() != nil || o.instance.Validate() != nil || o.syntax == "" || r.offset < 0 {
		return object{}, errNotSendable
	}
	return o, nil
}

// feed pushes the file into the decoder until r has what it wants. What is
// read at most is bounded; both UIDs are in the first group of a data set.
func feed(d *dicom.Decoder, f *os.File, r *beginning) error {
	const most = 1 << 20
	chunk := make([]byte, 4096)
	for total := 0; !r.done && total < most; {
		n, err := f.Read(chunk)
		total += n
		d.Write(chunk[:n])
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	return d.Close()
}

// beginning visits a file up to its SOP Instance UID.
type beginning struct {
	class, instance dicom.UID
	offset          int64 // of the data set, bytes; negative until it is known
	done            bool
	value           []byte
}

// Begin notes where the data set starts. A deflated one starts where the meta
// information ended, since offsets inside it count inflated bytes.
func (b *beginning) Begin(e *dicom.Element) {
	b.value = b.value[:0]
	switch {
	case e.Meta:
		b.offset = e.ValueOffset + int64(e.Length)
	case e.Kind != dicom.KindPreamble && b.offset < 0 && !e.Inflated:
		b.offset = e.Offset
	}
	b.done = b.done || !e.Meta && e.Depth == 0 && e.Tag > dicom.TagSOPInstanceUID
}

// Value keeps what fits a UID.
func (b *beginning) Value(_ *dicom.Element, p []byte) {
	if len(b.value)+len(p) <= 66 {
		b.value = append(b.value, p...)
	}
}

func (b *beginning) End(e *dicom.Element) {
	if e.Meta || e.Depth != 0 || e.Kind != dicom.KindElement {
		return
	}
	switch e.Tag {
	case dicom.TagSOPClassUID:
		b.class = dicom.TrimUID(b.value)
	case dicom.TagSOPInstanceUID:
		b.instance = dicom.TrimUID(b.value)
	}
}

// Anomaly is for inspectors; a sender sends what it is told to.
func (b *beginning) Anomaly(*dicom.Element, dicom.Anomaly) {}
