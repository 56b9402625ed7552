package engine

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"cordon/finding"
)

const (
	noContent = "ICAP/1.0 204 No Content\r\nISTag: \"v1\"\r\n\r\n"
	goOn      = "ICAP/1.0 100 Continue\r\n\r\n"
)

var previewing = strings.Replace(offer, "Allow", "Preview: 8\r\nAllow", 1)

// respond returns an answer that encapsulates an HTTP response.
func respond(fields, http, body string) string {
	http += "\r\n\r\n"
	return fmt.Sprintf("ICAP/1.0 200 OK\r\nISTag: \"v1\"\r\n%sEncapsulated: res-hdr=0, res-body=%d\r\n\r\n%s%s", fields, len(http), http, chunked(body))
}

func TestICAPAnswers(t *testing.T) {
	const ok, blocked = "HTTP/1.1 200 OK\r\nX: y", "HTTP/1.1 403 Forbidden"
	for _, test := range []struct {
		reply  string
		want   finding.Result
		detail string
	}{
		{noContent, finding.Clean, ""},
		{"ICAP/1.0 204\r\nX-Virus-ID:\r\nX-Violations-Found: 0\r\n\r\n", finding.Clean, ""},
		{respond("", ok, "a piece"), finding.Clean, ""},
		{respond("X-Infection-Found: Type=0; Resolution=2; Threat=Eicar-Test;\r\n", blocked, "page"), finding.ResultMalicious, "Eicar-Test"},
		{respond("X-Virus-ID: Eicar Test\r\n", ok, "a piece"), finding.ResultMalicious, "Eicar Test"},
		{respond("X-Violations-Found: 1\r\n\tDOE^JANE.dcm\r\n\tEicar\r\n\t0\r\n\t2\r\n", blocked, "page"), finding.ResultMalicious, noName},
		{"ICAP/1.0 204 No Content\r\nX-Virus-ID: Eicar\r\n\r\n", finding.ResultMalicious, "Eicar"},
		{"ICAP/1.0 500 Oops\r\nX-Virus-ID: Eicar\r\n\r\n", finding.ResultMalicious, "Eicar"},
		{"ICAP/1.0 200 OK\r\nX-Virus-ID: Eicar\r\nEncapsulated: junk\r\n\r\n", finding.ResultMalicious, "Eicar"},
		{"ICAP/1.0 200 OK\r\nX-Infection-Found: \x01\x02\r\n\r\n", finding.Unscanned, "malformed"},
		{"ICAP/1.0 200 OK\r\nX-Infection-Found: nothing of the kind\r\n\r\n", finding.ResultMalicious, noName},
		{"ICAP/1.0 204 OK\r\nX-Infection-Found: Type=2; Resolution=0; Threat=Encrypted;\r\n\r\n", finding.Unscanned, "container"},
		{"ICAP/1.0 204 OK\r\nX-Virus-ID: Heuristics.Limits.Exceeded.MaxFileSize\r\n\r\n", finding.Unscanned, "limit of its own"},
		{respond("", blocked, "page"), finding.ResultMalicious, "replaced"},
		{respond("", ok, "another"), finding.ResultMalicious, "replaced"},
		{respond("", ok, "a piece and more"), finding.ResultMalicious, "replaced"},
		{respond("", ok, ""), finding.ResultMalicious, "replaced"},
		{respond("", blocked, "a piece"), finding.ResultMalicious, "replaced"},
		{"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, null-body=26\r\n\r\nHTTP/1.1 403 Forbidden\r\n\r\n", finding.ResultMalicious, "replaced"},
		{respond("", "HTTP/1.1 503 Overloaded", "page"), finding.Unscanned, "503"},
		{"ICAP/1.0 200 OK\r\n\r\n", finding.Unscanned, "without content"},
		{"ICAP/1.0 206 Partial\r\n\r\n", finding.Unscanned, "206"},
		{"ICAP/1.0 404 Not Found\r\n\r\n", finding.Unscanned, "404"},
		{"ICAP/1.0 503 Overloaded\r\n\r\n", finding.Unscanned, "503"},
		{goOn + noContent, finding.Unscanned, "asked for more"},
		{"HTTP/1.1 204 No Content\r\n\r\n", finding.Unscanned, "not ICAP"},
		{"ICAP/1.0 OK\r\n\r\n", finding.Unscanned, "not ICAP"},
		{"ICAP/1.0 -04 OK\r\n\r\n", finding.Unscanned, "no status"},
		{"ICAP/1.0 204 No Content\r\nISTag: v1\r\n", finding.Unscanned, "incomplete"},
		{"ICAP/1.0 204 No Content\r\nno field\r\n\r\n", finding.Unscanned, "malformed"},
		{"ICAP/1.0 204 No Content\r\nX: " + strings.Repeat("y", 1<<20) + "\r\n\r\n", finding.Unscanned, "header of more than"},
		{"ICAP/1.0 204 " + strings.Repeat("y", 1<<20), finding.Unscanned, "header of more than"},
		{"ICAP/1.0 204 No Content\r\n" + strings.Repeat("X: y\r\n", 1<<17) + "\r\n", finding.Unscanned, "header of more than"},
		{"", finding.Unscanned, "closed"},
		{"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=99999999\r\n\r\n", finding.Unscanned, "Encapsulated"},
		{"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=4294967296\r\n\r\n", finding.Unscanned, "Encapsulated"},
		{"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=9, res-body=20\r\n\r\n", finding.Unscanned, "Encapsulated"},
		{"ICAP/1.0 200 OK\r\nEncapsulated: res-body=0, res-hdr=20\r\n\r\n", finding.Unscanned, "Encapsulated"},
		{"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=20\r\n\r\nHTTP/1.1 200 OK", finding.Unscanned, "incomplete"},
		{"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=10\r\n\r\nHTTP/1.1 200 OK\r\n\r\n0\r\n\r\n", finding.Unscanned, "next section"},
		{"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=8\r\n\r\njunk\r\n\r\n0\r\n\r\n", finding.Unscanned, "not HTTP"},
		{"ICAP/1.0 200 OK\r\nEncapsulated: res-body=0\r\n\r\nfffffffffffffffff\r\n", finding.Unscanned, "body"},
		{"ICAP/1.0 200 OK\r\nEncapsulated: res-body=0\r\n\r\n7\r\na piece\r\n", finding.Unscanned, "body"},
		{"ICAP/1.0 200 OK\r\nEncapsulated: res-body=0\r\n\r\n7\r\na piece\r\n0\r\n", finding.Unscanned, "does not end"},
		{respond("", ok, strings.Repeat("z", 2<<20)), finding.Unscanned, "encapsulated body of more"},
	} {
		i := fakeICAP(t, offer, func(c net.Conn, _ *bufio.Reader, _ icapRequest) bool {
			io.WriteString(c, test.reply)
			return false
		})
		got := scan(t, i, "a piece")
		if got.Result != test.want || !strings.Contains(got.Detail, test.detail) || strings.Contains(got.Detail, "DOE") {
			t.Errorf("%.90q:", test.reply)
		}
		mustBe(t, got, test.want, test.detail)
		if got.Name != "icap" || got.Signatures != "v1" {
			t.Errorf("%.40q: named %q, signatures %q", test.reply, got.Name, got.Signatures)
		}
	}
}

