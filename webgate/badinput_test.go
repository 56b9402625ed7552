package webgate

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/web"
	"cordon/inspect/compose"
)

// raw sends bytes on a connection of its own, and reads one response. The answer is
// zero if the connection was closed without one.
func (h *house) raw(send func(w io.Writer)) answer {
	h.t.Helper()
	u, err := url.Parse(h.url)
	if err != nil {
		h.t.Fatal(err)
	}
	c, err := net.Dial("tcp", u.Host)
	if err != nil {
		h.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	done := make(chan struct{})
	go func() { // ends with the connection
		defer close(done)
		send(c)
	}()
	rsp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return answer{err: err}
	}
	b, err := io.ReadAll(rsp.Body)
	c.Close()
	<-done
	return answer{rsp.StatusCode, rsp.Header, b, err}
}

// post is a request with a body of its own making.
func (h *house) post(contentType, body string) answer {
	return h.do(http.MethodPost, "/studies", map[string]string{"Content-Type": contentType}, strings.NewReader(body))
}

// line is a raw request line with the headers that are needed.
func (h *house) line(requestLine string, headers ...string) answer {
	return h.raw(func(w io.Writer) {
		io.WriteString(w, requestLine+" HTTP/1.1\r\nHost: x\r\n"+strings.Join(append(headers, ""), "\r\n")+"\r\n")
	})
}

