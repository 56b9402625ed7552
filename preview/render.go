package preview

import (
	"encoding/binary"
	"image"
	"image/color"
	"math"

	"cordon/dicom"
)

// picture maps the raster to what is seen.
func (r *raster) picture(v *facts) image.Image {
	switch r.form.photometric {
	case "MONOCHROME1", "MONOCHROME2":
		return r.grey(v)
	case "PALETTE COLOR":
		if p, ok := v.palette(); ok {
			return r.colours(func(cell int) color.RGBA { return p.colour(r.name(cell)) })
		}
		return r.grey(v) // a palette that is not there, or segmented
	case "RGB":
		return r.colours(func(cell int) color.RGBA {
			return color.RGBA{r.eight(cell, 0), r.eight(cell, 1), r.eight(cell, 2), 255}
		})
	}
	return r.colours(func(cell int) color.RGBA {
		red, green, blue := color.YCbCrToRGB(r.eight(cell, 0), r.eight(cell, 1), r.eight(cell, 2))
		return color.RGBA{red, green, blue, 255}
	})
}

// name is the value of a cell that is no quantity.
func (r *raster) name(cell int) int {
	x, _ := r.at(cell, 0)
	return int(x)
}

// eight is a sample's value in 8 bits.
func (r *raster) eight(cell, sample int) uint8 {
	x, _ := r.at(cell, sample)
	if r.form.signed {
		x += float64(int(1) << (r.form.stored - 1))
	}
	return uint8(math.Max(0, math.Min(255, x*255/float64(int(1)<<r.form.stored-1))))
}

func (r *raster) colours(of func(cell int) color.RGBA) image.Image {
	out := image.NewRGBA(image.Rect(0, 0, r.width, r.height))
	for cell := range r.width * r.height {
		if r.counts[cell] > 0 {
			out.SetRGBA(cell%r.width, cell/r.width, of(cell))
		}
	}
	return out
}

// grey applies modality LUT or rescale, then the window (PS3.3 §C.11.1, §C.11.2).
// Without a window it is the range of what is there.
func (r *raster) grey(v *facts) image.Image {
	values := make([]float64, r.width*r.height)
	modality := v.modality()
	for cell := range values {
		x, ok := r.at(cell, 0)
		if values[cell] = modality(x); !ok {
			values[cell] = math.NaN()
		}
	}
	low, high := v.window(values)
	invert := r.form.photometric == "MONOCHROME1"
	out := image.NewGray(image.Rect(0, 0, r.width, r.height))
	for cell, x := range values {
		if math.IsNaN(x) {
			continue
		}
		g := uint8(math.Max(0, math.Min(255, math.Round((x-low)/(high-low)*255))))
		if invert {
			g = 255 - g
		}
		out.Pix[cell/r.width*out.Stride+cell%r.width] = g
	}
	return out
}

// modality is the first half of the way from what is stored to what is seen.
func (v *facts) modality() func(float64) float64 {
	if t, ok := v.table(dicom.TagLUTDescriptor, dicom.TagLUTData); ok {
		return func(x float64) float64 { return float64(t.at(int(math.Round(x)))) }
	}
	slope, ok := v.decimal(tagRescaleSlope)
	intercept, has := v.decimal(tagRescaleIntercept)
	if !ok || !has || slope == 0 {
		return func(x float64) float64 { return x }
	}
	return func(x float64) float64 { return x*slope + intercept }
}

// window is the range that is shown: that of the first window, else of the
// values. high is above low.
func (v *facts) window(values []float64) (low, high float64) {
	center, ok := v.decimal(tagWindowCenter)
	width, has := v.decimal(tagWindowWidth)
	if ok && has && width >= 1 {
		return center - 0.5 - (width-1)/2, center - 0.5 + math.Max(width-1, 0.5)/2
	}
	low, high = math.Inf(1), math.Inf(-1)
	for _, x := range values {
		if !math.IsNaN(x) {
			low, high = math.Min(low, x), math.Max(high, x)
		}
	}
	if !(high > low) {
		return low - 0.5, low + 0.5
	}
	return low, high
}

// table is a lookup table (PS3.3 §C.11.1.1, §C.7.6.3.1.5).
type table struct {
	first, entries int
	wide           bool // 16 bits
	deep           bool // of which all count
	data           []byte
	order          binary.ByteOrder
}

// table reads a descriptor and its data; false if they are not both there.
func (v *facts) table(descriptor, data dicom.Tag) (table, bool) {
	d := v.values[descriptor]
	if len(d) < 6 || len(v.values[data]) == 0 {
		return table{}, false
	}
	t := table{
		entries: int(v.order().Uint16(d)), first: int(v.order().Uint16(d[2:])), deep: v.order().Uint16(d[4:]) > 8,
		data: v.values[data], order: v.order(),
	}
	if signed, _ := v.number(dicom.TagPixelRepresentation); signed == 1 {
		t.first = int(int16(t.first))
	}
	if t.entries == 0 {
		t.entries = 1 << 16
	}
	t.wide = len(t.data) >= 2*t.entries
	return t, true
}

// at is the entry of a value; what is outside is the nearest one.
func (t table) at(value int) uint16 {
	i := max(0, min(value-t.first, t.entries-1))
	if !t.wide {
		return uint16(t.data[min(i, len(t.data)-1)])
	}
	return t.order.Uint16(t.data[2*i:])
}

// palette is three tables.
type palette [3]table

func (v *facts) palette() (p palette, ok bool) {
	for i := range p {
		if p[i], ok = v.table(tagRedDescriptor+dicom.Tag(i), tagRedData+dicom.Tag(i)); !ok {
			return p, false
		}
	}
	return p, true
}

func (p palette) colour(value int) color.RGBA {
	var c [3]uint8
	for i, t := range p {
		entry := t.at(value)
		if t.wide && t.deep {
			entry >>= 8
		}
		c[i] = uint8(entry)
	}
	return color.RGBA{c[0], c[1], c[2], 255}
}
