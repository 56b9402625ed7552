package container

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/ascii85"
	"io"
)

// stream passes over the stream whose keyword ends at byte i, and looks into it.
// It returns where the tokens go on.
func (s *pdfScan) stream(i int) int {
	if s.data[i] == '\r' {
		i++
	}
	if i < len(s.data) && s.data[i] == '\n' {
		i++
	}
	o := s.object
	s.object.filters = nil
	end := s.streamEnd(i, o.length)
	raw := s.data[i:end]
	if s.nextObject.next(s.data, i) < end && !o.embedded { // readers may be led there
		if len(o.filters) == 0 && !o.image {
			return i
		}
		s.report("container-mismatch", i, "objects inside a stream of a PDF")
	}
	if s.spent || o.image && !o.embedded {
		return end
	}
	s.rest = s.data[end:]
	if s.key != nil {
		s.rest = nil
		if plain := s.key.decrypt(raw, o.number, o.generation); zlibHeader(plain) || !zlibHeader(raw) {
			raw = plain // else a stream that is exempt from encryption
		}
	}
	if len(o.filters) == 0 && zlibHeader(raw) { // its filter may be an object of its own
		inflated := o
		inflated.filters = []string{"FlateDecode"}
		s.content(i, raw, inflated)
	}
	s.content(i, raw, o)
	return end
}

// content looks into what a stream holds.
func (s *pdfScan) content(at int, raw []byte, o pdfObject) {
	r, ok := s.decode(raw, o)
	switch {
	case !ok && (o.embedded || o.objects):
		s.unread(at, "a filter of a PDF that is not opened")
	case !ok:
	case o.objects:
		s.objectStream(at, r)
	default:
		s.member(item{index: max(0, o.number), offset: at, hidden: !o.embedded}, r)
	}
}

// streamEnd returns where the stream ends that begins at byte i: where its length
// says if "endstream" stands there, else before the next one.
func (s *pdfScan) streamEnd(i, length int) int {
	if end := i + length; length > 0 && end < len(s.data) {
		tail := bytes.TrimLeft(s.data[end:min(len(s.data), end+20)], "\r\n ")
		if bytes.HasPrefix(tail, []byte(endStream)) {
			return end
		}
	}
	return s.nextEnd.next(s.data, i)
}

// decode undoes the stream's filters (ISO 32000-1 §7.4), the lossless general ones.
func (s *pdfScan) decode(raw []byte, o pdfObject) (io.Reader, bool) {
	var r io.Reader = bytes.NewReader(raw)
	inflated := false
	for i, f := range o.filters {
		if i > 0 {
			r = &metered{s.level, r}
		}
		switch f {
		case "FlateDecode", "Fl":
			if i == 0 {
				r = &onward{p: raw, rest: s.rest, budget: &s.onward}
			}
			r = s.zlib(r, inflated)
			inflated = true
		case "ASCIIHexDecode", "AHx":
			r = &hexReader{r: r}
		case "ASCII85Decode", "A85":
			r = ascii85.NewDecoder(&untilTilde{r: r})
		case "LZWDecode", "LZW":
			r = newLZW(r, o.early)
		case "RunLengthDecode", "RL":
			r = &runLength{r: bufio.NewReader(r)}
		default:
			return nil, false
		}
	}
	if o.predictor >= 10 && o.columns > 0 && o.columns <= 1<<16 {
		r = &predicted{r: r, row: make([]byte, 1+o.columns), above: make([]byte, 1+o.columns)}
	}
	return r, true
}

// onward reads on behind what seems to be the end of a stream: "endstream" may stand
// in deflated data, which ends by itself. All streams of a document together read as
// many bytes more as it has.
type onward struct {
	p, rest []byte
	budget  *int
}

func (r *onward) Read(p []byte) (int, error) {
	if !r.more() {
		return 0, io.EOF
	}
	n := copy(p, r.p)
	r.p = r.p[n:]
	return n, nil
}

func (r *onward) more() bool {
	if len(r.p) == 0 {
		n := min(len(r.rest), *r.budget, chunk)
		r.p, r.rest = r.rest[:n], r.rest[n:]
		*r.budget -= n
	}
	return len(r.p) > 0
}

// ReadByte lets package flate read no further than it must.
func (r *onward) ReadByte() (byte, error) {
	if !r.more() {
		return 0, io.EOF
	}
	c := r.p[0]
	r.p = r.p[1:]
	return c, nil
}

