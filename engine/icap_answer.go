package engine

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"net/textproto"
	"os"
	"slices"
	"strconv"
	"strings"
)

const (
	longestHeader   = 64 << 10 // bytes of an ICAP header, and of the HTTP headers in an answer
	longestPage     = 64 << 10 // bytes by which a modified body may be longer than the longest piece
	defaultMaxConns = 1 << 20  // of a server that sends no Max-Connections
)

// answer is one message from an ICAP server. What it encapsulates was read and is known by its digest.
type answer struct {
	status     int
	header     textproto.MIMEHeader
	httpStatus int               // of an encapsulated HTTP response; 0 if there is none
	hasBody    bool              // an HTTP body is encapsulated
	digest     [sha256.Size]byte // of that body
	bytes      int64             // of that body
	err        error             // why the answer could not be read to its end
}

// reusable reports whether the connection may carry another request.
func (a answer) reusable() bool {
	return a.err == nil && a.status != 100 && !strings.EqualFold(a.header.Get("Connection"), "close")
}

// readAnswer reads one message, with a body of at most bodyLimit bytes and a page more. Errors name no content.
func (c *icapConn) readAnswer(bodyLimit int64) answer {
	var a answer
	c.limit.N = longestHeader
	a.err = a.readHeader(c.in)
	if a.err != nil {
		if c.limit.N == 0 {
			a.err = fmt.Errorf("a header of more than %d bytes", longestHeader)
		}
		return a
	}
	if a.status == 100 || a.status == 204 {
		return a
	}
	a.err = a.readEncapsulated(c, bodyLimit)
	return a
}

// readHeader reads the status line and the header fields (RFC 3507 §4.3).
func (a *answer) readHeader(in *bufio.Reader) error {
	tp := textproto.NewReader(in)
	line, err := tp.ReadLine()
	if err != nil {
		return transport(err, errClosed)
	}
	fields := strings.Fields(line)
	if len(fields) < 2 || fields[0] != "ICAP/1.0" || len(fields[1]) != 3 {
		return errors.New("the answer is not ICAP/1.0")
	}
	if a.status, err = strconv.Atoi(fields[1]); err != nil || a.status < 100 {
		return errors.New("the answer has no status")
	}
	if a.header, err = tp.ReadMIMEHeader(); err != nil {
		return transport(err, errors.New("the header is malformed or incomplete"))
	}
	return nil
}

// transport passes on errors of the connection and replaces those that quote what was received, or an end.
func transport(err, otherwise error) error {
	var n net.Error
	if errors.As(err, &n) && n.Timeout() || errors.Is(err, os.ErrDeadlineExceeded) {
		return os.ErrDeadlineExceeded
	}
	return otherwise
}

// readEncapsulated reads the HTTP headers and the body, which are where the header field Encapsulated says
// (RFC 3507 §4.4.1). An answer without that field has neither.
func (a *answer) readEncapsulated(c *icapConn, bodyLimit int64) error {
	value := a.header.Get("Encapsulated")
	if value == "" {
		return nil
	}
	sections, err := parseEncapsulated(value)
	if err != nil {
		return err
	}
	last := sections[len(sections)-1]
	c.limit.N = int64(last.offset)
	headers := make([]byte, last.offset)
	if _, err := io.ReadFull(c.in, headers); err != nil {
		return transport(err, errors.New("the encapsulated headers are incomplete"))
	}
	if a.httpStatus, err = httpStatus(sections, headers); err != nil || last.name == "null-body" {
		return err
	}
	a.hasBody = true
	// A chunk costs a few bytes more than it carries; the reader of chunks refuses those that cost too much.
	c.limit.N = 2*bodyLimit + longestPage + longestHeader
	return a.readBody(c.in, bodyLimit+longestPage)
}

// readBody reads a chunked body of at most limit bytes, and the trailer.
func (a *answer) readBody(in *bufio.Reader, limit int64) error {
	digest := sha256.New()
	n, err := io.Copy(digest, io.LimitReader(httputil.NewChunkedReader(in), limit+1))
	a.bytes = n
	digest.Sum(a.digest[:0])
	if err != nil {
		return transport(err, errors.New("the encapsulated body is malformed or incomplete"))
	}
	if n > limit {
		return fmt.Errorf("an encapsulated body of more than %d bytes", limit)
	}
	if _, err := textproto.NewReader(in).ReadMIMEHeader(); err != nil {
		return transport(err, errors.New("the encapsulated body does not end"))
	}
	return nil
}

