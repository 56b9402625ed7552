package dicom_test

import (
	"bytes"
	"errors"
	"testing"

	"cordon/dicom"
	"cordon/inspect/compose"
)

func TestBeginningOfEveryEncoding(t *testing.T) {
	for _, syntax := range []dicom.UID{
		dicom.ImplicitVRLittleEndian, dicom.ExplicitVRLittleEndian, dicom.ExplicitVRBigEndian, dicom.DeflatedExplicitVRLittleEndian,
	} {
		o := compose.CT(16, 16)
		o.TransferSyntax = syntax
		file, dataSet := o.File(), o.DataSet()
		b, err := dicom.ReadBeginning(bytes.NewReader(file), int64(len(file)))
		if err != nil || b.SOPInstanceUID != o.Instance || b.SOPClassUID != o.SOPClass || b.TransferSyntaxUID != syntax || !bytes.Equal(file[b.DataSet:], dataSet) {
			t.Errorf("%s: %v, %+v", syntax, err, b)
		}
	}
}

// What follows meta information of undefined length is where it is, not where a
// length would have it.
func TestBeginningAfterOddMetaInformation(t *testing.T) {
	var meta bytes.Buffer
	if err := dicom.WriteFileMeta(&meta, dicom.FileMeta{TransferSyntaxUID: dicom.ExplicitVRLittleEndian}); err != nil {
		t.Fatal(err)
	}
	meta.WriteString("\x02\x00\xFE\xFFSQ\x00\x00\xFF\xFF\xFF\xFF\xFE\xFF\xDD\xE0\x00\x00\x00\x00")
	o := compose.CT(16, 16)
	file := append(meta.Bytes(), o.DataSet()...)
	b, err := dicom.ReadBeginning(bytes.NewReader(file), int64(len(file)))
	if err != nil || !bytes.Equal(file[b.DataSet:], o.DataSet()) {
		t.Errorf("%v, %+v", err, b)
	}
}

// FuzzReadBeginning: what can be sent is inside the file, under names that are ones.
func FuzzReadBeginning(f *testing.F) {
	for _, syntax := range []dicom.UID{dicom.ImplicitVRLittleEndian, dicom.DeflatedExplicitVRLittleEndian} {
		o := compose.CT(4, 4)
		o.TransferSyntax = syntax
		f.Add(o.File())
		f.Add(o.DataSet())
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		b, err := dicom.ReadBeginning(bytes.NewReader(p), int64(len(p)))
		switch {
		case errors.Is(err, dicom.ErrNoObject):
		case err != nil, b.DataSet < 0, b.DataSet > int64(len(p)), b.SOPInstanceUID.Validate() != nil, b.SOPClassUID.Validate() != nil:
			t.Fatalf("%v, %+v of %d bytes", err, b, len(p))
		}
	})
}