func TestICAPRequest(t *testing.T) {
	requests := make(chan icapRequest, 1)
	script := func(c net.Conn, in *bufio.Reader, r icapRequest) bool {
		if r.header.Get("Preview") != "" && !r.ieof {
			io.WriteString(c, goOn)
			rest, _, _ := readChunks(in)
			r.body += rest
		}
		requests <- r
		io.WriteString(c, noContent)
		return true
	}
	for _, offer := range []string{offer, previewing, strings.Replace(previewing, ": 8", ": 0", 1), strings.Replace(previewing, ": 8", ": 2000000000", 1),
		strings.Replace(offer, "RESPMOD", "REQMOD", 1), strings.Replace(offer, "RESPMOD", "OPTIONS, REQMOD, RESPMOD", 1)} {
		i := fakeICAP(t, offer, script)
		var got icapRequest
		for _, size := range []int{0, 1, 7, 8, 9, 1000, 64<<10 - 1, 64 << 10, 64<<10 + 1, 1 << 20} {
			want := strings.Repeat("0123456789abcdef", size/16+1)[:size]
			mustBe(t, scan(t, i, want), finding.Clean, "")
			if got = <-requests; got.body != want {
				t.Fatalf("%d bytes: the server got %d others", size, len(got.body))
			}
			mustBe(t, i.Scan(t.Context(), iotest.HalfReader(strings.NewReader(want)), -1), finding.Clean, "")
			if got = <-requests; got.body != want {
				t.Fatalf("%d bytes of unknown size: the server got %d others", size, len(got.body))
			}
		}
		request := strings.Contains(offer, "Methods: REQMOD")
		if request && !strings.HasPrefix(got.http, "PUT http") || !request && !strings.HasPrefix(got.http, "GET http") || got.header.Get("Allow") != "204" {
			t.Errorf("%q, %v, encapsulated %q", got.line, got.header, got.http)
		}
	}
}

