package web

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
)

// MultipartLimits bound a multipart body. A zero field means its default.
type MultipartLimits struct {
	Parts       int   // 10,000
	HeaderBytes int64 // of one part; 16 KiB
	Headers     int   // of one part; 32
	Around      int64 // before the first part and after the last, in bytes, beyond the 256 KiB that are read at a time; 64 KiB
}

func (l MultipartLimits) withDefaults() MultipartLimits {
	if l.Parts == 0 {
		l.Parts = 10_000
	}
	if l.HeaderBytes == 0 {
		l.HeaderBytes = 16 << 10
	}
	if l.Headers == 0 {
		l.Headers = 32
	}
	if l.Around == 0 {
		l.Around = 64 << 10
	}
	return l
}

// MultipartError says what is wrong with a multipart body.
type MultipartError struct {
	Part   int    // counted from 0; that of the part which was expected or being read
	Status int    // of HTTP, for whoever sent it: 400, 413 or 415
	Why    string // holds nothing of the body
	Err    error  // what ended the body, if that is what is wrong
}

func (e *MultipartError) Error() string {
	s := fmt.Sprintf("multipart body, part %d: %s", e.Part, e.Why)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *MultipartError) Unwrap() error { return e.Err }

// MultipartReader reads a body of multipart/related (RFC 2387, PS3.18 §8.6.1.2) as
// a stream. It is the standard library's reader of boundaries within limits on
// what that would read by itself, behind a buffer large enough for its speed.
type MultipartReader struct {
	media   MediaType
	limits  MultipartLimits
	source  *meter
	parts   *multipart.Reader
	current *Part
	count   int
	err     error
}

// bodyBuffer is how much of a body is read at once.
const bodyBuffer = 256 << 10

// NewMultipartReader reads a body whose Content-Type header is contentType. The
// error is a *[Refusal]: 415 for any type but multipart/related, 400 for a boundary
// that is missing, comes twice or is not in the form of RFC 2046 §5.1.1.
func NewMultipartReader(body io.Reader, contentType string, l MultipartLimits) (*MultipartReader, error) {
	m, err := ParseMediaType(contentType)
	if err != nil {
		return nil, err
	}
	if m.Type != TypeRelated {
		return nil, refuse(http.StatusUnsupportedMediaType, "Content-Type is not multipart/related (PS3.18 §8.7.2)")
	}
	boundary := m.Params["boundary"]
	if !isBoundary(boundary) {
		return nil, bad("Content-Type: the boundary is not 1 to 70 characters of those allowed, the last not a space (RFC 2046 §5.1.1)")
	}
	r := &MultipartReader{media: m, limits: l.withDefaults(), source: &meter{r: body, left: -1}}
	r.parts = multipart.NewReader(bufio.NewReaderSize(r.source, bodyBuffer), boundary)
	return r, nil
}

func isBoundary(s string) bool {
	if s == "" || len(s) > 70 || s[len(s)-1] == ' ' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("'()+_,-./:=? ", c) >= 0) {
			return false
		}
	}
	return true
}

// Type is the media type of the body, with the type of its parts.
func (r *MultipartReader) Type() MediaType { return r.media }

// Part is one part of a body. Read yields its body, then io.EOF; an error of it,
// a *[MultipartError], ends the whole body.
type Part struct {
	Index    int                  // from 0
	Header   textproto.MIMEHeader // as it came, within the limits
	Type     MediaType            // by its Content-Type; without one, the type that the whole body names
	Location string               // Content-Location
	ID       string               // Content-ID

	reader *MultipartReader // nil: the part is a body by itself
	body   io.Reader
	done   bool
}

// Next is the next part; what was not read of the one before is skipped. After the
// last the error is io.EOF, and the body has been read to its end. Any other error
// is a *[MultipartError] and stays.
func (r *MultipartReader) Next() (*Part, error) {
	if r.err != nil {
		return nil, r.err
	}
	p, err := r.next()
	if err != nil {
		r.err = err
		return nil, err
	}
	r.current = p
	r.count++
	return p, nil
}

func (r *MultipartReader) next() (*Part, error) {
	allowance := r.limits.HeaderBytes
	if r.current == nil {
		allowance += r.limits.Around
	} else if _, err := io.Copy(io.Discard, r.current); err != nil {
		return nil, err
	}
	r.source.left = allowance + bodyBuffer
	body, err := r.parts.NextRawPart()
	switch {
	case err == io.EOF:
		return nil, r.end()
	case err != nil:
		return nil, r.broken(err)
	case r.count == r.limits.Parts:
		return nil, r.fail(http.StatusRequestEntityTooLarge, "more than %d parts: send several requests", r.limits.Parts)
	}
	r.source.left = -1
	return r.part(body)
}

