package web_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"cordon/dicom/web"
)

const related = `multipart/related; type="application/dicom"; boundary=`

// body is a multipart body with the boundary b.
func body(parts ...string) string {
	s := ""
	for _, p := range parts {
		s += "--b\r\nContent-Type: application/dicom\r\n\r\n" + p + "\r\n"
	}
	return s + "--b--\r\n"
}

// readParts reads all parts.
func readParts(t testing.TB, r io.Reader, contentType string, l web.MultipartLimits) ([]string, error) {
	t.Helper()
	m, err := web.NewMultipartReader(r, contentType, l)
	if err != nil {
		return nil, err
	}
	var out []string
	for {
		p, err := m.Next()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		b, err := io.ReadAll(p)
		if err != nil {
			return out, err
		}
		out = append(out, string(b))
	}
}

func TestMultipartBodies(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		want []string
	}{
		"one part":                  {body("abc"), []string{"abc"}},
		"two parts":                 {body("abc", "def"), []string{"abc", "def"}},
		"an empty part":             {body(""), []string{""}},
		"no part":                   {"--b--\r\n", nil},
		"preamble and epilogue":     {"see below\r\n" + body("abc") + "that was all", []string{"abc"}},
		"no line break at the end":  {strings.TrimSuffix(body("abc"), "\r\n"), []string{"abc"}},
		"boundary-like data":        {body("x\r\n--bc\r\ny\r\n-", "--b\r\n"[:3]+"z"), []string{"x\r\n--bc\r\ny\r\n-", "--bz"}},
		"no header":                 {"--b\r\n\r\nabc\r\n--b--", []string{"abc"}},
		"spaces after the boundary": {"--b \t\r\n\r\nabc\r\n--b-- \r\n", []string{"abc"}},
	} {
		for kind, r := range map[string]io.Reader{"whole": strings.NewReader(c.body), "by the byte": iotest.OneByteReader(strings.NewReader(c.body))} {
			got, err := readParts(t, r, related+"b", web.MultipartLimits{})
			if err != nil || fmt.Sprintf("%q", got) != fmt.Sprintf("%q", c.want) {
				t.Errorf("%s, %s: got %q, %v, want %q", name, kind, got, err, c.want)
			}
		}
	}
}

func TestContentTypesThatAreRefused(t *testing.T) {
	for contentType, status := range map[string]int{
		"":                                400,
		"application/dicom":               415,
		"multipart/form-data; boundary=b": 415,
		"multipart/mixed; boundary=b":     415,
		`multipart/related; type="application/dicom"`: 400,
		related + `""`:                                 400,
		related + `b; boundary=c`:                      400,
		related + `b; Boundary=c`:                      400,
		related + `b; type="application/json"`:         400,
		related + `"` + strings.Repeat("x", 71) + `"`:  400,
		related + `"ends in a space "`:                 400,
		related + `"a` + "\r\n" + `b"`:                 400,
		related + `"a\"b"`:                             400,
		related + `"ümlaut"`:                           400,
		related + `b; ` + strings.Repeat("x=y;", 2000): 431,
		`multipart/related; boundary`:                  400,
		`multipart/related boundary=b`:                 400,
	} {
		_, err := web.NewMultipartReader(strings.NewReader(body("x")), contentType, web.MultipartLimits{})
		var refusal *web.Refusal
		if !errors.As(err, &refusal) || refusal.Status != status {
			t.Errorf("%.80q: got %v, want status %d", contentType, err, status)
		}
	}
}