// section is one part of what a message encapsulates, and where it begins.
type section struct {
	name   string
	offset int // bytes from the first
}

// parseEncapsulated reads "req-hdr=0, res-hdr=45, res-body=100": offsets rise from 0, and the last section, and only
// that, is a body or says that there is none.
func parseEncapsulated(value string) ([]section, error) {
	var all []section
	for _, item := range strings.Split(value, ",") {
		name, number, _ := strings.Cut(strings.TrimSpace(item), "=")
		offset, err := strconv.ParseUint(number, 10, 31)
		s := section{strings.ToLower(name), int(offset)}
		known := slices.Contains([]string{"req-hdr", "res-hdr", "req-body", "res-body", "opt-body", "null-body"}, s.name)
		first := len(all) == 0
		switch {
		case err != nil, !known, first && s.offset != 0, s.offset > longestHeader,
			!first && (s.offset <= all[len(all)-1].offset || strings.HasSuffix(all[len(all)-1].name, "-body")):
			return nil, errors.New("the header field Encapsulated is malformed")
		}
		all = append(all, s)
	}
	if !strings.HasSuffix(all[len(all)-1].name, "-body") {
		return nil, errors.New("the header field Encapsulated names no body")
	}
	return all, nil
}

// httpStatus returns the status of the encapsulated HTTP response, 0 if there is none. headers is what precedes the
// last section.
func httpStatus(sections []section, headers []byte) (int, error) {
	for i, s := range sections[:len(sections)-1] {
		block := headers[s.offset:sections[i+1].offset]
		if !bytes.HasSuffix(block, []byte("\r\n\r\n")) {
			return 0, errors.New("an encapsulated header does not end where the next section begins")
		}
		if s.name != "res-hdr" {
			continue
		}
		line, _, _ := strings.Cut(string(block), "\r\n")
		fields := strings.Fields(line)
		if len(fields) < 2 || !strings.HasPrefix(fields[0], "HTTP/") {
			return 0, errors.New("the encapsulated header is not HTTP's")
		}
		status, err := strconv.ParseUint(fields[1], 10, 10)
		if err != nil || status < 100 {
			return 0, errors.New("the encapsulated header has no status")
		}
		return int(status), nil
	}
	return 0, nil
}

// options are what a service offers (RFC 3507 §4.10).
type options struct {
	method      string // RESPMOD, or REQMOD
	tag         string // ISTag: changes with the signatures
	preview     int    // bytes; negative if the service wants none
	connections int    // at a time
}

// parseOptions reads the answer to OPTIONS. A preview larger than what is kept to be sent again is cut to that, which
// the server must bear (RFC 3507 §4.5).
func parseOptions(a answer) (options, error) {
	o := options{tag: tag(a.header), preview: -1, connections: defaultMaxConns}
	if a.status != 200 {
		return o, fmt.Errorf("the ICAP server answered OPTIONS with %d", a.status)
	}
	offered := strings.FieldsFunc(strings.Join(a.header.Values("Methods"), ","), func(r rune) bool { return r == ',' || r == ' ' })
	for _, method := range []string{"RESPMOD", "REQMOD"} {
		if slices.Contains(offered, method) && o.method == "" {
			o.method = method
		}
	}
	if o.method == "" {
		return o, errors.New("the ICAP service offers neither RESPMOD nor REQMOD")
	}
	if n, err := strconv.ParseUint(a.header.Get("Preview"), 10, 31); err == nil {
		o.preview = min(int(n), headBytes)
	}
	if n, err := strconv.ParseUint(a.header.Get("Max-Connections"), 10, 20); err == nil && n > 0 {
		o.connections = int(n)
	}
	return o, nil
}

// tag returns the ISTag without its quotes; "" if there is none that can be shown (RFC 3507 §4.7: at most 32 bytes).
func tag(h textproto.MIMEHeader) string {
	value := strings.Trim(h.Get("Istag"), `"`)
	if value == "" || len(value) > 32 || printable(value) != value {
		return ""
	}
	return value
}