// Everything that no honest client sends: the right status, a body that says why, a
// record, nothing lost, and nothing of it at the archive.
func TestBadInput(t *testing.T) {
	const related = `multipart/related; type="application/dicom"`
	file := compose.CT(16, 16).File()
	part := "\r\nContent-Type: application/dicom\r\n\r\n" + string(file)
	whole := "--b" + part + "\r\n--b--\r\n"
	other := compose.CT(16, 16)
	for _, c := range []struct {
		name   string
		send   func(h *house) answer
		status int
		says   string
	}{
		{"no boundary", func(h *house) answer { return h.post(related, whole) }, 400, "boundary"},
		{"two boundaries", func(h *house) answer { return h.post(related+"; boundary=b; boundary=c", whole) }, 400, "twice"},
		{"an empty boundary", func(h *house) answer { return h.post(related+`; boundary=""`, whole) }, 400, ""},
		{"a boundary of 71 characters", func(h *house) answer {
			b := strings.Repeat("b", 71)
			return h.post(related+"; boundary="+b, strings.ReplaceAll(whole, "--b", "--"+b))
		}, 400, "boundary"},
		{"a boundary with a line break", func(h *house) answer { return h.post(related+`; boundary="b%0d%0a"`, whole) }, 400, "boundary"},
		{"a boundary that is never met", func(h *house) answer { return h.post(related+"; boundary=other", whole) }, 400, "part 0"},
		{"no last boundary", func(h *house) answer { return h.post(related+"; boundary=b", "--b"+part) }, 400, "last boundary"},
		{"another media type", func(h *house) answer { return h.post("application/x-www-form-urlencoded", "a=b") }, 415, "multipart/related"},
		{"no media type", func(h *house) answer { return h.post("", whole) }, 415, "Content-Type"},
		{"no part", func(h *house) answer { return h.post(related+"; boundary=b", "--b--\r\n") }, 400, ""},
		{"no body", func(h *house) answer { return h.post(related+"; boundary=b", "") }, 400, "no body"},
		{"100,000 parts", func(h *house) answer {
			r, w := io.Pipe()
			go func() { // ends with the request
				for range 100_000 {
					if _, err := io.WriteString(w, "--b\r\nContent-Type: application/x\r\n\r\nx\r\n"); err != nil {
						return
					}
				}
				io.WriteString(w, "--b--\r\n")
				w.Close()
			}()
			defer r.Close()
			return h.do(http.MethodPost, "/studies", map[string]string{"Content-Type": related + "; boundary=b"}, r)
		}, 413, "parts"},
		{"a part's header without end", func(h *house) answer {
			return h.post(related+"; boundary=b", "--b\r\nX: "+strings.Repeat("x", 1<<20)+part+"\r\n--b--\r\n")
		}, 400, "header"},
		{"a part that is compressed", func(h *house) answer {
			return h.post(related+"; boundary=b", "--b\r\nContent-Encoding: gzip"+part+"\r\n--b--\r\n")
		}, 415, "encoding"},
		{"a body that is compressed", func(h *house) answer {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			z.Write([]byte(whole))
			z.Close()
			return h.do(http.MethodPost, "/studies", map[string]string{"Content-Type": related + "; boundary=b", "Content-Encoding": "gzip"}, &b)
		}, 415, "compressed"},
		{"a chunked body that stalls", func(h *house) answer {
			return h.raw(func(w io.Writer) {
				io.WriteString(w, "POST /dicom-web/studies HTTP/1.1\r\nHost: x\r\nContent-Type: "+related+"; boundary=b\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n--b\r\n")
			})
		}, 408, "does not come"},
		{"a Content-Length that lies", func(h *house) answer {
			return h.raw(func(w io.Writer) {
				fmt.Fprintf(w, "POST /dicom-web/studies HTTP/1.1\r\nHost: x\r\nContent-Type: %s; boundary=b\r\nContent-Length: %d\r\n\r\n%s", related, 1<<40, whole[:100])
			})
		}, 413, "longer"},
		{"two Content-Lengths", func(h *house) answer {
			return h.line("POST /dicom-web/studies", "Content-Length: 5", "Content-Length: 6")
		}, 400, ""},
		{"header lines without end", func(h *house) answer {
			return h.raw(func(w io.Writer) {
				io.WriteString(w, "GET /dicom-web/studies HTTP/1.1\r\nHost: x\r\n")
				for range 100_000 {
					if _, err := io.WriteString(w, "X-Bomb: "+strings.Repeat("x", 100)+"\r\n"); err != nil {
						return
					}
				}
			})
		}, 431, ""},
		{"many header lines", func(h *house) answer {
			headers := []string{}
			for i := range 100 {
				headers = append(headers, fmt.Sprint("X-", i, ": x"))
			}
			return h.line("GET /dicom-web/studies", headers...)
		}, 431, "header lines"},
		{"an Accept without end", func(h *house) answer { return h.get("/studies", strings.Repeat("a/b,", 500)) }, 400, "media types"},
		{"a long URI", func(h *house) answer { return h.get("/studies?PatientID=" + strings.Repeat("1", 10_000)) }, 414, "URI"},
		{"path traversal", func(h *house) answer { return h.line("GET /dicom-web/studies/../../system") }, 400, ""},
		{"escaped path traversal", func(h *house) answer { return h.line("GET /dicom-web/studies/%2e%2e/%2e%2e/system") }, 400, "escapes"},
		{"an encoded slash", func(h *house) answer { return h.line("GET /dicom-web/studies%2f1.2.3") }, 400, "escapes"},
		{"an encoded slash inside", func(h *house) answer { return h.line("GET /dicom-web/studies/1.2%2f3") }, 400, "escapes"},
		{"a NUL", func(h *house) answer { return h.line("GET /dicom-web/studies/1.2%00") }, 400, "escapes"},
		{"a double slash", func(h *house) answer { return h.line("GET /dicom-web//studies") }, 400, ""},
		{"an absolute URI", func(h *house) answer { return h.line("GET http://10.0.0.1/dicom-web/studies") }, 400, "absolute"},
		{"CONNECT", func(h *house) answer { return h.line("CONNECT 10.0.0.1:443") }, 400, ""},
		{"a UID that is none", func(h *house) answer { return h.get("/studies/1..2") }, 400, ""},
		{"a UID of 65 characters", func(h *house) answer { return h.get("/studies/1." + strings.Repeat("2", 63)) }, 400, ""},
		{"the vendor's own REST", func(h *house) answer { return h.line("GET /instances") }, 404, ""},
		{"the vendor's own, below", func(h *house) answer { return h.get("/system") }, 404, ""},
		{"a method that there is not", func(h *house) answer { return h.do(http.MethodDelete, "/studies/1.2.3", nil, nil) }, 405, ""},
		{"HEAD", func(h *house) answer { return h.do(http.MethodHead, "/studies", nil, nil) }, 405, ""},
		{"TRACE", func(h *house) answer { return h.line("TRACE /dicom-web/studies") }, 405, ""},
		{"an upgrade", func(h *house) answer {
			return h.line("GET /dicom-web/studies", "Connection: Upgrade", "Upgrade: websocket")
		}, 501, ""},
		{"a body where there is none", func(h *house) answer {
			return h.do(http.MethodGet, "/studies", nil, strings.NewReader("x"))
		}, 400, "body"},
		{"an archive that there is not", func(h *house) answer { return h.get("/archives/other/studies") }, 404, "archive"},
		{"an attribute that there is not", func(h *house) answer { return h.get("/studies?NoSuchKeyword=1") }, 400, ""},
		{"a key twice", func(h *house) answer { return h.get("/studies?PatientID=1&PatientID=2") }, 400, ""},
		{"a limit that is none", func(h *house) answer { return h.get("/studies?limit=-1") }, 400, ""},
		{"wildcards without end", func(h *house) answer { return h.get("/studies?PatientName=" + strings.Repeat("*a", 20)) }, 400, "query"},
		{"a media type that there is not", func(h *house) answer { return h.get("/studies", "text/html") }, 406, ""},
		{"WADO-URI without UIDs", func(h *house) answer { return h.line("GET /wado?requestType=WADO&studyUID=1.2") }, 400, ""},
		{"WADO-URI that is to be anonymised", func(h *house) answer {
			return h.line("GET /wado?requestType=WADO&studyUID=1.2&seriesUID=1.3&objectUID=1.4&contentType=application/dicom&anonymize=yes")
		}, 501, ""},
		{"file meta information of another instance", func(h *house) answer {
			o := compose.CT(16, 16)
			return h.stow("/studies", withMeta(o, other.Instance))
		}, 409, "names another instance"},
		{"of another study than the path", func(h *house) answer { return h.stow("/studies/1.2.3", compose.CT(16, 16).File()) }, 409, "another study"},
		{"no DICOM at all", func(h *house) answer { return h.stow("/studies", []byte("hello")) }, 409, ""},
		{"a JPEG as an instance", func(h *house) answer { return h.stow("/studies", compose.JPEG(16, 16)) }, 409, ""},
		{"a data set without file meta information", func(h *house) answer { return h.stow("/studies", compose.CT(16, 16).DataSet()) }, 409, ""},
		{"half a file", func(h *house) answer { return h.stow("/studies", file[:len(file)/2]) }, 409, ""},
		{"metadata without its bulk data", func(h *house) answer {
			return h.post(`multipart/related; type="application/dicom+json"; boundary=b`, "--b\r\nContent-Type: application/dicom+json\r\n\r\n"+
				`[{"00080016":{"vr":"UI","Value":["1.2.840.10008.5.1.4.1.1.2"]},"00080018":{"vr":"UI","Value":["1.2.4"]},"0020000D":{"vr":"UI","Value":["1.2.3"]},"7FE00010":{"vr":"OW","BulkDataURI":"bulk1"}}]`+"\r\n--b--\r\n")
		}, 409, "Content-Location"},
		{"metadata that is no JSON", func(h *house) answer {
			return h.post(`multipart/related; type="application/dicom+json"; boundary=b`, "--b\r\nContent-Type: application/dicom+json\r\n\r\n[{\"0008\r\n--b--\r\n")
		}, 409, ""},
		{"XML with entities", func(h *house) answer {
			return h.post(`multipart/related; type="application/dicom+xml"; boundary=b`, "--b\r\nContent-Type: application/dicom+xml\r\n\r\n<!DOCTYPE x [<!ENTITY a \"b\">]><NativeDicomModel>&a;</NativeDicomModel>\r\n--b--\r\n")
		}, 409, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := start(t)
			a := c.send(h)
			if a.status != c.status {
				t.Fatalf("%d %v, want %d: %s", a.status, a.err, c.status, a.body)
			}
			if c.name != "HEAD" && len(a.body) == 0 || !strings.Contains(string(a.body)+a.header.Get("Warning"), c.says) {
				t.Errorf("it says %q %q, not %q", a.body, a.header.Get("Warning"), c.says)
			}
			if n := len(h.archive.requests()); n != 0 {
				t.Errorf("the archive was asked %d times", n)
			}
			ours := a.header.Get("X-Content-Type-Options") == "nosniff" // else net/http has answered: nothing of it reached us
			if n := len(h.recorded("web.refused")) + len(h.recorded("object.refused")) + len(h.recorded("object.held")) + len(h.recorded("query.refused")); ours && n == 0 {
				t.Error("nothing on the ledger")
			}
			if n := len(h.inState(custody.Spooled)); n != 0 {
				t.Errorf("%d objects wait for the archive", n)
			}
		})
	}
}

