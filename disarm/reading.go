package disarm

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"cordon/dicom"
	"cordon/inspect"
)

// chunk is how many bytes are read at a time.
const chunk = 256 << 10

// Digest is the SHA-256 of a stretch of a file, and how long that is.
type Digest struct {
	Bytes  int64
	SHA256 [sha256.Size]byte
}

// String writes 64 lower-case hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d.SHA256[:]) }

// reading is what one reading of a file found out.
type reading struct {
	isDICOM            bool
	clear              bool // the preamble conforms to nothing
	paddings           []Removal
	trailer            Removal // of no bytes if there is none
	dataSet, pixelData Digest
}

// maxPaddings bounds how many elements (FFFC,FFFC) are followed. A data set has
// one, at its end.
const maxPaddings = 1000

var errPaddings = errors.New("more than 1000 elements of Data Set Trailing Padding: not a file that can be disarmed")

// examine reads r, of size bytes, to its end.
func examine(r io.Reader, size int64) (reading, error) {
	v := &visitor{dataSet: newDigester(), pixelData: newDigester()}
	d := dicom.NewDecoder(v, dicom.Options{Size: size})
	in := inspect.New(inspect.Options{Decoder: dicom.Options{Size: size}})
	n, err := io.CopyBuffer(io.MultiWriter(d, in), struct{ io.Reader }{r}, make([]byte, chunk))
	d.Close()
	found := in.Close()
	switch {
	case err != nil:
		return reading{}, err
	case n != size:
		return reading{}, fmt.Errorf("%d bytes of %d: %w", n, size, io.ErrUnexpectedEOF)
	case len(v.paddings) > maxPaddings:
		return reading{}, errPaddings
	}
	out := reading{
		isDICOM:   found.IsDICOM,
		paddings:  v.paddings,
		dataSet:   v.dataSet.digest(),
		pixelData: v.pixelData.digest(),
	}
	if v.trailing {
		out.trailer = v.trailer
	}
	out.clear = needsClearing(v.preamble, found.Findings)
	return out, nil
}

// removals are in the order of the file.
func (r reading) removals() []Removal {
	var all []Removal
	if r.clear {
		all = append(all, Removal{Preamble, 0, preambleSize})
	}
	all = append(all, r.paddings...)
	if r.trailer.Bytes > 0 {
		all = append(all, r.trailer)
	}
	return all
}
