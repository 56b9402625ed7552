package webgate

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Who cannot agree on TLS is on the ledger, as on the DICOM port, and not more often
// than refusals are.
func TestFailedHandshakesAreOnTheLedger(t *testing.T) {
	authority := httptest.NewTLSServer(http.NotFoundHandler()) // for its certificate
	authority.Close()
	h := start(t, func(c *Config, _ *Parts) { c.TLS = &tls.Config{Certificates: authority.TLS.Certificates} })
	failed := func(what string, ends func() error) {
		t.Helper()
		if ends() == nil {
			t.Errorf("%s: agreed", what)
		}
	}
	host := strings.TrimSuffix(strings.TrimPrefix(h.url, "http://"), "/dicom-web")
	failed("an authority that is not trusted", func() error { _, err := tls.Dial("tcp", host, &tls.Config{}); return err })
	failed("no TLS", func() error {
		c := h.dial()
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		_, err := io.ReadAll(c)
		if err == nil {
			err = io.EOF
		}
		return err
	})
	c, err := tls.Dial("tcp", host, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	c.Close() // agreed, and asked for nothing
	why := func() (all []string) {
		for _, r := range h.records() {
			if r.Kind == "tls.failed" {
				all = append(all, string(r.Body))
			}
		}
		return all
	}
	for end := time.Now().Add(10 * time.Second); len(why()) < 2 && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
	}
	text := strings.Join(why(), "\n")
	if !strings.Contains(text, `"why":"refused by the peer"`) || !strings.Contains(text, `"why":"no TLS"`) || !strings.Contains(text, `"address":"127.0.0.1"`) || len(why()) != 2 {
		t.Errorf("the ledger has %s", text)
	}
	for range 2 * maxRefusals {
		c := h.dial()
		io.WriteString(c, "no hello\r\n")
		io.Copy(io.Discard, c)
	}
	omitted := 0
	for end := time.Now().Add(10 * time.Second); len(why())+omitted < 2*maxRefusals+2 && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
		omitted += int(h.server.refusals.Drain().Total)
	}
	if n := len(why()); n+omitted != 2*maxRefusals+2 || n > maxRefusals+1 {
		t.Errorf("of %d failures %d are recorded one by one, and %d are not", 2*maxRefusals+2, n, omitted)
	}
}