// withMeta is the object's file with meta information that names another instance.
func withMeta(o *compose.Object, instance dicom.UID) []byte {
	var b bytes.Buffer
	if err := dicom.WriteFileMeta(&b, dicom.FileMeta{SOPClassUID: o.SOPClass, SOPInstanceUID: instance, TransferSyntaxUID: o.TransferSyntax}); err != nil {
		panic(err)
	}
	return append(b.Bytes(), o.DataSet()...)
}

// What came whole before the body broke off is stored, and the answer says so, under
// a status that nobody takes for success.
func TestABodyThatBreaksOffNamesWhatWasStored(t *testing.T) {
	h := start(t)
	o := compose.CT(16, 16)
	a := h.post(`multipart/related; type="application/dicom"; boundary=b`, "--b\r\nContent-Type: application/dicom\r\n\r\n"+string(o.File())+"\r\n--b\r\nContent-Type: application/dicom\r\n\r\nhalf")
	rsp := a.store(t)
	if a.status != http.StatusBadRequest || len(rsp.Stored) != 1 || rsp.Stored[0].SOPInstanceUID != o.Instance || h.archive.has(o.Instance) == nil {
		t.Fatalf("%d: %s", a.status, a.body)
	}
	if len(h.recorded("web.refused")) != 1 || len(h.recorded("object.delivered")) != 1 {
		t.Error("not on the ledger")
	}
}

