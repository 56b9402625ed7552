package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"cordon/dicom"
	"cordon/inspect/compose"
)

// TestSentBytesAreTheFilesOwn reads the beginning of files in every kind of
// encoding: what is sent is the data set as it is in the file.
func TestSentBytesAreTheFilesOwn(t *testing.T) {
	for _, syntax := range []dicom.UID{
		dicom.ImplicitVRLittleEndian,
		dicom.ExplicitVRLittleEndian,
		dicom.ExplicitVRBigEndian,
		dicom.DeflatedExplicitVRLittleEndian,
	} {
		o := compose.CT(16, 16)
		o.TransferSyntax = syntax
		dataSet := o.DataSet()
		checkObject(t, string(syntax), o, o.File(), dataSet)
		if syntax != dicom.DeflatedExplicitVRLittleEndian { // nothing says so without meta information
			checkObject(t, string(syntax)+" without meta information", o, dataSet, dataSet)
		}
	}
}

func checkObject(t *testing.T, name string, o *compose.Object, file, dataSet []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := readObject(path, openFile)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if got.SOPClassUID != o.SOPClass || got.SOPInstanceUID != o.Instance || got.TransferSyntaxUID != o.TransferSyntax {
		t.Errorf("%s: %+v", name, got)
	}
	if sent := file[got.DataSet : got.DataSet+got.size]; !bytes.Equal(sent, dataSet) {
		t.Errorf("%s: sends %d bytes from %d, the data set has %d", name, got.size, got.DataSet, len(dataSet))
	}
}

func TestWhatNamesNoInstanceIsNotSent(t *testing.T) {
	for name, text := range map[string][]byte{
		"empty":     nil,
		"text":      []byte("Dear colleague"),
		"DICM only": append(make([]byte, 128), "DICM"...),
		"half":      compose.CT(16, 16).File()[:200],
	} {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if o, err := readObject(path, openFile); err == nil {
			t.Errorf("%s: %+v", name, o)
		}
	}
}

// TestNoAssociationHasTooManyContexts: ids are the odd numbers below 256.
func TestNoAssociationHasTooManyContexts(t *testing.T) {
	var objects []object
	for i := range 300 {
		for range 2 {
			objects = append(objects, object{Beginning: dicom.Beginning{SOPClassUID: dicom.UID(fmt.Sprintf("1.2.%d", i)), TransferSyntaxUID: dicom.ExplicitVRLittleEndian}})
		}
	}
	sent := 0
	for _, batch := range batches(objects) {
		if n := len(contexts(batch)); n > maxContexts || n == 0 {
			t.Errorf("%d contexts", n)
		}
		sent += len(batch)
	}
	if sent != len(objects) {
		t.Errorf("%d objects of %d", sent, len(objects))
	}
}
