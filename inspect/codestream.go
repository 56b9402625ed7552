package inspect

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"cordon/dicom"
)

// codestream holds compressed images against their transfer syntax and size,
// and walks JPEG and JPEG-LS markers to the end of each image.
type codestream struct {
	blind
	report   *report
	geometry *geometry
	syntax   func() dicom.TransferSyntax
	rest     *piece // what follows an end of image marker

	format    string   // of the transfer syntax, "" when it is not checked
	fragments int      // ended, offset table left out
	head      [48]byte // of the fragment
	n         int
	walk      jpegWalk
	position  int64 // of the walk in the fragment
	trailing  bool  // what follows the image is more than padding
}

func (c *codestream) raises() []string {
	return []string{"encapsulation", "codestream-format", "codestream-markers", "codestream-trailing", "codestream-size", "codestream-size-differs"}
}

func (c *codestream) begin(e *dicom.Element) {
	switch {
	case e.Kind == dicom.KindEncapsulated:
		c.format, c.fragments = "", 0
		if e.Depth == 0 {
			c.format = formatOf(c.syntax().UID)
			c.checkEncapsulation(e, true)
		}
		c.walk = jpegWalk{lossless: c.format == jpegLS}
	case e.Kind == dicom.KindElement && e.Tag == dicom.TagPixelData && e.Depth == 0:
		c.checkEncapsulation(e, false)
	case e.Kind == dicom.KindFragment:
		c.n = 0
	}
}

func (c *codestream) checkEncapsulation(e *dicom.Element, encapsulated bool) {
	if ts := c.syntax(); ts.UID != "" && ts.Encapsulated != encapsulated {
		c.report.add("encapsulation", e, e.Offset, "transfer syntax "+ts.Name)
	}
}

// Formats of compressed images.
const (
	jpeg     = "JPEG"
	jpegLS   = "JPEG-LS"
	jpeg2000 = "JPEG 2000"
	jpegXL   = "JPEG XL"
)

// formatOf returns the format that a transfer syntax names, or "" for those
// that begin with no magic number of their own.
func formatOf(ts dicom.UID) string {
	const family = "1.2.840.10008.1.2.4."
	number, ok := strings.CutPrefix(string(ts), family)
	switch {
	case !ok || len(number) < 2:
		return ""
	case len(number) == 2 && number[0] >= '5' && number[0] <= '7':
		return jpeg
	case number == "80" || number == "81":
		return jpegLS
	case len(number) == 2 && number >= "90" && number <= "93", number == "201", number == "202", number == "203":
		return jpeg2000
	case len(number) == 3 && number >= "110" && number <= "112":
		return jpegXL
	}
	return ""
}

var codestreamMagics = []struct{ magic, format string }{
	{"\xFF\xD8\xFF", jpeg},
	{"\xFF\xD8\xFF", jpegLS},
	{"\xFF\x4F\xFF\x51", jpeg2000},
	{"\x00\x00\x00\x0CjP  ", jpeg2000},
	{"\xFF\x0A", jpegXL},
	{"\x00\x00\x00\x0CJXL ", jpegXL},
}

func (c *codestream) chunk(e *dicom.Element, p []byte) {
	if c.format == "" || e.Kind != dicom.KindFragment || e.Index == 0 {
		return
	}
	lead := c.n < 2
	taken := copy(c.head[c.n:], p)
	c.n += taken
	switch {
	case c.format != jpeg && c.format != jpegLS:
	case !lead:
		c.follow(e, p)
	case c.n >= 2: // now it can be told whether an image starts here
		if string(c.head[:2]) == startOfImage {
			c.walk = jpegWalk{lossless: c.format == jpegLS}
		}
		c.position = 0
		c.follow(e, c.head[:2])
		c.follow(e, p[min(len(p), 2-(c.n-taken)):])
	}
}

// follow walks on over p, and cuts off what follows the end of the image.
func (c *codestream) follow(e *dicom.Element, p []byte) {
	for len(p) > 0 {
		if c.walk.state == afterImage {
			c.trail(e, p)
			c.position += int64(len(p))
			return
		}
		n, event := c.walk.next(p)
		c.position += int64(n)
		p = p[n:]
		switch event {
		case sizeKnown:
			c.checkSize(e, c.walk.columns, c.walk.rows, c.walk.components)
		case brokenMarkers:
			c.report.add("codestream-markers", e, e.ValueOffset+c.position, "")
		}
	}
}

func (c *codestream) trail(e *dicom.Element, p []byte) {
	if !c.rest.open {
		c.trailing = false
		c.rest.start(e, ordinary, e.ValueOffset+c.position, -1, allWords)
	}
	c.rest.write(p)
	c.trailing = c.trailing || len(bytes.Trim(p, "\x00\xFF")) > 0
}

func (c *codestream) end(e *dicom.Element) {
	if c.format == "" || e.Kind != dicom.KindFragment || e.Index == 0 {
		return
	}
	if c.fragments == 0 && c.n > 0 {
		c.checkFormat(e)
	}
	c.fragments++
	if c.format == jpeg2000 {
		c.checkSIZ(e)
	}
	if c.rest.open {
		if c.trailing {
			c.report.add("codestream-trailing", e, c.rest.offset, "")
		}
		c.rest.end(e)
	}
}

func (c *codestream) checkFormat(e *dicom.Element) {
	found := "no known image format"
	for _, m := range codestreamMagics {
		if strings.HasPrefix(string(c.head[:c.n]), m.magic) {
			if m.format == c.format {
				return
			}
			found = m.format
		}
	}
	c.report.add("codestream-format", e, e.ValueOffset, fmt.Sprintf("%s where the transfer syntax has %s", found, c.format))
}

// checkSIZ reads the size from a JPEG 2000 main header (ISO 15444-1 §A.5.1).
func (c *codestream) checkSIZ(e *dicom.Element) {
	if c.n < 42 || string(c.head[:4]) != "\xFF\x4F\xFF\x51" {
		return
	}
	be := binary.BigEndian
	field := func(i int) int64 { return int64(be.Uint32(c.head[i:])) }
	tiles := product(tilesOf(field(8), field(24), field(32)), tilesOf(field(12), field(28), field(36)))
	if tiles == 0 || tiles > 65535 { // §B.3; every decoder refuses it before it allocates
		c.report.add("codestream-markers", e, e.ValueOffset, fmt.Sprintf("%d tiles", tiles))
		return
	}
	c.checkSize(e, field(8)-field(16), field(12)-field(20), int64(be.Uint16(c.head[40:])))
}

// tilesOf returns how many tiles of the given size cover a line from the first
// tile's start to its end (ISO 15444-1 §B.3); 0 when none can.
func tilesOf(end, size, start int64) int64 {
	if size == 0 || end <= start {
		return 0
	}
	return (end - start + size - 1) / size
}

// checkSize holds a codestream's size against the data set's.
func (c *codestream) checkSize(e *dicom.Element, columns, rows, components int64) {
	g := c.geometry
	if g.rows == 0 || g.columns == 0 {
		return
	}
	detail := fmt.Sprintf("%d×%d pixels, %d components where the data set has %d×%d, %d", rows, columns, components, g.rows, g.columns, g.samples)
	switch {
	case rows > g.rows || columns > g.columns || g.samples > 0 && components > g.samples:
		c.report.add("codestream-size", e, e.ValueOffset, detail)
	case rows != g.rows && rows != 0 || columns != g.columns || components != g.samples: // 0 rows: a DNL marker says
		c.report.add("codestream-size-differs", e, e.ValueOffset, detail)
	}
}
