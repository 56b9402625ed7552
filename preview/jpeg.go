package preview

import (
	"bytes"
	"context"
	"encoding/binary"
	"image"
	"image/color"
	"image/jpeg"
	"io"
)

// Markers of ISO/IEC 10918-1 table B.1.
const (
	markSOF0  = 0xC0 // baseline
	markSOI   = 0xD8
	markEOI   = 0xD9
	markSOS   = 0xDA
	markSOF55 = 0xF7 // JPEG-LS (ISO/IEC 14495-1)
)

// maxScans bounds the scans of a frame: a baseline frame has as many as
// components; each costs the time of the whole image.
const maxScans = 3

// decodeJPEG decodes a baseline frame, after it was seen to be one, of the size
// that the object says.
func decodeJPEG(ctx context.Context, p []byte, f form, l Limits) (*raster, error) {
	h, err := readJPEGHeader(p)
	if err != nil {
		return nil, err
	}
	switch {
	case h.columns != f.columns || h.rows != f.rows:
		return nil, none("its JPEG frame has %d rows and %d columns, and the object says %d and %d", h.rows, h.columns, f.rows, f.columns)
	case h.components != f.samples:
		return nil, none("its JPEG frame has %d components, and the object says %d", h.components, f.samples)
	case f.pixels() > l.JPEGPixels:
		return nil, none("its JPEG frame has %d pixels: at most %d are decoded", f.pixels(), l.JPEGPixels)
	case f.photometric == "PALETTE COLOR" || f.bytes != 1:
		return nil, none("baseline JPEG holds 8 bits of grey or colour, and the object says otherwise")
	}
	m, err := jpeg.Decode(&timely{ctx, bytes.NewReader(p)})
	if err != nil {
		if late := late(ctx); late != nil {
			return nil, late
		}
		return nil, none("its JPEG frame cannot be decoded")
	}
	return rasterOf(ctx, m, f, l)
}

// timely is a reader that ends when its context does, and so does who reads.
type timely struct {
	ctx context.Context
	r   io.Reader
}

func (t *timely) Read(p []byte) (int, error) {
	if err := t.ctx.Err(); err != nil {
		return 0, err
	}
	return t.r.Read(p)
}

// jpegHeader is what a frame says of itself.
type jpegHeader struct{ rows, columns, components int }

// readJPEGHeader walks the markers of a frame to its end: one frame header, that
// of a baseline image, and no more scans than such an image needs.
func readJPEGHeader(p []byte) (h jpegHeader, err error) {
	scans, frames := 0, 0
	for i := 2; i+4 <= len(p); {
		if p[i] != 0xFF {
			i++ // of a scan, or what a decoder passes over
			continue
		}
		m := p[i+1]
		if m == 0xFF { // a fill byte
			i++
			continue
		}
		if m <= 1 || m >= 0xD0 && m <= markSOI { // stuffed, or without a segment
			i += 2
			continue
		}
		if m == markEOI {
			break
		}
		n := int(binary.BigEndian.Uint16(p[i+2:]))
		switch {
		case m == markSOS:
			scans++
		case m == markSOF0 && n >= 8 && i+4+6 <= len(p):
			s := p[i+4:]
			h = jpegHeader{int(binary.BigEndian.Uint16(s[1:])), int(binary.BigEndian.Uint16(s[3:])), int(s[5])}
			frames++
		case m > markSOF0 && m <= 0xCF && m != 0xC4 && m != 0xC8 && m != 0xCC:
			return h, none("its JPEG frame is not baseline (marker FF%02X)", m)
		case m == markSOF55:
			return h, none("its compression is JPEG-LS")
		}
		i += 2 + n
	}
	switch {
	case frames != 1:
		return h, none("its JPEG codestream has %d frame headers", frames)
	case scans == 0 || scans > maxScans:
		return h, none("its JPEG frame has %d scans", scans)
	}
	return h, nil
}

// rasterOf reduces a decoded image. Colours are RGB from here on.
func rasterOf(ctx context.Context, m image.Image, f form, l Limits) (*raster, error) {
	if b := m.Bounds(); b.Dx() != f.columns || b.Dy() != f.rows {
		return nil, none("its JPEG frame was decoded to another size")
	}
	r := newRaster(f, l.Side, true)
	for y := range f.rows {
		if err := late(ctx); err != nil {
			return nil, err
		}
		switch m := m.(type) {
		case *image.Gray:
			for _, v := range m.Pix[y*m.Stride : y*m.Stride+f.columns] {
				r.put(f.value(uint16(v)))
			}
		case *image.YCbCr:
			for x := range f.columns {
				c := m.YCbCrAt(x, y)
				r.put3(color.YCbCrToRGB(c.Y, c.Cb, c.Cr))
			}
		case *image.RGBA: // components that are named R, G and B
			for x := range f.columns {
				c := m.RGBAAt(x, y)
				r.put3(c.R, c.G, c.B)
			}
		default:
			return nil, none("its JPEG frame has colours that are not shown")
		}
	}
	r.form.photometric = "RGB"
	if f.samples == 1 {
		r.form.photometric = f.photometric
	}
	return r, nil
}

func (r *raster) put3(red, green, blue uint8) {
	r.put(int32(red))
	r.put(int32(green))
	r.put(int32(blue))
}