// A server that decides at the preview has not seen the piece: its 204 says nothing about the rest, its hit says enough.
func TestVerdictAtPreviewIsUnscannedUnlessHit(t *testing.T) {
	for reply, want := range map[string]finding.Result{
		noContent: finding.Unscanned,
		respond("", "HTTP/1.1 200 OK", "12345678"):                   finding.ResultMalicious,
		respond("X-Virus-ID: E\r\n", "HTTP/1.1 403 Forbidden", "no"): finding.ResultMalicious,
		"ICAP/1.0 500 Oops\r\n\r\n":                                  finding.Unscanned,
	} {
		i := fakeICAP(t, previewing, func(c net.Conn, _ *bufio.Reader, _ icapRequest) bool {
			io.WriteString(c, reply)
			return true
		})
		if got := scan(t, i, "12345678 and more"); got.Result != want {
			t.Errorf("%.40q: %+v", reply, got)
		}
	}
}

// Servers that lie about the preview.
func TestICAPPreviewLies(t *testing.T) {
	for name, script := range map[string]func(c net.Conn, in *bufio.Reader, r icapRequest) bool{
		"asks for more than there is": func(c net.Conn, in *bufio.Reader, r icapRequest) bool {
			io.WriteString(c, goOn)
			readChunks(in)
			return false
		},
		"asks for more twice": func(c net.Conn, in *bufio.Reader, r icapRequest) bool {
			io.WriteString(c, goOn+goOn)
			readChunks(in)
			return false
		},
		"asks for more and closes": func(c net.Conn, in *bufio.Reader, r icapRequest) bool {
			io.WriteString(c, goOn)
			return false
		},
		"asks for more and is content": func(c net.Conn, in *bufio.Reader, r icapRequest) bool {
			io.WriteString(c, goOn+noContent)
			time.Sleep(50 * time.Millisecond)
			return false
		},
	} {
		i := fakeICAP(t, previewing, script)
		for _, size := range []int{8, 1 << 20} {
			if got := scan(t, i, strings.Repeat("x", size)); got.Result == finding.ResultMalicious || got.Result == finding.Clean && size == 8 {
				t.Errorf("%s, %d bytes: %+v", name, size, got)
			}
		}
	}
}

// A server that answers 204 while the piece is still coming has not seen it.
func TestICAPEarlyAnswerIsUnscanned(t *testing.T) {
	address := peer(t, func(n int, c net.Conn) {
		in := bufio.NewReader(c)
		if line, _ := in.ReadString('\n'); strings.HasPrefix(line, "OPTIONS") {
			io.WriteString(c, offer+"\r\n")
			return
		}
		io.WriteString(c, noContent)
		io.Copy(io.Discard, in)
	})
	i := NewICAP(ICAPConfig{URL: "icap://" + address, MaxBody: 100 << 20})
	mustBe(t, scan(t, i, strings.Repeat("x", 64<<20)), finding.Unscanned, "before it had the whole piece")
}

