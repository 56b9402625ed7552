package web_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"cordon/dicom"
	"cordon/dicom/web"
)

// impatient are limits that end a test soon.
var impatient = web.ClientLimits{
	Connect: time.Second, Answer: 300 * time.Millisecond, Stall: 300 * time.Millisecond, HeaderBytes: 8 << 10,
	DataSets: web.Limits{Bytes: 1 << 20}, Multipart: web.MultipartLimits{Parts: 100},
}

// archive is an HTTP server with one handler, and a client of it.
func archive(t testing.TB, l web.ClientLimits, serve http.HandlerFunc) *web.Client {
	t.Helper()
	s := httptest.NewServer(serve)
	t.Cleanup(s.Close)
	return client(t, s.URL+"/dicom-web/", l)
}

func client(t testing.TB, base string, l web.ClientLimits) *web.Client {
	t.Helper()
	c, err := web.NewClient(web.ClientConfig{Base: base, Limits: l})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// raw is a server that answers every connection with the same bytes, and then waits or hangs up.
func raw(t testing.TB, hangUp bool, answer func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { close(done); l.Close() })
	go func() { // ends with the listener
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer nc.Close()
				nc.Read(make([]byte, 4096))
				answer(nc)
				if !hangUp {
					<-done
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

func answer(kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", kind)
		io.WriteString(w, body)
	}
}

func TestQueryOfAnArchive(t *testing.T) {
	var asked string
	c := archive(t, web.ClientLimits{}, func(w http.ResponseWriter, r *http.Request) {
		asked = r.Method + " " + r.URL.RequestURI() + " " + r.Header.Get("Accept")
		w.Header().Set("Warning", `299 archive "There are 3 additional results that can be requested"`)
		answer(web.TypeJSON, "["+exampleJSON+","+exampleJSON+"]")(w, r)
	})
	q, err := web.ParseQuery(seriesOf, "Modality=CT&limit=2")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	more, err := c.Query(t.Context(), q, func(d web.DataSet) error { n++; return nil })
	if err != nil || n != 2 || !more {
		t.Errorf("got %d matches, more %v, %v", n, more, err)
	}
	if want := "GET /dicom-web/studies/1.2/series?00080060=CT&limit=2 application/dicom+json, application/json; q=0.5"; asked != want {
		t.Errorf("asked %s, want %s", asked, want)
	}
	mine := errors.New("enough")
	if _, err := c.Query(t.Context(), q, func(web.DataSet) error { return mine }); err != mine {
		t.Errorf("got %v", err)
	}
}

func TestAnswersWithoutMatches(t *testing.T) {
	for name, serve := range map[string]http.HandlerFunc{
		"204":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
		"[]":    answer(web.TypeJSON, "[]"),
		"empty": answer(web.TypePlainJSON, ""),
	} {
		c := archive(t, impatient, serve)
		_, err := c.Query(t.Context(), web.Query{Level: web.LevelStudy}, func(web.DataSet) error { return errors.New("a match") })
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRetrievedPartsAreStreams(t *testing.T) {
	c := archive(t, web.ClientLimits{}, func(w http.ResponseWriter, r *http.Request) {
		m := web.NewMultipartWriter(w, web.Related(web.TypeDICOM, ""))
		w.Header().Set("Content-Type", m.ContentType())
		for _, s := range []string{"abc", "def"} {
			p, _ := m.Part(web.Single(web.TypeDICOM), "")
			io.WriteString(p, s)
		}
		m.Close()
	})
	got := ""
	err := c.Retrieve(t.Context(), web.Resource{Kind: web.KindStudy, Study: "1.2"}, nil, func(p *web.Part) error {
		b, err := io.ReadAll(p)
		got += p.Type.Type + " " + string(b) + ";"
		return err
	})
	if err != nil || got != "application/dicom abc;application/dicom def;" {
		t.Errorf("got %q, %v", got, err)
	}
	single := archive(t, web.ClientLimits{}, answer(web.TypeDICOM, "abc"))
	if err := single.Retrieve(t.Context(), web.Resource{Kind: web.KindStudy, Study: "1.2"}, nil, func(p *web.Part) error {
		b, err := io.ReadAll(p)
		if string(b) != "abc" {
			t.Errorf("got %q", b)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

// Whatever an archive answers, it ends soon, with an error that repeats nothing of it, and is
// taken for nobody's success.
func TestHostileArchives(t *testing.T) {
	head := "HTTP/1.1 200 OK\r\nContent-Type: application/dicom+json\r\n"
	multi := "HTTP/1.1 200 OK\r\nContent-Type: " + related + "b\r\n"
	endless := func(p string) func(net.Conn) {
		return func(nc net.Conn) {
			for {
				if _, err := io.WriteString(nc, p); err != nil {
					return
				}
			}
		}
	}
	then := func(first string, next func(net.Conn)) func(net.Conn) {
		return func(nc net.Conn) { io.WriteString(nc, first); next(nc) }
	}
	say := func(s string) func(net.Conn) { return func(nc net.Conn) { io.WriteString(nc, s) } }
	for name, c := range map[string]struct {
		answer func(net.Conn)
		hangUp bool
		away   bool
	}{
		"silence":                 {say(""), false, true},
		"hangs up":                {say(""), true, true},
		"noise":                   {say("\x00\x01secret\r\n\r\n"), true, true},
		"an endless header":       {endless("X: y\r\n"), false, true},
		"an endless header line":  {then("HTTP/1.1 200 OK\r\nX: ", endless("xxxxxxxxxxxxxxxx")), false, true},
		"informational for ever":  {endless("HTTP/1.1 102 Processing\r\n\r\n"), false, true},
		"a slow header":           {then("HTTP/1.1 200 OK\r\n", func(nc net.Conn) {}), false, true},
		"a body that stalls":      {say(head + "Content-Length: 100\r\n\r\n[{"), false, true},
		"a chunk that stalls":     {say(head + "Transfer-Encoding: chunked\r\n\r\n100\r\n[{"), false, true},
		"a body cut off":          {say(head + "Content-Length: 100\r\n\r\n[{"), true, true},
		"a body without an end":   {then(head+"\r\n[", endless("{},")), false, false},
		"a bad chunk":             {say(head + "Transfer-Encoding: chunked\r\n\r\nZZ\r\n"), true, true},
		"a redirect":              {say("HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"), true, false},
		"gzip":                    {say(head + "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b"), true, false},
		"HTML":                    {say("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\nsecret"), true, false},
		"no type":                 {say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"), true, false},
		"a type that is none":     {say("HTTP/1.1 200 OK\r\nContent-Type: ;;\r\nContent-Length: 2\r\n\r\n[]"), true, false},
		"two types":               {say(head + "Content-Type: text/html\r\nContent-Length: 2\r\n\r\n[]"), true, false},
		"no JSON":                 {say(head + "Content-Length: 8\r\n\r\n[{secret"), true, false},
		"an error in JSON":        {say("HTTP/1.1 500 No\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"), true, false},
		"overloaded":              {say("HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n"), true, true},
		"not authorised":          {say("HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"), true, false},
		"a status without a name": {say("HTTP/1.1 999 secret\r\nContent-Length: 0\r\n\r\n"), true, false},
		"garbage parts":           {say(multi + "Content-Length: 6\r\n\r\nsecret"), true, false},
		"no last boundary":        {say(multi + "Content-Length: 16\r\n\r\n--b\r\n\r\nsecret\r\n-"), true, false},
		"parts cut off":           {say(multi + "Content-Length: 99\r\n\r\n--b\r\n\r\nsecret\r\n-"), true, true},
		"parts without an end":    {then(multi+"\r\n", endless("--b\r\n\r\nx\r\n")), false, false},
		"a part header too long":  {then(multi+"\r\n--b\r\nX: ", endless("xxxxxxxxxxxxxxxxxxxx")), false, false},
	} {
		x := client(t, raw(t, c.hangUp, c.answer), impatient)
		study := web.Resource{Kind: web.KindStudy, Study: "1.2"}
		for kind, ask := range map[string]func() error{
			"query": func() error {
				_, err := x.Query(t.Context(), web.Query{Level: web.LevelStudy}, func(web.DataSet) error { return nil })
				return err
			},
			"retrieve": func() error {
				return x.Retrieve(t.Context(), study, nil, func(p *web.Part) error { _, err := io.Copy(io.Discard, p); return err })
			},
			"store": func() error {
				_, err := x.Store(t.Context(), "", files("abc"))
				return err
			},
		} {
			start := time.Now()
			err := ask()
			var answered *web.AnswerError
			var broken *web.MultipartError
			switch {
			case err == nil:
				t.Errorf("%s, %s: taken for an answer", name, kind)
			case strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "127.0.0.1:0"):
				t.Errorf("%s, %s: the error repeats the answer: %v", name, kind, err)
			case c.away && kind == "query" && !errors.Is(err, web.ErrAway) && !strings.Contains(name, "parts"):
				t.Errorf("%s, %s: got %v, want ErrAway", name, kind, err)
			case !errors.Is(err, web.ErrAway) && !errors.As(err, &answered) && !errors.As(err, &broken):
				t.Errorf("%s, %s: got %T %v", name, kind, err, err)
			case time.Since(start) > 5*time.Second:
				t.Errorf("%s, %s: took %v", name, kind, time.Since(start))
			}
		}
	}
}

func TestNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	c := client(t, "http://"+l.Addr().String(), impatient)
	_, err = c.Query(t.Context(), web.Query{Level: web.LevelStudy, Matches: []web.Match{{Path: web.Path{dicom.TagPatientName}, Value: "secret"}}}, nil)
	if !errors.Is(err, web.ErrAway) || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Do(ctx, web.Request{Resource: allStudies}); err == nil {
		t.Error("a cancelled request was answered")
	}
}

func TestAddressesThatAreNone(t *testing.T) {
	for _, base := range []string{"", "archive", "ftp://archive/", "http://", "http://user:x@archive/", "http://archive/?x", "http://archive/#x", "http://a b/"} {
		if _, err := web.NewClient(web.ClientConfig{Base: base}); err == nil {
			t.Errorf("%q was accepted", base)
		}
	}
}

// files are parts to store.
func files(data ...string) iter.Seq2[web.StorePart, error] {
	return func(yield func(web.StorePart, error) bool) {
		for _, s := range data {
			if !yield(web.StorePart{TransferSyntaxUID: dicom.ExplicitVRLittleEndian, Data: strings.NewReader(s)}, nil) {
				return
			}
		}
	}
}

// keep is an archive that stores what it is sent.
func keep(t testing.TB, got *[]string, status int, response string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		parts, err := readParts(t, r.Body, r.Header.Get("Content-Type"), web.MultipartLimits{})
		if err != nil {
			t.Error(err)
		}
		*got = append(*got, r.URL.Path)
		*got = append(*got, parts...)
		w.Header().Set("Content-Type", web.TypeJSON)
		w.WriteHeader(status)
		io.WriteString(w, response)
	}
}

func TestStoreStreamsParts(t *testing.T) {
	for _, status := range []int{200, 202, 409} {
		var got []string
		c := archive(t, web.ClientLimits{}, keep(t, &got, status, exampleResponse))
		r, err := c.Store(t.Context(), "1.2", files("abc", "", "def"))
		if err != nil || len(r.Stored) != 2 || len(r.Failed) != 1 {
			t.Errorf("%d: got %+v, %v", status, r, err)
		}
		if want := "[/dicom-web/studies/1.2 abc  def]"; fmt.Sprint(got) != want {
			t.Errorf("the archive got %v", got)
		}
	}
}

func TestStoreResponsesThatAreNone(t *testing.T) {
	for name, serve := range map[string]http.HandlerFunc{
		"no body":        func(w http.ResponseWriter, _ *http.Request) {},
		"two responses":  answer(web.TypeJSON, "[{},{}]"),
		"none in a list": answer(web.TypeJSON, "[]"),
		"400 and nothing in it": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", web.TypeJSON)
			w.WriteHeader(400)
			io.WriteString(w, "{}")
		},
	} {
		c := archive(t, impatient, serve)
		r, err := c.Store(t.Context(), "", files("abc"))
		var answered *web.AnswerError
		if !errors.As(err, &answered) {
			t.Errorf("%s: got %+v, %v", name, r, err)
		}
	}
	// An answer that names nothing stores nothing.
	c := archive(t, impatient, answer(web.TypeJSON, "{}"))
	r, err := c.Store(t.Context(), "", files("abc"))
	if _, ok := r.Of("1.4"); err != nil || ok {
		t.Errorf("got %+v, %v", r, err)
	}
}

// A source that breaks breaks the request: the archive sees no end of the body.
func TestStoreWithABrokenSource(t *testing.T) {
	cause := errors.New("the spill file is gone")
	ended := make(chan error, 1)
	c := archive(t, web.ClientLimits{}, func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		ended <- err
	})
	_, err := c.Store(t.Context(), "", func(yield func(web.StorePart, error) bool) {
		yield(web.StorePart{Data: io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(cause))}, nil)
	})
	if !errors.Is(err, cause) || errors.Is(err, web.ErrAway) {
		t.Errorf("got %v", err)
	}
	if err := <-ended; err == nil {
		t.Error("the archive saw a whole body")
	}
	_, err = c.Store(t.Context(), "", func(yield func(web.StorePart, error) bool) { yield(web.StorePart{}, cause) })
	if !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
}

// An archive that refuses early is heard, whatever is left to send.
func TestStoreThatIsRefusedEarly(t *testing.T) {
	c := archive(t, web.ClientLimits{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(413)
	})
	block := noise()
	source := &exclusive{r: io.LimitReader(&pattern{block: block}, 1<<30)}
	_, err := c.Store(t.Context(), "", func(yield func(web.StorePart, error) bool) {
		yield(web.StorePart{Data: source}, nil)
	})
	source.end(t)
	var answered *web.AnswerError
	if !(errors.As(err, &answered) && answered.Status == 413) && !errors.Is(err, web.ErrAway) {
		t.Errorf("got %v", err)
	}
}

// exclusive tells whether its reader is read after its end.
type exclusive struct {
	mu    sync.Mutex
	r     io.Reader
	ended bool
	late  bool
}

func (e *exclusive) Read(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.late = e.late || e.ended
	return e.r.Read(p)
}

func (e *exclusive) end(t *testing.T) {
	if !e.mu.TryLock() {
		t.Fatal("the source is read after the request")
	}
	e.ended = true
	e.mu.Unlock()
	time.Sleep(20 * time.Millisecond)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.late {
		t.Error("the source is read after the request")
	}
}

// An archive that reads slower than the limit allows is away; one that takes its time is not.
func TestStoreToASlowArchive(t *testing.T) {
	stuck := make(chan struct{})
	c := archive(t, impatient, func(w http.ResponseWriter, r *http.Request) { <-stuck })
	t.Cleanup(func() { close(stuck) }) // before the server is closed
	block := noise()
	_, err := c.Store(t.Context(), "", func(yield func(web.StorePart, error) bool) {
		yield(web.StorePart{Data: io.LimitReader(&pattern{block: block}, 1<<30)}, nil)
	})
	if !errors.Is(err, web.ErrAway) {
		t.Errorf("got %v", err)
	}
}

// A slow source is no reason to give an archive up.
func TestStoreFromASlowSource(t *testing.T) {
	var got []string
	c := archive(t, impatient, keep(t, &got, 200, exampleResponse))
	_, err := c.Store(t.Context(), "", func(yield func(web.StorePart, error) bool) {
		for range 3 {
			time.Sleep(200 * time.Millisecond)
			if !yield(web.StorePart{Data: &slow{left: 3}}, nil) {
				return
			}
		}
	})
	if err != nil || len(got) != 4 {
		t.Errorf("got %q, %v", got, err)
	}
}

type slow struct{ left int }

func (s *slow) Read(p []byte) (int, error) {
	time.Sleep(150 * time.Millisecond)
	if s.left--; s.left < 0 {
		return 0, io.EOF
	}
	return copy(p, "x"), nil
}

// What is large passes in constant memory, both ways.
func TestLargeTransfersNeedNoMemory(t *testing.T) {
	const size = 256 << 20
	block := noise()
	c := archive(t, web.ClientLimits{}, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.Header().Set("Content-Type", related+"b")
			io.Copy(w, largeBody(size, block))
			return
		}
		n, err := io.CopyBuffer(writerOnly{io.Discard}, r.Body, make([]byte, 256<<10))
		if err != nil || n < size {
			t.Error(n, err)
		}
		answer(web.TypeJSON, exampleResponse)(w, r)
	})
	before := heap()
	_, err := c.Store(t.Context(), "", func(yield func(web.StorePart, error) bool) {
		yield(web.StorePart{Data: io.LimitReader(&pattern{block: block}, size)}, nil)
	})
	if err != nil {
		t.Error(err)
	}
	err = c.Retrieve(t.Context(), web.Resource{Kind: web.KindStudy, Study: "1.2"}, nil, func(p *web.Part) error {
		n, err := io.CopyBuffer(writerOnly{io.Discard}, p, make([]byte, 256<<10))
		if n != size {
			t.Errorf("got %d bytes", n)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if grown := heap() - before; grown > 8<<20 {
		t.Errorf("%d bytes allocated for twice %d", grown, size)
	}
}

// How fast instances go to an archive and come from it, over the loopback interface; the archive
// reads and writes, and nothing else.
func BenchmarkClient(b *testing.B) {
	block := noise()
	for _, size := range []int64{500 << 10, 2 << 30} {
		c := archive(b, web.ClientLimits{}, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				w.Header().Set("Content-Type", related+"b")
				io.CopyBuffer(writerOnly{w}, largeBody(size, block), make([]byte, 256<<10))
				return
			}
			io.CopyBuffer(writerOnly{io.Discard}, r.Body, make([]byte, 256<<10))
			answer(web.TypeJSON, exampleResponse)(w, r)
		})
		b.Run(fmt.Sprintf("Store/%dKiB", size>>10), func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				_, err := c.Store(b.Context(), "", func(yield func(web.StorePart, error) bool) {
					yield(web.StorePart{Data: io.LimitReader(&pattern{block: block}, size)}, nil)
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("Retrieve/%dKiB", size>>10), func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			buffer := make([]byte, 256<<10)
			for b.Loop() {
				err := c.Retrieve(b.Context(), web.Resource{Kind: web.KindStudy, Study: "1.2"}, nil, func(p *web.Part) error {
					_, err := io.CopyBuffer(writerOnly{io.Discard}, p, buffer)
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
