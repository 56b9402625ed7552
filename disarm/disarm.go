// Package disarm writes a copy of a DICOM file without what needs no data set to
// be dangerous: it clears a preamble that conforms to nothing, and drops what
// follows the data set and what Data Set Trailing Padding hides (PS3.10 §7.1,
// §7.2, §7.5). Nothing else is ever altered.
//
// Ordinary use:
//
//	out, err := disarm.File(file, size, "safe/image.dcm")
//	for _, r := range out.Removed { … r.What, r.Offset, r.Bytes … }
//	fmt.Printf("%x\n", out.DataSet.SHA256) // the same before and after
//
// # Life of a disarmed file
//
// The original is read once to find what goes and to digest what stays, and a
// second time to be copied, without that, to a file that has no name yet. That
// file is synced, read back, and digested by the same rules. Only if its data
// set and its pixel data are those of the original, and nothing is left to
// remove, does it get its name. If power fails before, what is left is an empty
// file of that name or none, and perhaps one whose name begins with .tmp-.
//
// Memory does not depend on the file's size. The package does not judge: a
// payload inside the data set is copied faithfully, so whoever trusts a disarmed
// file has it judged first. It opens no deflate stream: what is inside one stays.
package disarm

import (
	"errors"
	"fmt"
	"io"
	"os"

	"cordon/store"
)

// What a Removal removed.
const (
	Preamble        = "preamble"         // its 128 bytes are zeros now
	TrailingPadding = "trailing padding" // the element (FFFC,FFFC), header included
	Trailer         = "trailer"          // everything after the data set
)

// Removal is one thing that a disarmed file no longer has.
type Removal struct {
	What   string `json:"what"`
	Offset int64  `json:"offset"` // in the original
	Bytes  int64  `json:"bytes"`
}

// Outcome says what disarming a file did and what it left alone.
type Outcome struct {
	Removed   []Removal // in the order of the file; nil if there was nothing to remove
	Bytes     int64     // of the file written
	DataSet   Digest    // of all elements but root Data Set Trailing Padding; inflated if the data set is deflated
	PixelData Digest    // of the value of Pixel Data, Float and Double Float Pixel Data; of all fragments' values
}

var (
	// ErrNotDICOM means that the file holds no data set, so nothing was written.
	ErrNotDICOM = errors.New("not a DICOM file")
	// ErrNotProven means that the copy could not be proven to have the data set
	// of the original, so it was not kept. The original may have changed meanwhile.
	ErrNotProven = errors.New("the copy's data set could not be proven to be the original's: nothing was written")
)

// File disarms the size bytes of from into a new file at path, durably and
// whole or not at all. A file that is there already is an error, fs.ErrExist.
func File(from io.ReaderAt, size int64, path string) (Outcome, error) {
	before, err := examine(io.NewSectionReader(from, 0, size), size)
	if err != nil {
		return Outcome{}, err
	}
	if !before.isDICOM {
		return Outcome{}, ErrNotDICOM
	}
	out := Outcome{Removed: before.removals(), DataSet: before.dataSet, PixelData: before.pixelData}
	f, err := create(path)
	if err != nil {
		return Outcome{}, err
	}
	defer f.discard()
	if out.Bytes, err = copyWithout(f, from, size, out.Removed); err != nil {
		return Outcome{}, fmt.Errorf("writing %s: %w", path, store.Explain(err))
	}
	if err := f.Sync(); err != nil {
		return Outcome{}, fmt.Errorf("writing %s: %w", path, store.Explain(err))
	}
	if err := prove(f, out); err != nil {
		return Outcome{}, fmt.Errorf("%s: %w", path, err)
	}
	return out, f.commit()
}

// prove reads the copy back.
func prove(f io.ReaderAt, want Outcome) error {
	after, err := examine(io.NewSectionReader(f, 0, want.Bytes), want.Bytes)
	if err != nil {
		return err
	}
	if after.dataSet != want.DataSet || after.pixelData != want.PixelData || len(after.removals()) > 0 {
		return ErrNotProven
	}
	return nil
}

// copyWithout copies from without what is removed, a preamble being replaced by
// zeros, and returns how many bytes it wrote.
func copyWithout(w io.Writer, from io.ReaderAt, size int64, removed []Removal) (int64, error) {
	var written, next int64
	put := func(r io.Reader) error {
		n, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r}, make([]byte, chunk))
		written += n
		return err
	}
	for _, r := range removed {
		if err := put(io.NewSectionReader(from, next, r.Offset-next)); err != nil {
			return written, err
		}
		if r.What == Preamble {
			if err := put(io.LimitReader(zeros{}, r.Bytes)); err != nil {
				return written, err
			}
		}
		next = r.Offset + r.Bytes
	}
	return written, put(io.NewSectionReader(from, next, size-next))
}

// zeros is an endless reader of them.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// newFile is a file that has its name reserved: an empty file of ours stands
// there, so that no other is ever written over.
type newFile struct {
	*store.File
	path string
	done bool
}

func create(path string) (*newFile, error) {
	reserved, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	reserved.Close() // nothing was written
	f, err := store.NewFile(path, 0o600)
	if err != nil {
		os.Remove(path)
		return nil, err
	}
	return &newFile{File: f, path: path}, nil
}

func (f *newFile) commit() error {
	err := f.Commit()
	f.done = err == nil
	return err
}

// discard removes all of it unless it was committed.
func (f *newFile) discard() {
	if f.done {
		return
	}
	f.Discard()
	os.Remove(f.path)
}
