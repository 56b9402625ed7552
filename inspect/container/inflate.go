package container

import (
	"archive/tar"
	"bytes"
	"compress/bzip2"
	"compress/flate"
	"compress/gzip"
	"io"
)

// inflater is one deflate reader, used again for each member. The zero value is ready.
type inflater struct{ r io.ReadCloser }

// reset begins to inflate src. The reader is good until the next reset.
func (i *inflater) reset(src io.Reader) io.Reader {
	if i.r == nil {
		i.r = flate.NewReader(src)
		return i.r
	}
	if err := i.r.(flate.Resetter).Reset(src, nil); err != nil {
		return bytes.NewReader(nil)
	}
	return i.r
}

// gzip opens RFC 1952 data: one member, however many parts it has.
func (l *level) gzip() {
	r, err := gzip.NewReader(bytes.NewReader(l.data))
	if err != nil {
		l.unread(0, "gzip header is corrupt")
		return
	}
	l.member(item{name: r.Name}, untilPadding{r})
}

// untilPadding ends without an error where the rest is no further part: values
// are padded to even length.
type untilPadding struct{ r io.Reader }

func (u untilPadding) Read(p []byte) (int, error) {
	n, err := u.r.Read(p)
	if err == gzip.ErrHeader {
		err = io.EOF
	}
	return n, err
}

func (l *level) bzip2() { l.member(item{}, bzip2.NewReader(bytes.NewReader(l.data))) }

// tar passes every regular file on.
func (l *level) tar() {
	r := tar.NewReader(bytes.NewReader(l.data))
	for i := 0; l.members < l.limits.Members && !l.spent; i++ {
		h, err := r.Next()
		if err != nil {
			if err != io.EOF && l.whole {
				l.unread(0, "tar header is corrupt")
			}
			return
		}
		l.judgeName(i, 0, h.Name)
		switch h.Typeflag {
		case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse: // each is unpacked to a file
			l.member(item{index: i, name: h.Name}, r)
		}
	}
}