// part checks the header of a part.
func (r *MultipartReader) part(body *multipart.Part) (*Part, error) {
	p := &Part{Index: r.count, Header: body.Header, reader: r, body: body}
	n := 0
	for _, values := range p.Header {
		n += len(values)
	}
	if n > r.limits.Headers || headerSize(p.Header) > r.limits.HeaderBytes {
		return nil, r.fail(http.StatusBadRequest, "a header of more than %d lines or %d bytes", r.limits.Headers, r.limits.HeaderBytes)
	}
	for _, once := range []string{"Content-Type", "Content-Location", "Content-Id", "Content-Transfer-Encoding", "Content-Encoding"} {
		if len(p.Header[once]) > 1 {
			return nil, r.fail(http.StatusBadRequest, "%s comes twice", once)
		}
	}
	if !isPlain(p.Header) {
		return nil, r.fail(http.StatusUnsupportedMediaType, "an encoding other than binary: send the bytes as they are")
	}
	p.Type = Single(r.media.Part())
	if s := p.Header.Get("Content-Type"); s != "" {
		m, err := ParseMediaType(s)
		if err != nil {
			return nil, r.fail(http.StatusBadRequest, "%s", err)
		}
		p.Type = m
	}
	p.Location, p.ID = p.Header.Get("Content-Location"), p.Header.Get("Content-Id")
	return p, nil
}

func headerSize(h textproto.MIMEHeader) int64 {
	n := 0
	for name, values := range h {
		for _, v := range values {
			n += len(name) + len(v)
		}
	}
	return int64(n)
}

// isPlain tells whether the body of a part is what was meant, byte for byte.
func isPlain(h textproto.MIMEHeader) bool {
	switch strings.ToLower(h.Get("Content-Transfer-Encoding")) {
	case "", "binary", "8bit", "7bit":
	default:
		return false
	}
	encoding := strings.ToLower(h.Get("Content-Encoding"))
	return encoding == "" || encoding == "identity"
}

// end reads what follows the last boundary. Nothing is to hide there.
func (r *MultipartReader) end() error {
	r.source.left = -1
	n, err := io.Copy(io.Discard, io.LimitReader(r.source, r.limits.Around+1))
	switch {
	case err != nil:
		return r.broken(err)
	case n > r.limits.Around:
		return r.fail(http.StatusBadRequest, "more than %d bytes after the last boundary", r.limits.Around)
	}
	return io.EOF
}

func (r *MultipartReader) fail(status int, format string, args ...any) error {
	return &MultipartError{Part: r.count, Status: status, Why: fmt.Sprintf(format, args...)}
}

// broken tells what ended the body apart from what is wrong with it. The library's own
// messages quote the body and are dropped.
func (r *MultipartReader) broken(err error) error {
	switch {
	case errors.Is(err, errAllowance):
		return r.fail(http.StatusBadRequest, "a header of more than %d bytes, or no boundary where one has to be", r.limits.HeaderBytes)
	case r.source.err != nil && !errors.Is(r.source.err, io.EOF):
		return &MultipartError{Part: r.count, Status: http.StatusBadRequest, Why: "the body broke off", Err: r.source.err}
	case r.source.err != nil:
		return &MultipartError{Part: r.count, Status: http.StatusBadRequest, Why: "the body ends without its last boundary", Err: io.ErrUnexpectedEOF}
	}
	return r.fail(http.StatusBadRequest, "neither a boundary nor a header where one has to be (RFC 2046 §5.1)")
}

// Read fills p as far as the part goes, so that whoever copies it does so in
// pieces as large as they like.
func (p *Part) Read(b []byte) (int, error) {
	n := 0
	for n < len(b) && !p.done {
		m, err := p.body.Read(b[n:])
		n += m
		switch {
		case err == io.EOF:
			p.done = true
		case err != nil && p.reader == nil:
			return n, err
		case err != nil:
			p.reader.count = p.Index
			p.reader.err = p.reader.broken(err)
			return n, p.reader.err
		}
	}
	if n == 0 && len(b) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// meter reads r, at most left bytes unless that is negative.
type meter struct {
	r    io.Reader
	left int64
	err  error
}

var errAllowance = errors.New("more bytes than a header may have")

func (m *meter) Read(p []byte) (int, error) {
	if m.err != nil {
		return 0, m.err
	}
	if m.left == 0 {
		return 0, errAllowance
	}
	if m.left > 0 && int64(len(p)) > m.left {
		p = p[:m.left]
	}
	n, err := m.r.Read(p)
	if m.left > 0 {
		m.left -= int64(n)
	}
	m.err = err
	return n, err
}

// MultipartWriter writes a body of multipart/related as a stream. Its boundary has
// 240 random bits, so that no data contains it.
type MultipartWriter struct {
	w     *multipart.Writer
	media MediaType
}

// NewMultipartWriter writes to w parts of the type that media, of [Related], names.
func NewMultipartWriter(w io.Writer, media MediaType) *MultipartWriter {
	x := &MultipartWriter{w: multipart.NewWriter(w), media: Related(media.Part(), "")}
	x.media.Params["boundary"] = x.w.Boundary()
	return x
}

// ContentType is the value of the header of that name.
func (w *MultipartWriter) ContentType() string { return w.media.String() }

// Part begins a part, whose body goes to the writer that is returned until the next
// begins. location is the Content-Location, or empty.
func (w *MultipartWriter) Part(media MediaType, location string) (io.Writer, error) {
	h := textproto.MIMEHeader{"Content-Type": {media.String()}}
	if location != "" {
		if strings.ContainsAny(location, "\r\n\x00") {
			return nil, errors.New("writing a multipart body: a line break in Content-Location")
		}
		h["Content-Location"] = []string{location}
	}
	return w.w.CreatePart(h)
}

// Close writes the last boundary. It does not close what is written to.
func (w *MultipartWriter) Close() error { return w.w.Close() }