func TestHostileMultipartBodies(t *testing.T) {
	small := web.MultipartLimits{Parts: 10, HeaderBytes: 1 << 10, Headers: 8, Around: 1 << 10}
	long := strings.Repeat("x", 1<<20)
	header := func(h string) string { return "--b\r\n" + h + "\r\n\r\nabc\r\n--b--\r\n" }
	for name, c := range map[string]struct {
		body   string
		status int
	}{
		"nothing":                        {"", 400},
		"no boundary at all":             {long, 400},
		"another boundary":               {strings.ReplaceAll(body("abc"), "--b", "--c"), 400},
		"no last boundary":               {strings.TrimSuffix(body("abc"), "--\r\n"), 400},
		"cut in a part":                  {body(long)[:1000], 400},
		"cut in a header":                {"--b\r\nContent-Ty", 400},
		"too many parts":                 {body(strings.Split(strings.Repeat("x", 11), "")...), 413},
		"a header without a colon":       {header("nonsense"), 400},
		"a long header":                  {header("X: " + long), 400},
		"many headers":                   {header(strings.TrimSpace(strings.Repeat("X: y\r\n", 9))), 400},
		"Content-Type twice":             {header("Content-Type: application/dicom\r\nContent-Type: text/html"), 400},
		"Content-Location twice":         {header("Content-Location: a\r\ncontent-location: b"), 400},
		"a Content-Type that is none":    {header("Content-Type: a;b"), 400},
		"base64":                         {header("Content-Transfer-Encoding: base64"), 415},
		"quoted-printable":               {header("Content-Transfer-Encoding: quoted-printable"), 415},
		"gzip":                           {header("Content-Encoding: gzip"), 415},
		"a long preamble":                {long + "\r\n" + body("abc"), 400},
		"a long preamble of short lines": {strings.Repeat("x\r\n", 1<<20) + body("abc"), 400},
		"a long epilogue":                {body("abc") + long, 400},
		"text between parts":             {"--b\r\n\r\nabc\r\n--b hello\r\n\r\n--b--", 400},
	} {
		_, err := readParts(t, strings.NewReader(c.body), related+"b", small)
		var broken *web.MultipartError
		if !errors.As(err, &broken) || broken.Status != c.status {
			t.Errorf("%s: got %v, want status %d", name, err, c.status)
		}
		if err != nil && strings.Contains(err.Error(), "hello") {
			t.Errorf("%s: the error repeats the body: %v", name, err)
		}
	}
}

func TestMultipartBodyThatBreaksOff(t *testing.T) {
	cause := errors.New("connection reset")
	r := io.MultiReader(strings.NewReader(body(strings.Repeat("x", 1000))[:500]), iotest.ErrReader(cause))
	_, err := readParts(t, r, related+"b", web.MultipartLimits{})
	if !errors.Is(err, cause) {
		t.Errorf("got %v, want the cause in it", err)
	}
}

// A hundred thousand parts end at the limit, before memory.
func TestManyPartsEndAtTheLimit(t *testing.T) {
	r := io.MultiReader(strings.NewReader(strings.Repeat("--b\r\n\r\nx\r\n", 100_000)), strings.NewReader("--b--"))
	got, err := readParts(t, r, related+"b", web.MultipartLimits{})
	var broken *web.MultipartError
	if !errors.As(err, &broken) || broken.Status != 413 || broken.Part != 10_000 || len(got) != 10_000 {
		t.Errorf("got %d parts, %v", len(got), err)
	}
}

