package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"cordon/dicom"
	"cordon/inspect/compose"
)

// ctSide is the height and width of a CT image: with 16 bits a pixel and its
// attributes it has 525 kB.
const ctSide = 512

// The huge object: 1024 frames of 1024 × 1024 pixels of 16 bits, 2 GiB.
const (
	hugeSide   = 1024
	hugeFrames = 1024
	hugeBytes  = hugeSide * hugeSide * 2 * hugeFrames
)

// multiFrameGrayscaleWord is the Multi-frame Grayscale Word Secondary Capture
// Image Storage SOP class (PS3.6 table A-1).
const multiFrameGrayscaleWord dicom.UID = "1.2.840.10008.5.1.4.1.1.7.3"

// makeCTs writes n CT images of one series and returns the bytes of all.
func makeCTs(dir string, n int) (int64, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, err
	}
	var total int64
	o := compose.CT(ctSide, ctSide)
	for i := range n {
		o.Instance, o.InstanceNumber = compose.NewUID(), i+1
		file := o.File()
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%05d.dcm", i)), file, 0o600); err != nil {
			return 0, err
		}
		total += int64(len(file))
	}
	return total, nil
}

// makeHuge writes an object of 2 GiB as a sparse file, all its pixels zero, and
// returns the digest of its data set.
func makeHuge(path string) (digest [sha256.Size]byte, err error) {
	o := compose.CT(hugeSide, hugeSide)
	o.SOPClass = multiFrameGrayscaleWord
	o.SetString(dicom.NewTag(0x0028, 0x0008), dicom.IS, fmt.Sprint(hugeFrames))
	o.SetFunc(dicom.TagPixelData, func(w *dicom.Writer) { w.Header(dicom.TagPixelData, dicom.OW, hugeBytes) })
	file := o.File()
	if err := os.WriteFile(path, file, 0o600); err != nil {
		return digest, err
	}
	if err := os.Truncate(path, int64(len(file))+hugeBytes); err != nil {
		return digest, err
	}
	h := sha256.New()
	h.Write(o.DataSet())
	if _, err := io.CopyN(h, zeros{}, hugeBytes); err != nil {
		return digest, err
	}
	h.Sum(digest[:0])
	return digest, nil
}

// zeros reads as zero bytes without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
