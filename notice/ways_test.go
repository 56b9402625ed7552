package notice

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"cordon/alarm"
	"cordon/ledger/atna"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqr"

var one = Message{ID: "m1", Site: "Test Hospital", Counts: map[string]int{"critical": 1}, Events: []Event{{
	What: alarm.Raised, At: time.Unix(1700000000, 0), Alarm: 7, Kind: "archive.away", Severity: alarm.Critical, Subject: "pacs",
	Means: "An archive does not answer.", Do: "See whether it runs.", Count: 3,
}}}

// trusting is the TLS of who trusts a server of the tests.
func trusting(s *httptest.Server) func() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return func() *tls.Config { return &tls.Config{RootCAs: pool} }
}

func webhook(t *testing.T, h http.HandlerFunc) (Webhook, *httptest.Server) {
	t.Helper()
	server := httptest.NewTLSServer(h)
	server.Config.ErrorLog = nil
	t.Cleanup(server.Close)
	key, err := ParseSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	return Webhook{URL: server.URL + "/in", Secret: func() ([]byte, error) { return key, nil }, TLS: trusting(server)}, server
}

func TestWebhookIsSignedAsReceiversVerify(t *testing.T) {
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	var got Message
	w, _ := webhook(t, func(rsp http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = verifier.Verify(body, r.Header)
		}
		if err == nil {
			err = json.Unmarshal(body, &got)
		}
		if err != nil {
			t.Error(err)
			rsp.WriteHeader(http.StatusForbidden)
			return
		}
		old := r.Header.Clone()
		old.Set("webhook-timestamp", "1600000000")
		if verifier.Verify(body, old) == nil {
			t.Error("another time is believed")
		}
		if verifier.Verify(append(body, ' '), r.Header) == nil {
			t.Error("another body is believed")
		}
		rsp.WriteHeader(http.StatusNoContent)
	})
	if err := w.Send(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	if got.ID != "m1" || got.Events[0].Kind != "archive.away" {
		t.Errorf("%+v", got)
	}
}

func TestWebhookReceiversThatMisbehave(t *testing.T) {
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it followed a redirect") }))
	defer elsewhere.Close()
	for name, h := range map[string]http.HandlerFunc{
		"500": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		},
		"cut": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"404": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(404)
			io.WriteString(w, strings.Repeat("x", 1<<20))
		},
	} {
		w, _ := webhook(t, h)
		err := w.Send(t.Context(), one)
		if err == nil || strings.Contains(err.Error(), "/in") || strings.Contains(err.Error(), "127.0.0.1") && name != "cut" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWebhookAnswerWithoutAnEndIsNotRead(t *testing.T) {
	w, _ := webhook(t, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	})
	began := time.Now()
	if err := w.Send(t.Context(), one); err != nil || time.Since(began) > 5*time.Second {
		t.Error(err, time.Since(began))
	}
}

func TestWebhookThatHangsIsGivenUp(t *testing.T) {
	release := make(chan struct{})
	w, server := webhook(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	defer server.Close()
	defer close(release)
	ctx, cancel := contextOf(t, 200*time.Millisecond)
	defer cancel()
	if err := w.Send(ctx, one); err == nil {
		t.Error("it arrived")
	}
}

func TestWebhookOfAnUnknownAuthorityGetsNothing(t *testing.T) {
	w, server := webhook(t, func(http.ResponseWriter, *http.Request) { t.Error("it was sent") })
	server.Config.ErrorLog = quiet()
	w.TLS = nil
	if err := w.Send(t.Context(), one); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Error(err)
	}
}

func TestSecretsAreOfTheirForm(t *testing.T) {
	for text, want := range map[string]bool{
		secret: true, secret + "\n": true, "": false, "hunter2": false, "whsec_": false, "whsec_!!!": false,
		"whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 23)): false,
		"whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 65)): false,
	} {
		if _, err := ParseSecret(text); (err == nil) != want {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// post is a mail server that keeps what it gets.
type post struct {
	mu   sync.Mutex
	mail []string
	fail error
}

func (p *post) NewSession(*smtp.Conn) (smtp.Session, error) { return &letter{post: p}, nil }

type letter struct {
	*post
	known bool
	to    []string
}

func (l *letter) AuthMechanisms() []string { return []string{sasl.Plain} }

func (l *letter) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "cordon" || password != "correct horse" {
			return errors.New("no")
		}
		l.known = true
		return nil
	}), nil
}

func (l *letter) Mail(string, *smtp.MailOptions) error {
	if !l.known {
		return smtp.ErrAuthRequired
	}
	return nil
}

func (l *letter) Rcpt(to string, _ *smtp.RcptOptions) error {
	l.to = append(l.to, to)
	return nil
}

func (l *letter) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return l.fail
	}
	l.mail = append(l.mail, fmt.Sprint(l.to, "\n", string(text)))
	return nil
}

func (*letter) Reset()        {}
func (*letter) Logout() error { return nil }