// A server may answer while it receives, and wait until that is read: no deadlock.
func TestICAPEchoWhileSending(t *testing.T) {
	address := peer(t, func(n int, c net.Conn) {
		in := bufio.NewReader(c)
		line, _ := in.ReadString('\n')
		for field := line; field != "\r\n"; {
			field, _ = in.ReadString('\n')
		}
		if strings.HasPrefix(line, "OPTIONS") {
			io.WriteString(c, offer+"\r\n")
			return
		}
		for range 6 { // the encapsulated headers: two request lines, blank, two response lines, blank
			in.ReadString('\n')
		}
		io.WriteString(c, "ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=19\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")
		io.Copy(c, in)
	})
	i := NewICAP(ICAPConfig{URL: "icap://" + address, MaxBody: 100 << 20})
	mustBe(t, scan(t, i, strings.Repeat("x", 64<<20)), finding.Clean, "")
}

func TestICAPThatHangsIsUnscannedInTime(t *testing.T) {
	for name, script := range map[string]func(c net.Conn, in *bufio.Reader, r icapRequest) bool{
		"silent": func(c net.Conn, in *bufio.Reader, r icapRequest) bool { io.Copy(io.Discard, in); return false },
		"header for ever": func(c net.Conn, in *bufio.Reader, r icapRequest) bool {
			io.WriteString(c, "ICAP/1.0 204 No Content\r\n")
			for {
				if _, err := io.WriteString(c, "X"); err != nil {
					return false
				}
				time.Sleep(5 * time.Millisecond)
			}
		},
		"body for ever": func(c net.Conn, in *bufio.Reader, r icapRequest) bool {
			io.WriteString(c, "ICAP/1.0 200 OK\r\nEncapsulated: res-body=0\r\n\r\n")
			for {
				if _, err := io.WriteString(c, "10\r\n0123456789abcdef\r\n"); err != nil {
					return false
				}
				time.Sleep(5 * time.Millisecond)
			}
		},
	} {
		for _, offer := range []string{offer, previewing} {
			i := fakeICAP(t, offer, script)
			i.settings.timeout = 200 * time.Millisecond
			within(t, time.Second, func() {
				if got := scan(t, i, strings.Repeat("x", 1<<20)); got.Result != finding.Unscanned {
					t.Errorf("%s: %+v", name, got)
				}
			})
		}
	}
}

func TestICAPOptions(t *testing.T) {
	never := func(c net.Conn, _ *bufio.Reader, r icapRequest) bool {
		t.Errorf("sent %q", r.line)
		return false
	}
	for answer, detail := range map[string]string{
		"ICAP/1.0 404 Not Found\r\n":                                              "404",
		"ICAP/1.0 200 OK\r\nMethods: OPTIONS\r\n":                                 "neither",
		"ICAP/1.0 200 OK\r\n":                                                     "neither",
		"ICAP/1.0 200 OK\r\nMethods: XRESPMODX\r\n":                               "neither",
		"HTTP/1.1 200 OK\r\n":                                                     "not ICAP",
		"ICAP/1.0 200 OK\r\nMethods: RESPMOD\r\nX: " + strings.Repeat("y", 1<<20): "header of more than",
	} {
		i := fakeICAP(t, answer, never)
		mustBe(t, scan(t, i, "x"), finding.Unscanned, detail)
		if s := i.State(t.Context()); s.Up || !strings.Contains(s.Error, detail) {
			t.Errorf("%.40q: %+v", answer, s)
		}
	}
	i := fakeICAP(t, previewing, never)
	if s := i.State(t.Context()); !s.Up || s.Signatures != "v1" || !s.SignaturesAt.IsZero() || i.options.preview != 8 {
		t.Errorf("%+v", s)
	}
	i.address = "127.0.0.1:1"
	if s := i.State(t.Context()); s.Up || !strings.Contains(s.Error, "connecting to the ICAP server") {
		t.Errorf("%+v", s)
	}
}

