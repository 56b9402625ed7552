// Package compose builds DICOM objects for drills, demonstrations and tests:
// clean images with fresh UIDs, and harmless hostile objects, which hide a payload
// given by the caller in each place where payloads hide. Nothing here does harm by
// itself: the payloads offered are the EICAR test string and program headers
// without a program.
//
//	o := compose.CT(512, 512)
//	o.Study, o.Series = study, series
//	file := o.File() // a Part 10 file
//
//	o = compose.CT(64, 64)
//	compose.PrivateOB.Put(o, compose.EICAR())
//	dataSet := o.DataSet() // as C-STORE carries it
//
// Objects are small and are built in memory. The package reads nothing, neither
// files nor objects, and makes no claim that what it builds conforms to an IOD.
package compose

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"fmt"
	"math/big"
	"slices"

	"cordon/dicom"
)

// Object is a DICOM object under construction.
type Object struct {
	Preamble       [128]byte
	TransferSyntax dicom.UID
	SOPClass       dicom.UID
	Instance       dicom.UID
	Study, Series  dicom.UID
	InstanceNumber int
	Trailer        []byte // after the data set; File writes it, DataSet does not

	elements []element
	dual     *dualProgram
}

type element struct {
	tag   dicom.Tag
	write func(w *dicom.Writer)
}

// New returns an object with nothing but its identity, in Explicit VR Little Endian.
func New(sopClass dicom.UID) *Object {
	return &Object{
		TransferSyntax: dicom.ExplicitVRLittleEndian,
		SOPClass:       sopClass,
		Instance:       NewUID(),
		Study:          NewUID(),
		Series:         NewUID(),
		InstanceNumber: 1,
	}
}

// NewUID returns a fresh UID, derived from a random UUID (PS3.5 §B.2).
func NewUID() dicom.UID {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0F|0x40, b[8]&0x3F|0x80
	return dicom.UID("2.25." + new(big.Int).SetBytes(b[:]).String())
}

// Set sets an element to a value in the byte order of the transfer syntax. Values
// of odd length are padded by the writer.
func (o *Object) Set(t dicom.Tag, vr dicom.VR, value []byte) {
	o.SetFunc(t, func(w *dicom.Writer) { w.Element(t, vr, value) })
}

// SetString sets an element to characters.
func (o *Object) SetString(t dicom.Tag, vr dicom.VR, values ...string) {
	o.SetFunc(t, func(w *dicom.Writer) { w.String(t, vr, values...) })
}

// SetUint16 sets an element of VR US.
func (o *Object) SetUint16(t dicom.Tag, values ...uint16) {
	o.SetFunc(t, func(w *dicom.Writer) { w.Uint16(t, values...) })
}

// SetFunc sets an element to whatever write writes, malformed or not.
func (o *Object) SetFunc(t dicom.Tag, write func(w *dicom.Writer)) {
	o.Remove(t)
	o.elements = append(o.elements, element{t, write})
}

// Remove removes an element.
func (o *Object) Remove(t dicom.Tag) {
	o.elements = slices.DeleteFunc(o.elements, func(e element) bool { return e.tag == t })
}

// Syntax returns the transfer syntax.
func (o *Object) Syntax() dicom.TransferSyntax {
	ts, ok := dicom.LookupTransferSyntax(o.TransferSyntax)
	if !ok {
		panic(fmt.Sprintf("compose: transfer syntax %s: not one that can be written", o.TransferSyntax))
	}
	return ts
}

// DataSet returns the data set as C-STORE carries it.
func (o *Object) DataSet() []byte {
	var b bytes.Buffer
	w := dicom.NewWriter(&b, o.Syntax())
	for _, e := range o.sorted() {
		e.write(w)
	}
	if err := w.Close(); err != nil {
		panic(fmt.Sprintf("compose: %v", err)) // a mistake in a recipe
	}
	return b.Bytes()
}

// File returns the object as a Part 10 file.
func (o *Object) File() []byte {
	var b bytes.Buffer
	meta := dicom.FileMeta{Preamble: o.Preamble, SOPClassUID: o.SOPClass, SOPInstanceUID: o.Instance, TransferSyntaxUID: o.TransferSyntax}
	if err := dicom.WriteFileMeta(&b, meta); err != nil {
		panic(fmt.Sprintf("compose: %v", err))
	}
	b.Write(o.DataSet())
	b.Write(o.Trailer)
	if o.dual != nil {
		o.dual.link(b.Bytes())
	}
	return b.Bytes()
}

// sorted returns the elements in the order of their tags, identity included,
// where it has not been set by hand.
func (o *Object) sorted() []element {
	all := slices.Clone(o.elements)
	add := func(t dicom.Tag, vr dicom.VR, value string) {
		if value != "" && !slices.ContainsFunc(all, func(e element) bool { return e.tag == t }) {
			all = append(all, element{t, func(w *dicom.Writer) { w.String(t, vr, value) }})
		}
	}
	add(dicom.TagSOPClassUID, dicom.UI, string(o.SOPClass))
	add(dicom.TagSOPInstanceUID, dicom.UI, string(o.Instance))
	add(dicom.TagStudyInstanceUID, dicom.UI, string(o.Study))
	add(dicom.TagSeriesInstanceUID, dicom.UI, string(o.Series))
	add(instanceNumber, dicom.IS, fmt.Sprint(o.InstanceNumber))
	slices.SortStableFunc(all, func(a, b element) int { return cmp.Compare(a.tag, b.tag) })
	return all
}

const instanceNumber dicom.Tag = 0x00200013
