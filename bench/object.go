package main

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"

	"cordon/dicom"
)

// Sizes of a CT image: 512 × 512 pixels of 16 bits, 525 kB with its attributes.
const (
	ctSide  = 512
	ctBytes = ctSide * ctSide * 2
)

// Frames of the huge object: 1024 × 1024 pixels of 16 bits, 2 GiB together.
const (
	hugeSide   = 1024
	hugeFrames = 1024
	hugeBytes  = hugeSide * hugeSide * 2 * hugeFrames
)

// multiFrameGrayscaleWord is the Multi-frame Grayscale Word Secondary Capture
// Image Storage SOP class (PS3.6 table A-1).
const multiFrameGrayscaleWord dicom.UID = "1.2.840.10008.5.1.4.1.1.7.3"

// An image is what both kinds of object say about their pixels.
type image struct {
	class     dicom.UID
	instance  dicom.UID
	modality  string
	side      uint16
	frames    int // 0: no Number of Frames
	pixelSize uint32
}

// makeCTs writes n CT images of one series and returns the bytes of all.
func makeCTs(dir string, n int) (int64, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, err
	}
	noise := rand.NewChaCha8([32]byte{}) // the same images in every run
	pixels := make([]byte, ctBytes)
	var total int64
	for i := range n {
		if _, err := noise.Read(pixels); err != nil {
			return 0, err
		}
		for p := 1; p < len(pixels); p += 2 {
			pixels[p] &= 0x0F // 12 bits stored
		}
		m := image{dicom.CTImageStorage, dicom.UID(fmt.Sprintf("2.25.3.%d", i+1)), "CT", ctSide, 0, ctBytes}
		path := filepath.Join(dir, fmt.Sprintf("%05d.dcm", i))
		size, err := writeFile(path, m, func(w io.Writer) error { _, err := w.Write(pixels); return err })
		if err != nil {
			return 0, err
		}
		total += size
	}
	return total, nil
}

// makeHuge writes an object of 2 GiB as a sparse file, all its pixels zero, and
// returns the digest of its data set.
func makeHuge(path string) (digest [sha256.Size]byte, err error) {
	m := image{multiFrameGrayscaleWord, "2.25.4", "OT", hugeSide, hugeFrames, hugeBytes}
	size, err := writeFile(path, m, func(io.Writer) error { return nil })
	if err != nil {
		return digest, err
	}
	if err := os.Truncate(path, size+hugeBytes); err != nil {
		return digest, err
	}
	h := sha256.New()
	w := dataSet(h, m)
	if err := w.Close(); err != nil {
		return digest, err
	}
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

// writeFile writes a Part 10 file whose pixels the caller writes, and returns
// its size.
func writeFile(path string, m image, pixels func(io.Writer) error) (int64, error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	block := bufio.NewWriterSize(f, 1<<20)
	if err := dicom.WriteFileMeta(block, dicom.FileMeta{
		SOPClassUID: m.class, SOPInstanceUID: m.instance, TransferSyntaxUID: dicom.ExplicitVRLittleEndian,
	}); err != nil {
		return 0, err
	}
	if err := dataSet(block, m).Close(); err != nil {
		return 0, err
	}
	if err := pixels(block); err != nil {
		return 0, err
	}
	if err := block.Flush(); err != nil {
		return 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), f.Close()
}

// dataSet writes everything up to the first byte of the pixels (PS3.3 §C.7.6.3).
func dataSet(out io.Writer, m image) *dicom.Writer {
	ts, _ := dicom.LookupTransferSyntax(dicom.ExplicitVRLittleEndian)
	w := dicom.NewWriter(out, ts)
	w.String(dicom.NewTag(0x0008, 0x0016), dicom.UI, string(m.class))
	w.String(dicom.NewTag(0x0008, 0x0018), dicom.UI, string(m.instance))
	w.String(dicom.NewTag(0x0008, 0x0020), dicom.DA, "20260101")
	w.String(dicom.NewTag(0x0008, 0x0030), dicom.TM, "120000")
	w.String(dicom.NewTag(0x0008, 0x0060), dicom.CS, m.modality)
	w.String(dicom.NewTag(0x0010, 0x0010), dicom.PN, "BENCH^PHANTOM")
	w.String(dicom.NewTag(0x0010, 0x0020), dicom.LO, "BENCH")
	w.String(dicom.NewTag(0x0020, 0x000D), dicom.UI, "2.25.1")
	w.String(dicom.NewTag(0x0020, 0x000E), dicom.UI, "2.25.2")
	w.Uint16(dicom.NewTag(0x0028, 0x0002), 1)
	w.String(dicom.NewTag(0x0028, 0x0004), dicom.CS, "MONOCHROME2")
	if m.frames > 0 {
		w.String(dicom.NewTag(0x0028, 0x0008), dicom.IS, fmt.Sprint(m.frames))
	}
	w.Uint16(dicom.NewTag(0x0028, 0x0010), m.side)
	w.Uint16(dicom.NewTag(0x0028, 0x0011), m.side)
	w.Uint16(dicom.NewTag(0x0028, 0x0100), 16)
	w.Uint16(dicom.NewTag(0x0028, 0x0101), 12)
	w.Uint16(dicom.NewTag(0x0028, 0x0102), 11)
	w.Uint16(dicom.NewTag(0x0028, 0x0103), 0)
	w.Header(dicom.NewTag(0x7FE0, 0x0010), dicom.OW, m.pixelSize)
	return w
}
