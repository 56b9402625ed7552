package main

import (
	"io"
	"os"

	"cordon/dicom"
)

// object is a DICOM file as a sender needs it.
type object struct {
	path string
	dicom.Beginning
	size int64 // of the data set, bytes
	open opener
}

// opener opens a regular file and returns its size.
type opener func(path string) (*os.File, int64, error)

// dataSet reads the data set in f, as a message carries it.
func (o object) dataSet(f io.ReaderAt) io.Reader {
	return o.Message(io.NewSectionReader(f, o.DataSet, o.size), o.size)
}

// readObject reads the beginning of a file. The data set is sent as it is in the
// file; its own UIDs go into the command.
func readObject(path string, open opener) (object, error) {
	f, size, err := open(path)
	if err != nil {
		return object{}, err
	}
	defer f.Close()
	b, err := dicom.ReadBeginning(f, size)
	if err != nil {
		return object{}, err
	}
	return object{path, b, size - b.DataSet, open}, nil
}