// A peer that drips does not keep a place for ever, and one that floods does not fill
// the ledger.
func TestRefusalsDoNotFloodTheLedger(t *testing.T) {
	h := start(t)
	for range 3 * maxRefusals {
		h.get("/nothing")
	}
	if n := len(h.recorded("web.refused")); n != maxRefusals {
		t.Errorf("%d records of %d refusals", n, 3*maxRefusals)
	}
}

// An archive that answers what it should not: the client is told, and gets nothing
// of it.
func TestHostileArchive(t *testing.T) {
	o := compose.CT(16, 16)
	path := "/studies/" + string(o.Study)
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter, *http.Request) bool
		path   string
		status int
	}{
		"no multipart":         {says(200, "text/html", "<script>alert(1)</script>"), path, 502},
		"garbage multipart":    {says(200, `multipart/related; boundary=b; type="application/dicom"`, "garbage"), path, 502},
		"no boundary":          {says(200, `multipart/related; type="application/dicom"`, "--b\r\n\r\n"), path, 502},
		"a redirect":           {elsewhere, path, 502},
		"a status of its own":  {says(299, "text/plain", "x"), path, 502},
		"an error page":        {says(500, "text/html", "<html>secret path /var/lib</html>"), path, 502},
		"another study":        {says2(compose.CT(16, 16).File()), path, 502},
		"JSON that is none":    {says(200, web.TypeJSON, "[{\"0008"), "/studies?PatientID=1", 502},
		"HTML for JSON":        {says(200, "text/html", "<html>"), "/studies?PatientID=1", 502},
		"metadata of another":  {says(200, web.TypeJSON, `[{"0020000D":{"vr":"UI","Value":["1.2.3"]},"00080018":{"vr":"UI","Value":["1.2.4"]}}]`), path + "/metadata", 502},
		"a program as picture": {says(200, "image/jpeg", string(compose.WindowsProgram())), path + "/thumbnail", 502},
		"HTML as picture":      {says(200, "text/html", "<script>"), path + "/thumbnail", 502},
		"away":                 {status(503), path, 503},
		"nothing":              {status(404), path, 404},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t)
			h.archive.answer = c.answer
			a := h.get(c.path)
			if a.status != c.status || len(a.body) == 0 {
				t.Fatalf("%d, want %d: %s", a.status, c.status, a.body)
			}
			for _, leak := range []string{"script", "secret", "garbage", "html", h.archive.URL} {
				if bytes.Contains(bytes.ToLower(a.body), []byte(leak)) {
					t.Errorf("the answer holds what the archive said: %s", a.body)
				}
			}
			if len(h.recorded("web.refused")) != 1 {
				t.Error("not on the ledger")
			}
		})
	}
}

