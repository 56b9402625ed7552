package commitment

import (
	"context"
	"io"
)

// A data set of at most short bytes is read as it comes. Longer ones, up to 16 MiB,
// wait for one of maxReading places once they turn out to be: somebody who sends
// slowly holds up none but those who have as much to say.
const (
	short      = 256 << 10
	maxReading = 4
)

// intake is a data set on its way into memory.
type intake struct {
	ctx    context.Context // of the call that reads it
	data   io.Reader
	places chan struct{}
	n      int
	placed bool
}

func (c *Commitment) intake(ctx context.Context, data io.Reader) *intake {
	return &intake{ctx: ctx, data: data, places: c.reading}
}

// Read implements io.Reader.
func (in *intake) Read(p []byte) (int, error) {
	n, err := in.data.Read(p)
	if in.n += n; in.n <= short || in.placed {
		return n, err
	}
	select {
	case in.places <- struct{}{}:
		in.placed = true
		return n, err
	case <-in.ctx.Done():
		return n, context.Cause(in.ctx)
	}
}

// done gives the place back, once what was read is not needed any more.
func (in *intake) done() {
	if in.placed {
		<-in.places
	}
}
