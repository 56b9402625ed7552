package interop

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"net/textproto"
	"strconv"
	"strings"
	"testing"

	"cordon/engine"
	"cordon/finding"
)

// icapServer is an anti-virus gateway as RFC 3507 describes one, with clamd behind it.
type icapServer struct {
	behind  *engine.Clamd
	preview int    // bytes; negative for none
	method  string // RESPMOD or REQMOD
	marks   bool   // names what it found in X-Infection-Found; else only replaces the content
}

// start serves on a port of its own until the test ends, and returns the service's URL.
func (s icapServer) start(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // ends when the client closes the connection, or the test process ends
				defer c.Close()
				in := bufio.NewReader(c)
				for s.serve(t, c, in) == nil {
				}
			}()
		}
	}()
	return "icap://" + l.Addr().String() + "/avscan"
}

// serve answers one request.
func (s icapServer) serve(t *testing.T, c net.Conn, in *bufio.Reader) error {
	tp := textproto.NewReader(in)
	line, err := tp.ReadLine()
	if err != nil {
		return err
	}
	header, err := tp.ReadMIMEHeader()
	if err != nil {
		return err
	}
	signatures := fmt.Sprintf("%.30s", strings.NewReplacer("/", "-", " ", "-").Replace(s.behind.Signatures(t.Context())))
	if strings.HasPrefix(line, "OPTIONS ") {
		fmt.Fprintf(c, "ICAP/1.0 200 OK\r\nMethods: %s\r\nISTag: %q\r\nAllow: 204\r\nMax-Connections: 4\r\nOptions-TTL: 60\r\nEncapsulated: null-body=0\r\n", s.method, signatures)
		if s.preview >= 0 {
			fmt.Fprintf(c, "Preview: %d\r\nTransfer-Preview: *\r\n", s.preview)
		}
		_, err := io.WriteString(c, "\r\n")
		return err
	}
	head, piece, err := s.receive(c, in, header)
	if err != nil {
		return err
	}
	switch got := s.behind.Scan(t.Context(), bytes.NewReader(piece), int64(len(piece))); got.Result {
	case finding.Clean:
		_, err = fmt.Fprintf(c, "ICAP/1.0 204 No Content\r\nISTag: %q\r\n\r\n", signatures)
	case finding.ResultMalicious:
		err = s.block(c, signatures, got.Detail)
	default:
		_, err = io.WriteString(c, "ICAP/1.0 500 Server error\r\n\r\n")
	}
	if !strings.HasPrefix(line, s.method+" icap://") || !strings.Contains(head, "HTTP/1.1") {
		t.Errorf("got %q that encapsulates %q", line, head)
	}
	return err
}

// receive reads what a request encapsulates, and asks for the rest behind a preview.
func (s icapServer) receive(c net.Conn, in *bufio.Reader, header textproto.MIMEHeader) (head string, piece []byte, err error) {
	sections := strings.Split(header.Get("Encapsulated"), "=")
	n, err := strconv.Atoi(sections[len(sections)-1])
	if err != nil {
		return "", nil, err
	}
	headers := make([]byte, n)
	if _, err := io.ReadFull(in, headers); err != nil {
		return "", nil, err
	}
	piece, ieof, err := body(in)
	if err != nil || header.Get("Preview") == "" || ieof {
		return string(headers), piece, err
	}
	if _, err := io.WriteString(c, "ICAP/1.0 100 Continue\r\n\r\n"); err != nil {
		return "", nil, err
	}
	rest, _, err := body(in)
	return string(headers), append(piece, rest...), err
}

// body reads chunks up to the last, which may say ieof.
func body(in *bufio.Reader) (all []byte, ieof bool, err error) {
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return nil, false, err
		}
		size, extension, _ := strings.Cut(strings.TrimSpace(line), ";")
		n, err := strconv.ParseUint(size, 16, 31)
		if err != nil {
			return nil, false, err
		}
		chunk := make([]byte, n+2)
		if _, err := io.ReadFull(in, chunk); err != nil {
			return nil, false, err
		}
		all = append(all, chunk[:n]...)
		if n == 0 {
			return all, strings.TrimSpace(extension) == "ieof", nil
		}
	}
}

// block answers with a page in place of what was sent.
func (s icapServer) block(c net.Conn, signatures, name string) error {
	const http = "HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\n\r\n"
	var page bytes.Buffer
	w := httputil.NewChunkedWriter(&page)
	io.WriteString(w, "<h1>Blocked</h1>")
	w.Close()
	found := ""
	if s.marks {
		found = "X-Infection-Found: Type=0; Resolution=2; Threat=" + name + ";\r\n"
	}
	_, err := fmt.Fprintf(c, "ICAP/1.0 200 OK\r\nISTag: %q\r\n%sEncapsulated: res-hdr=0, res-body=%d\r\n\r\n%s%s\r\n", signatures, found, len(http), http, page.String())
	return err
}

// clamd behind ICAP says what clamd says, with and without preview, by both methods.
func TestICAPWithClamdBehind(t *testing.T) {
	t.Parallel()
	c := startClamd(t, "MaxFileSize 4M", "AlertExceedsMax yes")
	behind := engine.NewClamd(engine.ClamdConfig{Address: c.unix})
	for _, preview := range []int{-1, 0, 1024, 1 << 20} {
		for _, method := range []string{"RESPMOD", "REQMOD"} {
			for _, marks := range []bool{true, false} {
				e := engine.NewICAP(engine.ICAPConfig{URL: icapServer{behind, preview, method, marks}.start(t)})
				mustScan(t, e)
				if got := scan(t, e, noise(5<<20)); got.Result != finding.Unscanned {
					t.Errorf("over clamd's limit: %+v", got)
				}
				if got := scan(t, e, polyglot()); marks && got.Detail != "YARA.polyglot.UNOFFICIAL" {
					t.Errorf("%+v", got)
				}
			}
		}
	}
	e := engine.NewICAP(engine.ICAPConfig{URL: icapServer{behind, 1024, "RESPMOD", true}.start(t)})
	c.kill()
	if got := scan(t, e, noise(10000)); got.Result != finding.Unscanned {
		t.Errorf("without clamd: %+v", got)
	}
}
