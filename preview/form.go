package preview

import (
	"strconv"

	"cordon/dicom"
)

// form is how the pixels of an image are stored (PS3.3 §C.7.6.3), checked.
type form struct {
	rows, columns int
	samples       int // 1 or 3
	bytes         int // of a sample: 1 or 2
	stored, high  int // bits stored, high bit
	signed        bool
	planar        bool
	photometric   string
	frames        int
	names         bool // values are looked up, and mean nothing between two of them
}

func (f form) pixels() int64 { return int64(f.rows) * int64(f.columns) }

// frameBytes is the length of a native frame.
func (f form) frameBytes() int64 { return f.pixels() * int64(f.samples*f.bytes) }

// form reads the form, or says what of it cannot be shown.
func (v *facts) form() (form, error) {
	f := form{frames: 1, photometric: v.text(dicom.TagPhotometricInterpretation)}
	var allocated int
	for _, n := range []struct {
		tag      dicom.Tag
		into     *int
		standing int // where the object does not say; -1: it has to
	}{
		{dicom.TagRows, &f.rows, -1}, {dicom.TagColumns, &f.columns, -1}, {dicom.TagBitsAllocated, &allocated, -1},
		{dicom.TagSamplesPerPixel, &f.samples, 1},
	} {
		var ok bool
		if *n.into, ok = v.number(n.tag); !ok && n.standing < 0 {
			return f, none("%s is not said before its pixel data", n.tag)
		} else if !ok {
			*n.into = n.standing
		}
	}
	if text := v.text(dicom.TagNumberOfFrames); text != "" {
		if n, err := strconv.Atoi(text); err == nil && n > 0 {
			f.frames = n
		}
	}
	if err := f.check(allocated); err != nil {
		return f, err
	}
	f.bytes = allocated / 8
	f.names = f.photometric == "PALETTE COLOR" || len(v.values[dicom.TagLUTData]) > 0
	return f, v.bits(&f, allocated)
}

// check says what cannot be shown.
func (f form) check(allocated int) error {
	switch {
	case f.rows == 0 || f.columns == 0:
		return none("it says that it has %d rows and %d columns", f.rows, f.columns)
	case allocated != 8 && allocated != 16:
		return none("it has %d bits allocated: only 8 and 16 are shown", allocated)
	}
	samples, ok := map[string]int{"MONOCHROME1": 1, "MONOCHROME2": 1, "PALETTE COLOR": 1, "RGB": 3, "YBR_FULL": 3, "YBR_FULL_422": 3}[f.photometric]
	if !ok {
		return none("its photometric interpretation is not one that is shown")
	}
	if samples != f.samples {
		return none("it has %d samples per pixel where its photometric interpretation has %d", f.samples, samples)
	}
	return nil
}

// bits reads which bits of a sample count.
func (v *facts) bits(f *form, allocated int) error {
	var ok bool
	if f.stored, ok = v.number(dicom.TagBitsStored); !ok {
		f.stored = allocated
	}
	if f.high, ok = v.number(dicom.TagHighBit); !ok {
		f.high = f.stored - 1
	}
	if f.stored < 1 || f.stored > allocated || f.high >= allocated || f.high+1 < f.stored {
		return none("it stores %d bits up to bit %d in %d", f.stored, f.high, allocated)
	}
	signed, _ := v.number(dicom.TagPixelRepresentation)
	f.signed = signed == 1
	planar, _ := v.number(dicom.TagPlanarConfiguration)
	f.planar = planar == 1 && f.samples > 1
	return nil
}

// value is the number that a sample stands for.
func (f *form) value(sample uint16) int32 {
	v := int32(sample>>(f.high+1-f.stored)) & (1<<f.stored - 1)
	if f.signed && v>>(f.stored-1) != 0 {
		v -= 1 << f.stored
	}
	return v
}