func says2(file []byte) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		contentType, body := related("application/dicom", file)
		w.Header().Set("Content-Type", contentType)
		w.Write(body)
		return true
	}
}

// Nothing that a client says of itself reaches the archive, and nothing that the
// archive says of itself the client.
func TestHeadersStayOnTheirSide(t *testing.T) {
	h := start(t)
	o := compose.CT(16, 16)
	h.archive.put(o)
	h.archive.answer = func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Server", "Vendor/1.0")
		w.Header().Set("Set-Cookie", "session=1")
		w.Header().Set("X-Powered-By", "x")
		return false
	}
	a := h.do(http.MethodGet, "/studies/"+string(o.Study), map[string]string{
		"Authorization": "Bearer secret", "Cookie": "a=b", "X-Forwarded-For": "1.2.3.4", "X-Original-URL": "/system", "User-Agent": "Evil/1.0", "Referer": "http://x/?PatientName=Y",
	}, nil)
	if a.status != http.StatusOK {
		t.Fatalf("%d: %s", a.status, a.body)
	}
	for _, name := range []string{"Server", "Set-Cookie", "X-Powered-By"} {
		if a.header.Get(name) != "" {
			t.Errorf("the client sees %s", name)
		}
	}
	for _, r := range h.archive.requests() {
		for _, name := range []string{"Authorization", "Cookie", "X-Forwarded-For", "X-Original-Url", "Referer"} {
			if r.Header.Get(name) != "" {
				t.Errorf("the archive sees %s", name)
			}
		}
		if strings.Contains(r.UserAgent(), "Evil") {
			t.Error("the archive sees the client's User-Agent")
		}
	}
}

// A crash between a visit's beginning and its end is told at the next start.
func TestVisitsCutShortAreRecorded(t *testing.T) {
	h := start(t, func(c *Config, _ *Parts) { c.Quiet = time.Hour })
	if a := h.stow("/studies", compose.CT(16, 16).File()); a.status != http.StatusOK {
		t.Fatal(a.status)
	}
	began := h.recorded("visit.begin")
	if len(began) != 1 || began[0]["archive"] != "pacs" {
		t.Fatalf("%v", began)
	}
	parts, config := h.server.parts, h.server.config
	if _, err := New(context.Background(), config, parts); err != nil { // as the next start would
		t.Fatal(err)
	}
	cut := h.recorded("visit.unfinished")
	if len(cut) != 1 || cut[0]["visit"] != began[0]["visit"] {
		t.Errorf("%v", cut)
	}
}

// Without a record nothing is done.
func TestNoRequestWithoutItsRecord(t *testing.T) {
	h := start(t)
	h.closed = true
	h.db.Close()
	a := h.stow("/studies", compose.CT(16, 16).File())
	if a.status != http.StatusServiceUnavailable || len(h.archive.requests()) != 0 {
		t.Errorf("%d, and the archive was asked %d times", a.status, len(h.archive.requests()))
	}
}