// mailServer serves SMTP: with STARTTLS, with TLS from the first byte, or with
// none.
func mailServer(t *testing.T, how string) (*post, Email) {
	t.Helper()
	keys := httptest.NewTLSServer(nil) // its certificate is of 127.0.0.1
	t.Cleanup(keys.Close)
	p := &post{}
	server := smtp.NewServer(p)
	server.Domain, server.ReadTimeout, server.WriteTimeout = "localhost", 5*time.Second, 5*time.Second
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	switch config := keys.TLS.Clone(); how {
	case "starttls":
		config.NextProtos = nil
		server.TLSConfig = config
	case "implicit":
		config.NextProtos = nil
		l = tls.NewListener(l, config)
	case "none":
		server.AllowInsecureAuth = true
	}
	go server.Serve(l) // ends with Close
	t.Cleanup(func() { server.Close() })
	return p, Email{
		Server: l.Addr().String(), Implicit: how == "implicit", TLS: trusting(keys), User: "cordon",
		Password: func() (string, error) { return "correct horse", nil }, From: "cordon@example.org", To: []string{"desk@example.org", "it@example.org"},
	}
}

func TestMailArrivesOverTLSAlone(t *testing.T) {
	for _, how := range []string{"starttls", "implicit"} {
		p, e := mailServer(t, how)
		if err := e.Send(t.Context(), one); err != nil {
			t.Errorf("%s: %v", how, err)
			continue
		}
		for _, want := range []string{
			"[desk@example.org it@example.org]", "Subject: [Cordon, Test Hospital] CRITICAL: An archive does not answer. (pacs)", "Message-ID: <m1@cordon>",
			"Auto-Submitted: auto-generated", "What to do: See whether it runs.", "Alarm 7, archive.away; met 3 times",
		} {
			if text := strings.NewReplacer("=\r\n", "", "\r\n ", " ").Replace(p.mail[0]); !strings.Contains(text, want) {
				t.Errorf("%s: no %q in\n%s", how, want, text)
			}
		}
	}
	p, e := mailServer(t, "none")
	if err := e.Send(t.Context(), one); err == nil || len(p.mail) > 0 {
		t.Error("mail, and a password, over a connection that is not encrypted:", err)
	}
}

func TestMailServersThatMisbehave(t *testing.T) {
	p, e := mailServer(t, "starttls")
	p.fail = &smtp.SMTPError{Code: 452, Message: "no room"}
	if err := e.Send(t.Context(), one); err == nil || !strings.Contains(err.Error(), "no room") {
		t.Error(err)
	}
	e.Password = func() (string, error) { return "wrong", nil }
	if err := e.Send(t.Context(), one); err == nil || strings.Contains(err.Error(), "wrong") {
		t.Error(err)
	}
	e.TLS = nil
	if err := e.Send(t.Context(), one); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Error(err)
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	e.Server = silent.Addr().String()
	ctx, cancel := contextOf(t, 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := e.Send(ctx, one); err == nil || time.Since(began) > 10*time.Second {
		t.Error(err, time.Since(began))
	}
}

func TestHeadersCannotBeInjected(t *testing.T) {
	p, e := mailServer(t, "starttls")
	m := one
	m.Site = "Evil\r\nBcc: eve@example.org\r\n\r\nbody"
	if err := e.Send(t.Context(), m); err != nil {
		return // refusing is as well
	}
	if strings.Contains(p.mail[0], "\nBcc:") {
		t.Error(p.mail[0])
	}
}

func TestSyslogHasOneLineForEachEvent(t *testing.T) {
	keys := httptest.NewTLSServer(nil)
	defer keys.Close()
	config := keys.TLS.Clone()
	config.NextProtos = nil
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got := make(chan []string, 1)
	go func() { // ends with the session
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		got <- frames(c)
	}()
	m := one
	m.Events = append(m.Events, Event{What: alarm.Over, Alarm: 8, Kind: "engine.down", Severity: alarm.Warning, Subject: `a" b`, Means: "x."})
	way := Syslog{atna.Target{Network: atna.TLS, Format: atna.Syslog, Address: l.Addr().String(), TLS: trusting(keys)}}
	if err := way.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	lines := <-got
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "<82>1 2023-11-14T22:13:20.000Z ") || !strings.Contains(lines[0], ` cordon - ALARM - id=m1 what=raised severity=critical alarm=7 `) ||
		!strings.Contains(lines[0], `subject="pacs"`) || !strings.HasPrefix(lines[1], "<84>1 ") || !strings.Contains(lines[1], `subject="a\" b"`) {
		t.Errorf("%q", lines)
	}
}

// frames reads octet-counted messages (RFC 5425 §4.3) to the end.
func frames(r io.Reader) (all []string) {
	in := bufio.NewReader(r)
	for {
		var n int
		if _, err := fmt.Fscanf(in, "%d ", &n); err != nil || n > 1<<20 {
			return all
		}
		var b bytes.Buffer
		if _, err := io.CopyN(&b, in, int64(n)); err != nil {
			return all
		}
		all = append(all, b.String())
	}
}

func contextOf(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }
