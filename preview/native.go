package preview

import "cordon/dicom"

// native takes uncompressed pixels as they come (PS3.5 §8.1.1, §8.2).
type native struct {
	raster *raster
	form   form
	skip   int64 // bytes of the frames before
	big    bool
	half   [1]byte // of a sample that a piece of the value cut
	cut    bool
}

// newNative prepares for the pixels of frame n.
func newNative(f form, l Limits, n int, e *dicom.Element) (source, error) {
	switch {
	case f.pixels() > l.Pixels:
		return nil, none("its frames have %d pixels: at most %d are looked at", f.pixels(), l.Pixels)
	case f.photometric == "YBR_FULL_422":
		return nil, none("its chrominance is subsampled and not compressed")
	case e.BigEndian && f.bytes == 1 && e.VR == dicom.OW:
		return nil, none("its bytes are in words of big endian order")
	case n < 0 || n >= f.frames:
		return nil, nil // said later
	}
	return &native{
		raster: newRaster(f, l.Side, !f.planar),
		form:   f, skip: int64(n) * f.frameBytes(), big: e.BigEndian,
	}, nil
}

func (n *native) write(p []byte) (enough bool) {
	if n.skip > 0 {
		k := min(n.skip, int64(len(p)))
		n.skip -= k
		p = p[k:]
	}
	if n.form.bytes == 1 {
		for _, b := range p {
			n.raster.put(n.form.value(uint16(b)))
		}
		return n.raster.full()
	}
	if n.cut && len(p) > 0 {
		n.word(n.half[0], p[0])
		p, n.cut = p[1:], false
	}
	for ; len(p) >= 2; p = p[2:] {
		n.word(p[0], p[1])
	}
	if len(p) == 1 {
		n.half[0], n.cut = p[0], true
	}
	return n.raster.full()
}

func (n *native) word(a, b byte) {
	if n.big {
		a, b = b, a
	}
	n.raster.put(n.form.value(uint16(a) | uint16(b)<<8))
}

// end is the raster, if there were pixels enough to see anything.
func (n *native) end() (*raster, error) {
	if n.raster.given == 0 {
		return nil, none("its pixel data end before this frame")
	}
	return n.raster, nil
}
