package preview

import (
	"context"
	"encoding/binary"
)

// rleHeader is the length of the header of an RLE frame in bytes (PS3.5 §G.5).
const rleHeader = 64

// looksLikeRLE tells a frame by its header: as many segments as the form has
// bytes, the first right behind it.
func looksLikeRLE(p []byte, f form) bool {
	return len(p) >= rleHeader && binary.LittleEndian.Uint32(p) == uint32(f.samples*f.bytes) && binary.LittleEndian.Uint32(p[4:]) == rleHeader
}

// decodeRLE decodes a frame (PS3.5 §G.3): for each sample a segment of the high
// bytes, then one of the low ones. What a segment lacks is not made up.
func decodeRLE(ctx context.Context, p []byte, f form, l Limits) (*raster, error) {
	if f.pixels() > l.Pixels {
		return nil, none("its frames have %d pixels: at most %d are looked at", f.pixels(), l.Pixels)
	}
	segments, err := rleSegments(p, f.samples*f.bytes)
	if err != nil {
		return nil, err
	}
	r := newRaster(f, l.Side, false)
	for s := range f.samples {
		if err := rlePlane(ctx, r, segments[s*f.bytes:(s+1)*f.bytes]); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// rleSegments cuts a frame into segments.
func rleSegments(p []byte, n int) ([]packBits, error) {
	all := make([]packBits, n)
	for i := range all {
		from, to := int64(binary.LittleEndian.Uint32(p[4+4*i:])), int64(len(p))
		if i+1 < n {
			to = int64(binary.LittleEndian.Uint32(p[8+4*i:]))
		}
		if from < rleHeader || to < from || to > int64(len(p)) {
			return nil, none("its RLE header points outside the frame")
		}
		all[i] = packBits{in: p[from:to]}
	}
	return all, nil
}

// rlePlane decodes one sample of all pixels.
func rlePlane(ctx context.Context, r *raster, bytes []packBits) error {
	for i := range r.form.pixels() {
		if i%(1<<20) == 0 {
			if err := late(ctx); err != nil {
				return err
			}
		}
		var v uint16
		for k := range bytes {
			b, ok := bytes[k].next()
			if !ok {
				return none("an RLE segment ends after %d of %d pixels", i, r.form.pixels())
			}
			v = v<<8 | uint16(b)
		}
		r.put(r.form.value(v))
	}
	return nil
}

// packBits decodes a segment byte by byte (PS3.5 §G.3.1).
type packBits struct {
	in      []byte
	literal int  // bytes to come as they are
	repeat  int  // times that again is to come
	again   byte //
}

func (b *packBits) next() (byte, bool) {
	for b.literal == 0 && b.repeat == 0 {
		if len(b.in) < 2 {
			return 0, false
		}
		n := int8(b.in[0])
		switch {
		case n >= 0:
			b.literal, b.in = int(n)+1, b.in[1:]
		case n == -128: // nothing
			b.in = b.in[1:]
		default:
			b.repeat, b.again, b.in = 1-int(n), b.in[1], b.in[2:]
		}
	}
	if b.repeat > 0 {
		b.repeat--
		return b.again, true
	}
	if len(b.in) == 0 {
		return 0, false
	}
	b.literal--
	v := b.in[0]
	b.in = b.in[1:]
	return v, true
}