// One connection carries many pieces; a server that closed it meanwhile costs no piece its scan.
func TestICAPKeepAlive(t *testing.T) {
	var conns, perConn atomic.Int32
	perConn.Store(1000)
	address := peer(t, func(_ int, c net.Conn) {
		conns.Add(1)
		in := bufio.NewReader(c)
		for range perConn.Load() {
			r, err := readRequest(in)
			if err != nil {
				return
			}
			if strings.HasPrefix(r.line, "OPTIONS") {
				io.WriteString(c, offer+"\r\n")
			} else {
				io.WriteString(c, noContent)
			}
		}
	})
	i := NewICAP(ICAPConfig{URL: "icap://" + address + "/scan"})
	for range 50 {
		mustBe(t, scan(t, i, "x"), finding.Clean, "")
	}
	if conns.Load() != 1 {
		t.Errorf("%d connections", conns.Load())
	}
	perConn.Store(2)
	i = NewICAP(ICAPConfig{URL: "icap://" + address + "/scan"})
	for range 50 {
		mustBe(t, scan(t, i, "x"), finding.Clean, "")
		mustBe(t, scan(t, i, "x"), finding.Clean, "")
		mustBe(t, scan(t, i, strings.Repeat("x", 100<<10)), finding.Clean, "")
	}
}

// A server that takes the request on a kept connection and closes without a word: the piece is sent again.
func TestICAPClosesInsteadOfAnswering(t *testing.T) {
	var requests atomic.Int32
	i := fakeICAP(t, previewing, func(c net.Conn, in *bufio.Reader, r icapRequest) bool {
		if requests.Add(1)%2 == 0 {
			return false
		}
		if !r.ieof {
			io.WriteString(c, goOn)
			readChunks(in)
		}
		io.WriteString(c, noContent)
		return true
	})
	for range 10 {
		mustBe(t, scan(t, i, "x"), finding.Clean, "")
		mustBe(t, scan(t, i, strings.Repeat("x", 1<<20)), finding.Clean, "")
	}
	if requests.Load() != 39 {
		t.Errorf("%d requests", requests.Load())
	}
}

// What a server says beyond its answer is not the answer about the next piece, whether it comes at once or later.
func TestICAPAnswersTooMuch(t *testing.T) {
	for _, pause := range []time.Duration{0, 20 * time.Millisecond} {
		said := make(chan struct{}, 60)
		i := fakeICAP(t, offer, func(c net.Conn, _ *bufio.Reader, r icapRequest) bool {
			defer func() { said <- struct{}{} }()
			answer := noContent
			if r.body == "bad" {
				answer = respond("X-Virus-ID: E\r\n", "HTTP/1.1 403 Forbidden", "no")
			}
			if pause == 0 {
				io.WriteString(c, answer+noContent)
				return true
			}
			io.WriteString(c, answer)
			time.Sleep(pause)
			io.WriteString(c, noContent)
			return true
		})
		for range 3 {
			mustBe(t, scan(t, i, "good"), finding.Clean, "")
			<-said
			mustBe(t, scan(t, i, "bad"), finding.ResultMalicious, "E")
			<-said
		}
	}
}

// A server that says that it closes is believed.
func TestICAPConnectionClose(t *testing.T) {
	i := fakeICAP(t, offer, func(c net.Conn, _ *bufio.Reader, _ icapRequest) bool {
		io.WriteString(c, strings.Replace(noContent, "\r\n", "\r\nConnection: close\r\n", 1))
		return true
	})
	for range 3 {
		mustBe(t, scan(t, i, "x"), finding.Clean, "")
		if len(i.idle) != 0 {
			t.Error("the connection was kept")
		}
	}
}

// New signatures are noticed at the first answer that names them.
func TestISTagChange(t *testing.T) {
	var tag atomic.Int32
	tag.Store(1)
	address := peer(t, func(_ int, c net.Conn) {
		in := bufio.NewReader(c)
		for {
			r, err := readRequest(in)
			if err != nil {
				return
			}
			answer := noContent
			if strings.HasPrefix(r.line, "OPTIONS") {
				answer = offer + "\r\n"
			}
			io.WriteString(c, strings.Replace(answer, "v1", fmt.Sprintf("v%d", tag.Load()), 1))
		}
	})
	i := NewICAP(ICAPConfig{URL: "icap://" + address + "/scan"})
	for _, want := range []string{"v1", "v1", "v2"} {
		if got := scan(t, i, "x"); got.Signatures != want || got.Result != finding.Clean {
			t.Errorf("%+v, want %s", got, want)
		}
		if want == "v1" && tag.Load() == 1 {
			tag.Store(2)
		}
	}
	if s := i.Signatures(t.Context()); s != "v2" {
		t.Errorf("signatures %q", s)
	}
}