// A part as large as they come passes in constant memory.
func TestLargePartNeedsNoMemory(t *testing.T) {
	const size = 2 << 30
	block := noise()
	before := heap()
	m, err := web.NewMultipartReader(largeBody(size, block), related+"b", web.MultipartLimits{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := m.Next()
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.CopyBuffer(writerOnly{io.Discard}, p, make([]byte, 64<<10))
	if err != nil || n != size {
		t.Fatalf("got %d bytes, %v", n, err)
	}
	if _, err := m.Next(); err != io.EOF {
		t.Fatal(err)
	}
	if grown := heap() - before; grown > 4<<20 {
		t.Errorf("%d bytes allocated for a part of %d", grown, size)
	}
}

// heap is how much was allocated so far.
func heap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

type writerOnly struct{ io.Writer }

// largeBody is a multipart body with one part of size bytes.
func largeBody(size int64, block []byte) io.Reader {
	return io.MultiReader(strings.NewReader("--b\r\nContent-Type: application/dicom\r\n\r\n"),
		io.LimitReader(&pattern{block: block}, size), strings.NewReader("\r\n--b--\r\n"))
}

// noise is a block without a meaning, in which every byte value is.
func noise() []byte {
	p := make([]byte, 1<<20)
	x := uint32(1)
	for i := range p {
		x = x*1664525 + 1013904223
		p[i] = byte(x >> 24)
	}
	return p
}

// pattern repeats a block without end.
type pattern struct {
	block []byte
	at    int
}

func (p *pattern) Read(b []byte) (int, error) {
	n := copy(b, p.block[p.at:])
	p.at = (p.at + n) % len(p.block)
	return n, nil
}

func TestMultipartWriterIsReadBack(t *testing.T) {
	var b bytes.Buffer
	w := web.NewMultipartWriter(&b, web.Related(web.TypeDICOM, ""))
	for _, s := range []string{"abc", "", "\r\n--" + w.ContentType()} {
		p, err := w.Part(web.Single(web.TypeDICOM), "")
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(p, s)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := readParts(t, &b, w.ContentType(), web.MultipartLimits{})
	if err != nil || len(got) != 3 || got[0] != "abc" || got[1] != "" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := w.Part(web.Single(web.TypeDICOM), "a\r\nX: y"); err == nil {
		t.Error("a line break in a header was written")
	}
}

// FuzzMultipart: whatever comes, what is read is no more than what came, in how many pieces it comes
// makes no difference, and what was accepted, written again, reads the same.
func FuzzMultipart(f *testing.F) {
	f.Add([]byte(body("abc", "")), "b")
	f.Add([]byte("--b\n\nabc\n--b--"), "b")
	f.Add([]byte("--b\r\nContent-Type: application/dicom\r\nA: b\r\n c\r\n\r\n\r\n--b\r\n\r\n--b--\r\nend"), "b")
	f.Fuzz(func(t *testing.T, p []byte, boundary string) {
		contentType := related + `"` + boundary + `"`
		whole, err := readParts(t, bytes.NewReader(p), contentType, web.MultipartLimits{})
		cut, errCut := readParts(t, iotest.OneByteReader(bytes.NewReader(p)), contentType, web.MultipartLimits{})
		if (err == nil) != (errCut == nil) || err == nil && fmt.Sprint(whole) != fmt.Sprint(cut) {
			t.Errorf("whole %q, %v; by the byte %q, %v", whole, err, cut, errCut)
		}
		if len(strings.Join(whole, "")) > len(p) {
			t.Errorf("more comes out than goes in: %q", whole)
		}
		if err != nil {
			return
		}
		var b bytes.Buffer
		w := web.NewMultipartWriter(&b, web.Related(web.TypeDICOM, ""))
		for _, s := range whole {
			x, _ := w.Part(web.Single(web.TypeDICOM), "")
			io.WriteString(x, s)
		}
		w.Close()
		again, err := readParts(t, &b, w.ContentType(), web.MultipartLimits{})
		if err != nil || fmt.Sprint(again) != fmt.Sprint(whole) {
			t.Errorf("again %q, %v; before %q", again, err, whole)
		}
	})
}

func BenchmarkMultipartReader(b *testing.B) {
	block := noise()
	for _, size := range []int64{500 << 10, 64 << 20, 2 << 30} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			buffer := make([]byte, 256<<10)
			for b.Loop() {
				m, err := web.NewMultipartReader(largeBody(size, block), related+"b", web.MultipartLimits{})
				if err != nil {
					b.Fatal(err)
				}
				p, err := m.Next()
				if err != nil {
					b.Fatal(err)
				}
				if n, err := io.CopyBuffer(writerOnly{io.Discard}, p, buffer); n != size || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}
