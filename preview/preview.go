// Package preview shows what is in an object that nobody trusts, without letting
// anybody's viewer near it: the attributes by which people know an object, the
// bytes around a finding, and one frame as a small picture.
//
// Ordinary use:
//
//	p := preview.New(preview.Limits{})
//	of := preview.Object{TransferSyntax: o.TransferSyntaxUID, Size: o.Bytes}
//	texts, err := p.Texts(ctx, blob, of)                      // name, date, modality, …: hostile text, to be escaped
//	w, err := p.Bytes(ctx, blob, of, preview.Place{Where: f.Where, Offset: f.Offset}, -1)
//	frame, err := p.Frame(ctx, blob, of, 0)                    // frame.PNG, at most 512 pixels wide and high
//
// It reads native pixel data of 8 and 16 bits (PS3.5 §8.1.1), RLE Lossless
// (PS3.5 annex G) and baseline JPEG (ISO/IEC 10918-1 process 1), and applies the
// modality LUT or rescale, the first window (PS3.3 §C.11.1, §C.11.2) or palette.
// Whatever else there is has no preview, and a None says why.
//
// # Life of a preview
//
// It waits for one of a few places, for as long as its context lasts. The object
// passes the tokenizer of package dicom once, from its beginning, and no further
// than what is wanted; of its pixels only the sums of a small raster are kept, so
// that the size of a frame costs time and no memory. Compressed frames are kept
// whole, up to a limit, and decoded to no more than the object declares. A limit
// met, in pixels, bytes or time, is a None too. A panic while hostile bytes are
// read ends that preview and nothing else.
//
// A picture is for recognising an image, not for reading it: it is reduced, and
// no shutter, overlay or annotation is in it. The package decides nothing and
// keeps nothing.
package preview

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"cordon/dicom"
)

// Limits bound what previews cost. A zero field means the default beside it.
type Limits struct {
	Places     int           // previews made at a time; 2
	Time       time.Duration // for one, its wait not counted; 10 s
	Pixels     int64         // of a native or RLE frame; 100,000,000
	JPEGPixels int64         // of a JPEG frame, which is decoded whole: up to 3 bytes each; 16,000,000
	Frame      int           // bytes of a compressed frame; 16 MiB
	Side       int           // pixels of the picture in width and height; 512
}

func (l Limits) withDefaults() Limits {
	if l.Places <= 0 {
		l.Places = 2
	}
	if l.Time <= 0 {
		l.Time = 10 * time.Second
	}
	if l.Pixels <= 0 {
		l.Pixels = 100_000_000
	}
	if l.JPEGPixels <= 0 {
		l.JPEGPixels = 16_000_000
	}
	if l.Frame <= 0 {
		l.Frame = 16 << 20
	}
	if l.Side <= 0 {
		l.Side = 512
	}
	return l
}

// None means that there is nothing to show, and says why in words that hold
// numbers and names of formats, never values.
type None struct{ Why string }

func (n *None) Error() string { return "no preview, because " + n.Why }

func none(format string, args ...any) error { return &None{fmt.Sprintf(format, args...)} }

// ErrBusy means that all places are taken.
var ErrBusy = errors.New("other previews are being made: try again in a moment")

// Object says how an object's bytes are to be read.
type Object struct {
	TransferSyntax dicom.UID // of a bare data set; "" of a file
	Size           int64     // bytes; 0: not known
}

// Previewer makes previews. Its methods may be called from any goroutine.
type Previewer struct {
	limits Limits
	places chan struct{}
}

// New returns a Previewer.
func New(l Limits) *Previewer {
	l = l.withDefaults()
	return &Previewer{limits: l, places: make(chan struct{}, l.Places)}
}

// reader is a visitor that knows when it has seen enough.
type reader interface {
	dicom.Visitor
	enough() bool
}

// chunk is how much is read between two looks at the clock.
const chunk = 64 << 10

// pass has v see the object, as far as it wants to, and then runs finish, in one
// of the places.
func (p *Previewer) pass(ctx context.Context, r io.Reader, o Object, v reader, finish func(context.Context) error) (err error) {
	select {
	case p.places <- struct{}{}:
	case <-ctx.Done():
		return ErrBusy
	}
	defer func() { <-p.places }()
	ctx, cancel := context.WithTimeout(ctx, p.limits.Time)
	defer cancel()
	defer func() {
		if recover() != nil {
			err = none("its bytes are such that reading them went wrong")
		}
	}()
	if err := read(ctx, r, o, v); err != nil {
		return err
	}
	return finish(ctx)
}

// read tokenizes the object.
func read(ctx context.Context, r io.Reader, o Object, v reader) error {
	d := dicom.NewDecoder(v, dicom.Options{TransferSyntax: o.TransferSyntax, Size: o.Size})
	defer d.Close() // it holds a coroutine of a deflated data set
	buffer := make([]byte, chunk)
	for !v.enough() {
		if err := late(ctx); err != nil {
			return err
		}
		n, err := r.Read(buffer)
		if _, werr := d.Write(buffer[:n]); werr != nil {
			return werr
		}
		if errors.Is(err, io.EOF) {
			return d.Close()
		}
		if err != nil {
			return fmt.Errorf("reading the object: %w", err)
		}
	}
	return nil
}

// late is a None once the time is over.
func late(ctx context.Context) error {
	if ctx.Err() != nil {
		return none("it would take too long")
	}
	return nil
}
