package media

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"

	"cordon/dicom"
)

// FileID is a Referenced File ID (0004,1500): the names of folders, outermost
// first, and of a file (PS3.10 §8.2).
type FileID []string

// String is the name with slashes.
func (id FileID) String() string { return strings.Join(id, "/") }

func (id FileID) key() string { return fold(id.String()) }

// isLocal reports whether the name is one, and as such below a root. Characters
// beyond those of PS3.10 §8.2 are let pass: real media have them.
func (id FileID) isLocal() bool {
	for _, name := range id {
		if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
			return false
		}
	}
	return len(id) > 0
}

// Records is what a DICOMDIR holds (PS3.3 §F.3).
type Records struct {
	FileIDs   []FileID // in the order of the records that name them
	Count     int      // of records
	Circular  bool     // some record is reached twice, perhaps from itself
	Broken    bool     // an offset leads to no record
	Unreached int      // records that no offset leads to
	Cut       bool     // it could not be read to its end, or has more records than are read
}

// Says is what a person should know of the DICOMDIR, one sentence each.
func (d DirectoryFile) Says() []string {
	if d.Path == "" {
		return []string{"There is no DICOMDIR."}
	}
	says := []string{fmt.Sprintf("The DICOMDIR has %s and names %s.", count(d.Count, "record"), count(len(d.FileIDs), "file"))}
	for _, oddity := range []struct {
		is   bool
		says string
	}{
		{d.Cut, "The DICOMDIR could not be read to its end."},
		{d.Circular, "The DICOMDIR's records run in a circle."},
		{d.Broken, "The DICOMDIR points at records that are not there."},
		{d.Unreached > 0, fmt.Sprintf("No offset in the DICOMDIR leads to %s.", count(d.Unreached, "record"))},
	} {
		if oddity.is {
			says = append(says, oddity.says)
		}
	}
	return says
}

// maxRecords bounds how many records are read.
const maxRecords = 1_000_000

// ReadRecords reads a DICOMDIR of size bytes. Its error is that of r.
func ReadRecords(r io.Reader, size int64) (Records, error) {
	v := &recordVisitor{}
	d := dicom.NewDecoder(v, dicom.Options{Size: size, Limits: dicom.Limits{Items: maxRecords}})
	_, err := io.CopyBuffer(struct{ io.Writer }{d}, r, make([]byte, 64<<10))
	d.Close()
	v.out.Count = len(v.records)
	v.out.Cut = v.out.Cut || err != nil
	v.follow()
	return v.out, err
}

// Attributes of a DICOMDIR that hold offsets, in bytes from the file's first.
const (
	tagFirstRecord dicom.Tag = 0x00041200
	tagNextRecord  dicom.Tag = 0x00041400
	tagLowerLevel  dicom.Tag = 0x00041420
)

// record is a directory record's place, and the offsets that it holds; 0 is none.
type record struct{ at, next, lower uint32 }

// recordVisitor visits a DICOMDIR.
type recordVisitor struct {
	out     Records
	first   uint32
	records []record // in the order of the file, so of their offsets
	value   []byte
}

// maxFileID bounds what is kept of a Referenced File ID: 8 names of 8
// characters are the standard's most (PS3.10 §8.2), real ones are longer.
const maxFileID = 1024

func (v *recordVisitor) Begin(e *dicom.Element) {
	v.value = v.value[:0]
	if e.Kind == dicom.KindItem && e.Depth == 1 && strings.HasPrefix(e.Path(), "(0004,1220)[") {
		v.records = append(v.records, record{at: uint32(e.Offset)})
	}
}

func (v *recordVisitor) Value(e *dicom.Element, p []byte) {
	if e.Tag.Group() == 0x0004 && e.Kind == dicom.KindElement {
		v.value = append(v.value, p[:min(len(p), maxFileID-len(v.value))]...)
	}
}

func (v *recordVisitor) End(e *dicom.Element) {
	switch {
	case e.Kind != dicom.KindElement || e.Tag.Group() != 0x0004:
	case e.Depth == 0 && e.Tag == tagFirstRecord:
		v.first = v.offset()
	case e.Depth != 1 || len(v.records) == 0:
	case e.Tag == tagNextRecord:
		v.records[len(v.records)-1].next = v.offset()
	case e.Tag == tagLowerLevel:
		v.records[len(v.records)-1].lower = v.offset()
	case e.Tag == dicom.TagReferencedFileID:
		if id := fileID(v.value); len(id) > 0 {
			v.out.FileIDs = append(v.out.FileIDs, id)
		}
	}
}

// Anomaly notes that the structure was lost, or a limit met.
func (v *recordVisitor) Anomaly(_ *dicom.Element, a dicom.Anomaly) { v.out.Cut = v.out.Cut || a.Fatal }

// offset is the value of VR UL that has ended; a DICOMDIR is little endian.
func (v *recordVisitor) offset() uint32 {
	if len(v.value) != 4 {
		return 0
	}
	return binary.LittleEndian.Uint32(v.value)
}

// fileID splits a value into names.
func fileID(value []byte) FileID {
	text := strings.TrimRight(string(value), " \x00")
	if text == "" {
		return nil
	}
	id := FileID(strings.Split(text, `\`))
	for i := range id {
		id[i] = strings.Trim(id[i], " ")
	}
	return id
}

// follow checks that the offsets make a tree, each record being reached once. It
// is only for the report: no file is found this way, so none is missed.
func (v *recordVisitor) follow() {
	reached := make([]bool, len(v.records))
	pending := []uint32{v.first}
	count := 0
	for len(pending) > 0 {
		at := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		if at == 0 {
			continue
		}
		i, ok := slices.BinarySearchFunc(v.records, at, func(r record, at uint32) int { return int(int64(r.at) - int64(at)) })
		switch {
		case !ok:
			v.out.Broken = true
		case reached[i]:
			v.out.Circular = true
		default:
			reached[i] = true
			count++
			pending = append(pending, v.records[i].next, v.records[i].lower)
		}
	}
	v.out.Unreached = len(v.records) - count
}
