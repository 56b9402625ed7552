package engine

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"io"
	"strings"
	"testing"

	"cordon/finding"
)

// readable fails the test unless the detail is short, printable, and there exactly if there is something to say.
func readable(t *testing.T, result finding.Result, detail string) {
	t.Helper()
	if len(detail) > 2*longestName || strings.ContainsFunc(detail, func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Errorf("detail %q", detail)
	}
	if (detail == "") != (result == finding.Clean) {
		t.Errorf("%v with detail %q", result, detail)
	}
}

func FuzzClamdReply(f *testing.F) {
	for _, s := range []string{"stream: OK\x00", "stream: A FOUND\x00", "stream: Heuristics.Limits.Exceeded.MaxFiles FOUND\x00",
		"INSTREAM size limit exceeded. ERROR\x00", "x ERROR\x00", "ClamAV 1.4.6/27500/Mon Jan  5 09:10:11 2026\x00", "ClamAV 1.4.6\x00", "", "\x00\x00",
		strings.Repeat("x", 4095) + "\x00y", strings.Repeat("x", 4096) + "\x00y"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		text, err := readReply(bytes.NewReader(p))
		if err != nil {
			return
		}
		if text+"\x00" != string(p) {
			t.Errorf("read %q of %q", text, p)
		}
		result, detail := parseStreamReply(text)
		readable(t, result, detail)
		if (result == finding.Clean) != (text == "stream: OK") {
			t.Errorf("%q is %v", text, result)
		}
		if result == finding.ResultMalicious && !(strings.HasPrefix(text, "stream: ") && strings.HasSuffix(text, " FOUND")) {
			t.Errorf("%q is %v", text, result)
		}
		if v, err := parseVersion(text); err == nil && v.line != text {
			t.Errorf("version %q of %q", v.line, text)
		}
	})
}

// FuzzICAPReply gives the answer to a piece that the server had. Clean means 204, or 200 with the piece in it.
func FuzzICAPReply(f *testing.F) {
	const body = "a piece"
	for _, s := range []string{noContent, goOn, offer + "\r\n", respond("", "HTTP/1.1 200 OK", body), respond("", "HTTP/1.1 500 Oops", ""),
		respond("X-Infection-Found: Type=0; Resolution=2; Threat=E;\r\n", "HTTP/1.1 403 No", "page"), "ICAP/1.0 200 OK\r\nX-Violations-Found: 1\r\n\ta\r\n\tb\r\n\r\n",
		"ICAP/1.0 200 OK\r\nEncapsulated: req-hdr=0, res-hdr=4, null-body=8\r\n\r\n\r\n\r\n\r\n\r\n", "ICAP/1.0 404 x\r\n\r\n"} {
		f.Add([]byte(s), true)
		f.Add([]byte(s), false)
	}
	f.Fuzz(func(t *testing.T, p []byte, whole bool) {
		c := &icapConn{limit: &io.LimitedReader{R: bytes.NewReader(p)}}
		c.in = bufio.NewReader(c.limit)
		a := c.readAnswer(1000)
		if o, err := parseOptions(a); err == nil && (o.method == "" || o.preview > headBytes || o.connections < 1 || len(o.tag) > 32) {
			t.Errorf("options %+v", o)
		}
		x := exchange{options: options{method: "RESPMOD"}, digest: sha256.New(), bytes: int64(len(body)), whole: whole}
		x.digest.Write([]byte(body))
		v := x.judge(a)
		readable(t, v.result, v.detail)
		if v.result == finding.Clean && (!whole || a.err != nil || a.status != 204 && !(a.status == 200 && bytes.Contains(p, []byte("HTTP/")))) {
			t.Errorf("clean: %+v", a)
		}
		if v.reusable && (!whole || a.err != nil) {
			t.Error("the connection is kept in an unknown state")
		}
	})
}
