package webgate

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"cordon/inspect/compose"
	"cordon/policy"
)

// dial opens a connection to the house.
func (h *house) dial() net.Conn {
	h.t.Helper()
	u, err := url.Parse(h.url)
	if err != nil {
		h.t.Fatal(err)
	}
	c, err := net.Dial("tcp", u.Host)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(30 * time.Second))
	return c
}

// The time in which a client has to take one answer is over long before it asks the
// next on its connection.
func TestAnswersOnAnOldConnection(t *testing.T) {
	h := start(t, func(c *Config, _ *Parts) { c.Stall, c.Quiet = 200*time.Millisecond, 10*time.Second })
	o := compose.CT(16, 16)
	h.archive.put(o)
	c := h.dial()
	in := bufio.NewReader(c)
	ask := func(request string) int {
		t.Helper()
		io.WriteString(c, request)
		rsp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("%s: %v", strings.SplitN(request, "\r\n", 2)[0], err)
		}
		if _, err := io.Copy(io.Discard, rsp.Body); err != nil {
			t.Fatal(err)
		}
		return rsp.StatusCode
	}
	if status := ask("GET /dicom-web/studies/" + string(o.Study) + " HTTP/1.1\r\nHost: x\r\n\r\n"); status != 200 {
		t.Fatal(status)
	}
	time.Sleep(400 * time.Millisecond)
	contentType, body := related("application/dicom", compose.CT(16, 16).File())
	if status := ask(fmt.Sprintf("POST /dicom-web/studies HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", contentType, len(body), body)); status != 200 {
		t.Fatal(status)
	}
	time.Sleep(400 * time.Millisecond)
	if status := ask("GET /dicom-web/nothing HTTP/1.1\r\nHost: x\r\n\r\n"); status != 404 {
		t.Fatal(status)
	}
}

// A client that does not read what it is answered does not keep its connection.
func TestAnswersThatNobodyReads(t *testing.T) {
	h := start(t, func(c *Config, p *Parts) { c.Stall, p.Log = 200*time.Millisecond, slog.New(slog.DiscardHandler) })
	c := h.dial()
	request := bytes.Repeat([]byte("GET /dicom-web/nothing HTTP/1.1\r\nHost: x\r\n\r\n"), 1000)
	for range 1000 { // some 400 MB of answers
		if _, err := c.Write(request); err != nil {
			if e, ok := err.(net.Error); ok && e.Timeout() {
				t.Fatal("the connection is still open")
			}
			return
		}
	}
	t.Fatal("every request was taken")
}

// What a peer that may not store has begun to send is read for a while, so that it
// hears why.
func TestRefusedBeforeItsBody(t *testing.T) {
	var log strings.Builder
	h := start(t, func(c *Config, p *Parts) {
		p.Log = slog.New(slog.NewTextHandler(&log, nil))
		c.Site = func() policy.Site {
			return policy.Site{AETitle: "CORDON", Unknown: policy.RefuseUnknown, Archives: []policy.Archive{{Name: "pacs", AETitle: "PACS"}}}
		}
	})
	a := h.stow("/studies", make([]byte, 8<<20))
	if a.err != nil || a.status != http.StatusForbidden {
		t.Errorf("%d, %v", a.status, a.err)
	}
	h.stop()
	if strings.Contains(log.String(), "fault") {
		t.Errorf("a fault: %s", log.String())
	}
}
