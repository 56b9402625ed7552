package front

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

const viewer = "https://viewer.example:8443"

// ask has a front answer one request that came in on an address, and reports
// whether it was passed on.
func ask(f *Front, local string, secure bool, method, host string, headers map[string]string) (*http.Response, bool) {
	r := httptest.NewRequest(method, "/dicom-web/studies", nil)
	r.Host, r.RemoteAddr = host, "192.0.2.7:4711"
	if secure {
		r.TLS = &tls.ConnectionState{}
	}
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.ParseIP(local), Port: 8443}))
	for name, value := range headers {
		r.Header.Add(name, value)
	}
	passed := false
	w := httptest.NewRecorder()
	f.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { passed = true })).ServeHTTP(w, r)
	return w.Result(), passed
}

func TestForeignPages(t *testing.T) {
	f := New(Config{Origins: []string{viewer}})
	for _, c := range []struct {
		name, local, host string
		secure            bool
		method            string
		headers           map[string]string
		status            int
		passed            bool
	}{
		{"a program", "127.0.0.1", "127.0.0.1:8443", false, "GET", nil, 200, true},
		{"a program, by name", "127.0.0.1", "localhost:8443", false, "GET", nil, 200, true},
		{"a program, by IPv6", "::1", "[::1]", false, "GET", nil, 200, true},
		{"a name that was made to lead here", "127.0.0.1", "evil.example:8443", false, "GET", nil, 421, false},
		{"the same, by IPv6", "::1", "evil.example", false, "GET", nil, 421, false},
		{"a name of ours, elsewhere", "10.0.0.1", "cordon.example", true, "GET", nil, 200, true},
		{"our own page", "10.0.0.1", "cordon.example", true, "POST", map[string]string{"Origin": "https://cordon.example"}, 200, true},
		{"our own name without TLS", "10.0.0.1", "cordon.example", true, "POST", map[string]string{"Origin": "http://cordon.example"}, 403, false},
		{"a listed page", "127.0.0.1", "127.0.0.1:8443", false, "POST", map[string]string{"Origin": viewer, "Sec-Fetch-Site": "cross-site"}, 200, true},
		{"a listed page asks first", "127.0.0.1", "127.0.0.1:8443", false, "OPTIONS", map[string]string{"Origin": viewer, "Access-Control-Request-Method": "GET"}, 204, false},
		{"a listed page to a name that leads here", "127.0.0.1", "evil.example", false, "GET", map[string]string{"Origin": viewer}, 421, false},
		{"a foreign page", "127.0.0.1", "127.0.0.1:8443", false, "GET", map[string]string{"Origin": "https://evil.example"}, 403, false},
		{"a foreign page asks first", "127.0.0.1", "127.0.0.1:8443", false, "OPTIONS", map[string]string{"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}, 403, false},
		{"a page of another port", "127.0.0.1", "127.0.0.1:8443", false, "GET", map[string]string{"Origin": "http://127.0.0.1:3000"}, 403, false},
		{"an origin that begins like a listed one", "127.0.0.1", "127.0.0.1:8443", false, "GET", map[string]string{"Origin": viewer + "0"}, 403, false},
		{"an origin that is none", "127.0.0.1", "127.0.0.1:8443", false, "GET", map[string]string{"Origin": "null"}, 403, false},
		{"a foreign page's picture", "127.0.0.1", "127.0.0.1:8443", false, "GET", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403, false},
		{"a neighbour's picture", "10.0.0.1", "cordon.example", true, "GET", map[string]string{"Sec-Fetch-Site": "same-site"}, 403, false},
		{"our own page's picture", "10.0.0.1", "cordon.example", true, "GET", map[string]string{"Sec-Fetch-Site": "same-origin"}, 200, true},
		{"typed by a person", "127.0.0.1", "127.0.0.1:8443", false, "GET", map[string]string{"Sec-Fetch-Site": "none"}, 200, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			rsp, passed := ask(f, c.local, c.secure, c.method, c.host, c.headers)
			if rsp.StatusCode != c.status || passed != c.passed {
				t.Errorf("status %d, passed %v", rsp.StatusCode, passed)
			}
			allowed := rsp.Header.Get("Access-Control-Allow-Origin")
			if listed := c.headers["Origin"] == viewer && c.status < 300; (allowed == viewer) != listed || allowed != "" && !listed {
				t.Errorf("pages of %q may read it", allowed)
			}
			if rsp.Header.Get("Vary") != "Origin" || rsp.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Error("headers are missing")
			}
		})
	}
}

func TestSoMuchForOneAddress(t *testing.T) {
	f := New(Config{PerMinute: 3})
	for n := range 5 {
		rsp, passed := ask(f, "127.0.0.1", false, "GET", "localhost", nil)
		if passed != (n < 3) || !passed && (rsp.StatusCode != http.StatusTooManyRequests || rsp.Header.Get("Retry-After") == "") {
			t.Errorf("request %d: %d", n, rsp.StatusCode)
		}
	}
	if left := f.Left(); left.Total != 2 {
		t.Errorf("left out: %+v", left)
	}
	if left := New(Config{}).Left(); left.Total != 0 {
		t.Errorf("left out: %+v", left)
	}
}

func TestCheckOrigin(t *testing.T) {
	for _, good := range []string{"https://viewer.example", "http://127.0.0.1:3000", "http://[::1]:3000", "https://a.b:8443"} {
		if err := CheckOrigin(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "*", "null", "viewer.example", "https://viewer.example/", "https://Viewer.example", "https://*.example", "https://a:443", "http://a:80", "ftp://a", "https://u@a", "https://a?b", "https://a#b", "file:///x"} {
		if CheckOrigin(bad) == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
