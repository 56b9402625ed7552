package notice

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Webhook posts messages as JSON, signed by the Standard Webhooks specification
// (standardwebhooks.com, symmetric signatures): the headers webhook-id,
// webhook-timestamp (seconds since 1970) and webhook-signature, "v1," and the
// base 64 of HMAC-SHA256 over ID.TIMESTAMP.BODY. A receiver refuses a timestamp
// of more than five minutes ago, and an id that it has seen.
//
// The receiver has the message once it answered 2xx. A redirect is a failure, so
// that nobody else gets a signed message, and so is an answer whose first 64 KiB do
// not come in time; what follows them is not read.
type Webhook struct {
	URL    string
	Secret func() ([]byte, error) // asked for each message, so that a file may be replaced; see ParseSecret
	TLS    func() *tls.Config     // asked for each message; nil: the machine's authorities
}

// Name is "webhook".
func (Webhook) Name() string { return "webhook" }

const (
	webhookTime = 15 * time.Second
	maxAnswer   = 64 << 10
)

// ParseSecret reads a secret as the specification writes it: whsec_ and base 64 of
// 24 to 64 bytes.
func ParseSecret(text string) ([]byte, error) {
	coded, ok := strings.CutPrefix(strings.TrimSpace(text), "whsec_")
	secret, err := base64.StdEncoding.DecodeString(coded)
	if !ok || err != nil || len(secret) < 24 || len(secret) > 64 {
		return nil, errors.New(`expected "whsec_" and base 64 of 24 to 64 bytes; make one with: printf 'whsec_%s\n' "$(openssl rand -base64 32)"`)
	}
	return secret, nil
}

// Send posts a message.
func (w Webhook) Send(ctx context.Context, m Message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	secret, err := w.Secret()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, webhookTime)
	defer cancel()
	rq, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(body))
	if err != nil {
		return errors.New("the address is not valid")
	}
	at := strconv.FormatInt(time.Now().Unix(), 10)
	rq.Header.Set("Content-Type", "application/json")
	rq.Header.Set("User-Agent", "Cordon")
	rq.Header.Set("Webhook-Id", m.ID)
	rq.Header.Set("Webhook-Timestamp", at)
	rq.Header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(sign(secret, m.ID, at, body)))
	rsp, err := w.client().Do(rq)
	if err != nil {
		return withoutURL(err)
	}
	defer rsp.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(rsp.Body, maxAnswer)); err != nil {
		return fmt.Errorf("reading the answer %d: %w", rsp.StatusCode, err)
	}
	if rsp.StatusCode < 200 || rsp.StatusCode > 299 {
		return fmt.Errorf("the receiver answered %d %s, not 2xx", rsp.StatusCode, http.StatusText(rsp.StatusCode))
	}
	return nil
}

// sign is the HMAC of a message.
func sign(secret []byte, id, at string, body []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%s.%s.", id, at)
	mac.Write(body)
	return mac.Sum(nil)
}

// client follows nothing, keeps nothing, and asks no proxy.
func (w Webhook) client() *http.Client {
	var config *tls.Config
	if w.TLS != nil {
		config = w.TLS()
	}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			TLSClientConfig:        config,
			TLSHandshakeTimeout:    10 * time.Second,
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: 16 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// withoutURL is an error of HTTP without the address, which may hold a secret.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
