package interop

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cordon/interop/ports"
)

// issuer is an OpenID Connect provider of someone else's (oidc-provider).
type issuer struct {
	url     string
	process *process
}

// startIssuer starts one that signs with the first of some keys and announces them all.
func startIssuer(t *testing.T, port int, keys ...string) *issuer {
	t.Helper()
	dir, err := webDir()
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{url: fmt.Sprintf("http://127.0.0.1:%d", port)}
	i.process = launch(t, "node", append([]string{filepath.Join(dir, "issuer.mjs"), fmt.Sprint(port)}, keys...)...)
	await(t, "the issuer", func() bool { return strings.Contains(i.process.printed(), "ready") })
	return i
}

// publish copies its keys to a file, as its users do.
func (i *issuer) publish(t *testing.T, file string) {
	t.Helper()
	_, keys := ask(t, "GET", i.url+"/jwks", "", "", nil)
	write(t, file+".new", keys)
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// token is an access token for a client itself (RFC 6749 §4.4).
func (i *issuer) token(t *testing.T, client, audience, scope string) string {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {client}, "client_secret": {client}, "resource": {"urn:" + audience}, "scope": {scope}}
	status, text := ask(t, "POST", i.url+"/token", "", "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil || answer.Token == "" {
		t.Fatalf("the issuer answered %d %s", status, text)
	}
	return answer.Token
}

// ask sends one request, with a bearer token if there is one.
func ask(t *testing.T, method, address, token, contentType string, body io.Reader) (status int, text string) {
	t.Helper()
	rq, err := http.NewRequestWithContext(t.Context(), method, address, body)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		rq.Header.Set("Authorization", "Bearer "+token)
	}
	if contentType != "" {
		rq.Header.Set("Content-Type", contentType)
	}
	client := http.Client{Timeout: 30 * time.Second}
	rsp, err := client.Do(rq)
	if err != nil {
		t.Fatal(err)
	}
	defer rsp.Body.Close()
	answer, err := io.ReadAll(rsp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return rsp.StatusCode, strings.TrimSpace(rsp.Header.Get("WWW-Authenticate") + "\n" + string(answer))
}

// TestTokensOfARealIssuer: who has a token of an OpenID Connect provider may do what its scopes permit, a device no
// more than its may list besides; keys change while Cordon runs, and the issuer is never asked.
func TestTokensOfARealIssuer(t *testing.T) {
	archive, port := startWebArchive(t, nil), ports.Free(t)
	keys := filepath.Join(t.TempDir(), "jwks.json")
	first := startIssuer(t, port, "one")
	first.publish(t, keys)
	c := newCordon(t, nil)
	listen := fmt.Sprintf("127.0.0.1:%d", ports.Free(t))
	write(t, c.config, fmt.Sprintf(`data: %s
gateway:
  listen: '%s'
  web:
    listen: '%s'
    tokens:
      - {issuer: '%s', audience: cordon, jwks: '%s', scopes: {imaging.read: [query, retrieve], imaging.write: [store]}}
console: {listen: '%s'}
archives: [{name: pacs, ae_title: %s, address: '%s', dicomweb: '%s/dicom-web'}]
devices: [{name: ai, subjects: [ai], may: [query]}]
`, c.Dir, c.Address, listen, first.url, keys, strings.TrimPrefix(c.Console, "http://"), archive.AETitle, archive.Address, archive.HTTP))
	c.start(t)
	base := "http://" + listen + "/dicom-web"
	study, files := headStudy(t, 1, -1)
	object, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	query := func(token, want string, status int) {
		t.Helper()
		got, text := ask(t, "GET", base+"/studies?StudyInstanceUID="+string(study), token, "", nil)
		if got != status || !strings.Contains(text, want) {
			t.Errorf("QIDO-RS: %d %q, want %d %q", got, text, status, want)
		}
	}
	stow := func(token, want string, status int) {
		t.Helper()
		part := "--b\r\nContent-Type: application/dicom\r\n\r\n" + string(object) + "\r\n--b--\r\n"
		got, text := ask(t, "POST", base+"/studies", token, `multipart/related; type="application/dicom"; boundary=b`, strings.NewReader(part))
		if got != status || !strings.Contains(text, want) {
			t.Errorf("STOW-RS: %d %q, want %d %q", got, text, status, want)
		}
	}
	all := "imaging.read imaging.write"
	query("", `Bearer realm="dicomweb"`, http.StatusUnauthorized)
	stow(first.token(t, "stranger", "cordon", "imaging.read"), "insufficient_scope", http.StatusForbidden)
	stow(first.token(t, "ai", "cordon", all), "not permitted", http.StatusForbidden)
	stow(first.token(t, "stranger", "cordon", all), "00081199", http.StatusOK)
	query(first.token(t, "stranger", "cordon", "imaging.read"), string(study), http.StatusOK)
	query(first.token(t, "ai", "cordon", all), string(study), http.StatusOK)
	query(first.token(t, "ai", "elsewhere", all), "another audience", http.StatusUnauthorized)
	query(first.token(t, "ai", "cordon", "imaging.write"), "insufficient_scope", http.StatusForbidden)
	good := first.token(t, "stranger", "cordon", all)
	query(good[:len(good)-8]+"AAAAAAAA", "invalid_token", http.StatusUnauthorized)

	first.process.kill() // nobody asks it
	query(good, string(study), http.StatusOK)
	second := startIssuer(t, port, "ec-two")
	query(second.token(t, "stranger", "cordon", all), "no such key", http.StatusUnauthorized)
	second.publish(t, keys)
	query(second.token(t, "stranger", "cordon", all), string(study), http.StatusOK)
	query(good, "no such key", http.StatusUnauthorized)
}
