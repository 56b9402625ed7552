package dicom

import (
	"errors"
	"io"
	"strings"
)

// Beginning is what a sender needs to know of a file before it sends its data
// set as it is: what the C-STORE command and the presentation context say
// (PS3.7 §9.3.1), and where the data set is.
type Beginning struct {
	SOPClassUID       UID   // of the data set
	SOPInstanceUID    UID   // of the data set
	TransferSyntaxUID UID   // as the meta information names it, or as it was recognised
	DataSet           int64 // offset in the file, in bytes
}

// ErrNoObject means that a file names no SOP class, SOP instance or transfer syntax.
var ErrNoObject = errors.New("names no SOP class, instance or transfer syntax: not a DICOM object that can be sent")

// maxBeginning bounds how much of a file is read. Both UIDs are in the first
// group of a data set.
const maxBeginning = 1 << 20

// ReadBeginning reads the beginning of a file of size bytes, as far as the SOP
// Instance UID of its data set. Its error is that of r, or ErrNoObject.
func ReadBeginning(r io.Reader, size int64) (Beginning, error) {
	v := beginning{out: Beginning{DataSet: -1}}
	d := NewDecoder(&v, Options{Size: size})
	defer d.Close()
	chunk := make([]byte, 4096)
	for total := 0; !v.done && total < maxBeginning; {
		n, err := r.Read(chunk)
		total += n
		d.Write(chunk[:n])
		if err == io.EOF {
			break
		}
		if err != nil {
			return Beginning{}, err
		}
	}
	d.Close() // what is held back comes now
	b := v.out
	b.TransferSyntaxUID = d.TransferSyntax().UID
	if b.SOPClassUID.Validate() != nil || b.SOPInstanceUID.Validate() != nil || b.TransferSyntaxUID == "" || b.DataSet < 0 || b.DataSet > size {
		return Beginning{}, ErrNoObject
	}
	return b, nil
}

// Padding is how many bytes a data set of length bytes lacks as a message carries
// it: a deflated one of odd length gets the NULL byte that evens it out (PS3.5
// §A.5), since fragments of a message have even lengths (PS3.8 §9.3.5.1).
func (b Beginning) Padding(length int64) int64 {
	if ts, _ := LookupTransferSyntax(b.TransferSyntaxUID); ts.Deflated {
		return length % 2
	}
	return 0
}

// Message is the data set, of length bytes, with its Padding.
func (b Beginning) Message(data io.Reader, length int64) io.Reader {
	if b.Padding(length) > 0 {
		return io.MultiReader(data, strings.NewReader("\x00"))
	}
	return data
}

// beginning visits a file up to its SOP Instance UID.
type beginning struct {
	out   Beginning // DataSet is negative until it is known
	begun bool      // the data set has
	done  bool
	value []byte
}

// Begin notes where the data set starts. A deflated one starts where the meta
// information ended, since offsets inside it count inflated bytes.
func (v *beginning) Begin(e *Element) {
	v.value = v.value[:0]
	switch {
	case e.Meta:
		v.out.DataSet = e.ValueOffset + int64(e.Length)
	case e.Kind != KindPreamble && !v.begun:
		v.begun = true
		if !e.Inflated {
			v.out.DataSet = e.Offset
		}
	}
	v.done = v.done || !e.Meta && e.Depth == 0 && e.Tag > TagSOPInstanceUID
}

// Value keeps what fits a UID.
func (v *beginning) Value(_ *Element, p []byte) {
	if len(v.value)+len(p) <= 66 {
		v.value = append(v.value, p...)
	}
}

func (v *beginning) End(e *Element) {
	if e.Meta || e.Depth != 0 || e.Kind != KindElement {
		return
	}
	switch e.Tag {
	case TagSOPClassUID:
		v.out.SOPClassUID = TrimUID(v.value)
	case TagSOPInstanceUID:
		v.out.SOPInstanceUID = TrimUID(v.value)
	}
}

// Anomaly is for inspectors; a sender sends what it is told to.
func (v *beginning) Anomaly(*Element, Anomaly) {}
