package preview

// raster is a reduced image: each cell is the sum of the pixels that fall into it,
// or, where values are names and no quantities, the first of them. Pixels are
// given in order; what is too much is not taken.
type raster struct {
	width, height, samples int
	first                  bool // no sums
	sums                   []int64
	counts                 []uint32 // of one sample

	form        form
	cellOf      []int32 // column → cell
	x, y, s     int     // the next sample
	rowStart    int     // cells before the row of cells that y is in
	interleaved bool    // samples of a pixel follow each other
	given       int64
}

// newRaster makes a raster of at most side cells in both directions. interleaved
// says that the samples of a pixel come one after the other, else plane by plane.
func newRaster(f form, side int, interleaved bool) *raster {
	r := &raster{form: f, samples: f.samples, first: f.names, interleaved: interleaved}
	r.width, r.height = f.columns, f.rows
	if longest := max(f.columns, f.rows); longest > side {
		r.width = max(1, f.columns*side/longest)
		r.height = max(1, f.rows*side/longest)
	}
	cells := r.width * r.height
	r.sums, r.counts = make([]int64, cells*r.samples), make([]uint32, cells)
	r.cellOf = make([]int32, f.columns)
	for x := range r.cellOf {
		r.cellOf[x] = int32(x * r.width / f.columns)
	}
	return r
}

// full reports whether every sample was given.
func (r *raster) full() bool { return r.given == r.form.pixels()*int64(r.samples) }

// put takes the next sample's value.
func (r *raster) put(v int32) {
	if r.full() {
		return
	}
	r.given++
	cell := r.rowStart + int(r.cellOf[r.x])
	if !r.first {
		r.sums[cell*r.samples+r.s] += int64(v)
	} else if r.counts[cell] == 0 {
		r.sums[cell*r.samples+r.s] = int64(v)
	}
	if r.s == r.samples-1 {
		r.counts[cell]++
	}
	r.next()
}

// next moves on to the following sample.
func (r *raster) next() {
	if r.interleaved {
		if r.s++; r.s < r.samples {
			return
		}
		r.s = 0
	}
	if r.x++; r.x < r.form.columns {
		return
	}
	r.x = 0
	r.y++
	if r.y == r.form.rows {
		r.y = 0
		r.s++ // of planes; of interleaved ones it is the end
	}
	r.rowStart = r.y * r.height / r.form.rows * r.width
}

// at is the value of a cell; false if no pixel fell into it.
func (r *raster) at(cell, sample int) (float64, bool) {
	n := r.counts[cell]
	if n == 0 {
		return 0, false
	}
	if r.first {
		n = 1
	}
	return float64(r.sums[cell*r.samples+sample]) / float64(n), true
}