// metered counts what one filter gives to the next: that may be nothing that
// comes out in the end, and work without end all the same.
type metered struct {
	level *level
	r     io.Reader
}

func (m *metered) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	if !m.level.spend(m.level, n) {
		return 0, io.EOF
	}
	return n, err
}

// zlib inflates RFC 1950 data without its checksum, which readers ignore. What was
// inflated already needs a reader of its own.
func (s *pdfScan) zlib(r io.Reader, again bool) io.Reader {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return bytes.NewReader(nil)
	}
	if again {
		return flate.NewReader(r)
	}
	return s.inflater.reset(r)
}

// zlibHeader reports whether p begins as RFC 1950 §2.2 says.
func zlibHeader(p []byte) bool {
	return len(p) >= 2 && p[0]&0x0F == 8 && (int(p[0])<<8|int(p[1]))%31 == 0
}

// objectStream looks through the objects in a stream (§7.5.7).
func (s *pdfScan) objectStream(at int, r io.Reader) {
	p, _ := io.ReadAll(io.LimitReader(r, int64(max(0, keepMembers-s.kept)/2))) // corrupt data ends early
	if !s.spend(s.level, len(p)) {
		return
	}
	inner := pdfScan{level: s.level, data: p, offset: at, inner: true, rendition: s.rendition, script: s.script}
	inner.run()
	s.rendition, s.script = inner.rendition, inner.script
}

// hexReader decodes hexadecimal digits up to '>'.
type hexReader struct {
	r    io.Reader
	buf  [512]byte
	high byte // first digit of a pair
	half bool
	done bool
}

func (h *hexReader) Read(p []byte) (out int, err error) {
	for out == 0 && err == nil && !h.done && len(p) > 0 { // who buffers gives up on readers that give nothing
		var n int
		n, err = h.r.Read(h.buf[:min(len(h.buf), len(p))])
		out = h.digits(p, h.buf[:n])
	}
	if h.done {
		err = io.EOF
	}
	return out, err
}

// digits decodes raw into p, up to '>'.
func (h *hexReader) digits(p, raw []byte) (out int) {
	for _, c := range raw {
		switch {
		case c == '>':
			h.done = true
			return out
		case !hexDigit(c):
		case h.half:
			p[out] = h.high<<4 | unhex(c)
			out++
			h.half = false
		default:
			h.high, h.half = unhex(c), true
		}
	}
	return out
}

// untilTilde ends before the mark that ends ASCII base-85 data.
type untilTilde struct {
	r    io.Reader
	done bool
}

func (u *untilTilde) Read(p []byte) (int, error) {
	if u.done {
		return 0, io.EOF
	}
	n, err := u.r.Read(p)
	if i := bytes.IndexByte(p[:n], '~'); i >= 0 {
		u.done = true
		n = i
	}
	return n, err
}

// predicted undoes PNG prediction with samples of one byte (PNG §9), in which object streams may
// be stored.
type predicted struct {
	r          io.Reader
	row, above []byte // each with the filter's number before it
	rest       []byte
}

func (d *predicted) Read(p []byte) (int, error) {
	if len(d.rest) == 0 {
		d.row, d.above = d.above, d.row
		n, err := io.ReadFull(d.r, d.row)
		if n < 2 {
			return 0, err
		}
		d.restore(n)
		d.rest = d.row[1:n]
	}
	n := copy(p, d.rest)
	d.rest = d.rest[n:]
	return n, nil
}

func (d *predicted) restore(n int) {
	for i := 1; i < n; i++ {
		var left, corner byte
		if i > 1 {
			left, corner = d.row[i-1], d.above[i-1]
		}
		switch up := d.above[i]; d.row[0] {
		case 1:
			d.row[i] += left
		case 2:
			d.row[i] += up
		case 3:
			d.row[i] += byte((int(left) + int(up)) / 2)
		case 4:
			d.row[i] += paeth(left, up, corner)
		}
	}
}

func paeth(a, b, c byte) byte {
	p := int(a) + int(b) - int(c)
	pa, pb, pc := distance(p, a), distance(p, b), distance(p, c)
	switch {
	case pa <= pb && pa <= pc:
		return a
	case pb <= pc:
		return b
	}
	return c
}

func distance(p int, v byte) int {
	if p < int(v) {
		return int(v) - p
	}
	return p - int(v)
}
