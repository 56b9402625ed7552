package login

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cordon/console/guard"
	"cordon/console/route"
	"cordon/console/view"
	"cordon/custody"
	"cordon/people"
	"cordon/store"
)

type noJournal struct{}

func (noJournal) Append(*store.Tx, string, any) error { return nil }

const password = "four words of one's own"

// door is a served Login, with a page of decisions behind it.
type door struct {
	*httptest.Server
	accounts *people.Accounts
	db       *store.DB
	done     []url.Values // what was decided
	client   *http.Client
}

func newDoor(t *testing.T) *door {
	t.Helper()
	db, err := store.OpenDB(t.Context(), filepath.Join(t.TempDir(), "cordon.db"), []store.Migrations{people.Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	d := &door{db: db}
	if d.accounts, err = people.Open(t.Context(), db, noJournal{}, people.Options{Cost: people.Cost{KiB: 8, Passes: 1}}); err != nil {
		t.Fatal(err)
	}
	l := New(Parts{Accounts: d.accounts, View: view.New(view.Config{Site: "Test"})})
	g := guard.New(guard.Config{Accounts: d.accounts, Refuse: l.Refuse})
	mux := http.NewServeMux()
	for _, rt := range append(l.Routes(), route.Route{Method: "POST", Pattern: "/held/{id}/release", May: people.HeldDecide, Fresh: true, Handler: d.decide},
		route.Route{Method: "GET", Pattern: "/held", May: people.HeldRead, Handler: func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "what is held") }}) {
		mux.Handle(rt.Method+" "+rt.Pattern, g.TCP(rt))
	}
	d.Server = httptest.NewServer(mux)
	t.Cleanup(d.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	d.client = &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	link, err := d.accounts.SetupLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if status, _, _ := d.post(t, "/setup", url.Values{"link": {link.Secret}, "name": {"A. Able"}, "password": {password}, "password-again": {password}}); status != http.StatusSeeOther {
		t.Fatal(status)
	}
	return d
}

func (d *door) decide(w http.ResponseWriter, r *http.Request) {
	r.ParseForm()
	d.done = append(d.done, r.PostForm)
	http.Redirect(w, r, "/held", http.StatusSeeOther)
}

func (d *door) do(t *testing.T, r *http.Request) (status int, to, body string) {
	t.Helper()
	rsp, err := d.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer rsp.Body.Close()
	text, err := io.ReadAll(rsp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return rsp.StatusCode, rsp.Header.Get("Location"), string(text)
}

func (d *door) get(t *testing.T, path string, headers ...string) (status int, to, body string) {
	t.Helper()
	r, err := http.NewRequest("GET", d.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return d.do(t, r)
}

func (d *door) post(t *testing.T, path string, form url.Values, headers ...string) (status int, to, body string) {
	t.Helper()
	r, err := http.NewRequest("POST", d.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return d.do(t, r)
}

// age moves sessions into the past.
func (d *door) age(t *testing.T, by time.Duration) {
	t.Helper()
	err := d.db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE people_session SET signed_in_at = signed_in_at - ?1, used_at = used_at - ?1`, by.Microseconds())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

var release = url.Values{"reason": {`a "false" <alarm>`}, "emergency": {"yes"}, "tag": {"1", "2"}}

func TestDecisionOfWhoSignedInLongAgoComesBack(t *testing.T) {
	d := newDoor(t)
	d.age(t, 6*time.Minute)
	status, _, body := d.post(t, "/held/17/release", release)
	if status != http.StatusUnauthorized || len(d.done) != 0 || !strings.Contains(body, `name="kept.reason" value="a &#34;false&#34; &lt;alarm&gt;"`) {
		t.Fatal(status, d.done, body)
	}
	kept := url.Values{"kept": {"/held/17/release"}, "kept.reason": release["reason"], "kept.emergency": {"yes"}, "kept.tag": {"1", "2"}, "password": {"wrong"}}
	if status, _, body = d.post(t, "/again", kept); status != http.StatusUnauthorized || !strings.Contains(body, "kept.reason") {
		t.Fatal("a wrong password lost the form:", status, body)
	}
	kept.Set("password", password)
	status, _, body = d.post(t, "/again", kept)
	if status != http.StatusOK || len(d.done) != 0 || !strings.Contains(body, `action="/held/17/release"`) || !strings.Contains(body, `name="reason" value="a &#34;false&#34; &lt;alarm&gt;"`) {
		t.Fatal(status, d.done, body)
	}
	if status, to, _ := d.post(t, "/held/17/release", release); status != http.StatusSeeOther || to != "/held" || len(d.done) != 1 || d.done[0].Encode() != release.Encode() {
		t.Error(status, to, d.done)
	}
}

// A form with files is not kept, and whoever sent it is told how to get back to what
// they typed: in the browser, which still has it.
func TestFormWithFilesIsNotKeptAndSaysSo(t *testing.T) {
	d := newDoor(t)
	d.age(t, 6*time.Minute)
	for _, ended := range []bool{false, true} {
		if ended {
			d.age(t, 24*time.Hour)
		}
		r, err := http.NewRequest("POST", d.URL+"/held/1/release", strings.NewReader("--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"scan.txt\"\r\n\r\nclean\r\n--b--\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
		status, _, body := d.do(t, r)
		if status != 401 || !strings.Contains(body, "go back in your browser") || !strings.Contains(body, `target="_blank"`) || !strings.Contains(body, `name="password"`) || strings.Contains(body, "scan.txt") {
			t.Errorf("ended %v: %d %s", ended, status, body)
		}
	}
	if len(d.done) > 0 {
		t.Error(d.done)
	}
}

func TestFormOfASessionThatEndedComesBack(t *testing.T) {
	d := newDoor(t)
	d.age(t, time.Hour)
	status, _, body := d.post(t, "/held/17/release", release)
	if status != http.StatusUnauthorized || len(d.done) != 0 || !strings.Contains(body, "kept.reason") {
		t.Fatal(status, body)
	}
	status, _, body = d.post(t, "/login", url.Values{"name": {"a able"}, "password": {password}, "kept": {"/held/17/release"}, "kept.reason": release["reason"]})
	if status != http.StatusOK || !strings.Contains(body, `action="/held/17/release"`) || len(d.done) != 0 {
		t.Error(status, body)
	}
}

func TestHtmxGetsThePageToo(t *testing.T) {
	d := newDoor(t)
	d.age(t, 6*time.Minute)
	r, _ := http.NewRequest("POST", d.URL+"/held/17/release", strings.NewReader(release.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("HX-Request", "true")
	rsp, err := d.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	rsp.Body.Close()
	if rsp.StatusCode != http.StatusOK || rsp.Header.Get("HX-Retarget") != "body" || len(d.done) != 0 {
		t.Error(rsp.Status, rsp.Header)
	}
}

func TestSecretsOfAFormAreNotKept(t *testing.T) {
	d := newDoor(t)
	d.age(t, 6*time.Minute)
	if _, _, body := d.post(t, "/me/password", url.Values{"password": {"a new sentence of mine"}, "password-again": {"a new sentence of mine"}, "x": {"y"}}); strings.Contains(body, "a new sentence") || !strings.Contains(body, "kept.x") {
		t.Error(body)
	}
}

func TestSignInLeadsBackAndNowhereElse(t *testing.T) {
	d := newDoor(t)
	d.age(t, time.Hour)
	if status, to, _ := d.get(t, "/held?page=2"); status != http.StatusSeeOther || to != "/login?then=%2Fheld%3Fpage%3D2" {
		t.Error(status, to)
	}
	for then, want := range map[string]string{
		"/held?page=2": "/held?page=2", "": "/", "//evil.example": "/", "https://evil.example/": "/", `/\evil.example`: "/", "javascript:alert(1)": "/",
		"/\t/evil.example": "/", "///evil": "/", "http:/held": "/", "/%2F/evil": "/", "held": "/", "/a\r\nSet-Cookie: x=y": "/", "/held#x": "/held#x",
	} {
		if got := local(then); got != want {
			t.Errorf("%q leads to %q", then, got)
		}
	}
	if status, to, _ := d.post(t, "/login", url.Values{"name": {"A. Able"}, "password": {password}, "then": {"//evil.example"}}); status != http.StatusSeeOther || to != "/" {
		t.Error(status, to)
	}
	if _, _, body := d.post(t, "/login", url.Values{"name": {"A. Able"}, "password": {password}, "kept": {"https://evil.example/steal"}, "kept.reason": {"x"}}); strings.Contains(body, "evil.example") {
		t.Error(body)
	}
}

func FuzzLocal(f *testing.F) {
	for _, s := range []string{"/", "//x", "/\\x", "/held?a=b#c", "/a/../..//x"} {
		f.Add(s)
	}
	base, _ := url.Parse("https://cordon.example/login")
	f.Fuzz(func(t *testing.T, then string) {
		to := local(then)
		u, err := base.Parse(to)
		if err != nil || u.Host != base.Host || u.Scheme != base.Scheme {
			t.Errorf("%q leads to %q", then, to)
		}
	})
}

// A link in web mail has the browser keep the cookie for itself, once.
func TestLinkFromAnotherSiteIsFollowedFromHere(t *testing.T) {
	d := newDoor(t)
	d.client.Jar = nil
	if status, _, body := d.get(t, "/held", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"); status != http.StatusOK || !strings.Contains(body, `url=/held"`) {
		t.Error(status, body)
	}
	if status, to, _ := d.get(t, "/held", "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate"); status != http.StatusSeeOther || !strings.HasPrefix(to, "/login") {
		t.Error("it goes round and round:", status, to)
	}
}

func TestCookiesAreForUsAlone(t *testing.T) {
	d := newDoor(t)
	check := func(secure bool, prefix string) {
		r := httptest.NewRequest("POST", "/login", strings.NewReader(url.Values{"name": {"A. Able"}, "password": {password}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if !secure {
			r.TLS = nil
		} else {
			r = httptest.NewRequest("POST", "https://cordon.example/login", strings.NewReader(url.Values{"name": {"A. Able"}, "password": {password}}.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		w := httptest.NewRecorder()
		d.Config.Handler.ServeHTTP(w, r)
		all := w.Result().Cookies()
		if len(all) != 2 {
			t.Fatal(w.Code, all)
		}
		for _, c := range all {
			if !strings.HasPrefix(c.Name, prefix+"cordon") || c.Secure != secure || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" {
				t.Errorf("%+v", c)
			}
		}
	}
	check(true, "__Host-")
	check(false, "")
}

func TestSecretChangesAtEachSignIn(t *testing.T) {
	d := newDoor(t)
	u, _ := url.Parse(d.URL)
	fixed := &http.Cookie{Name: "cordon", Value: "chosen-by-another", Path: "/"}
	d.client.Jar.SetCookies(u, []*http.Cookie{fixed})
	if status, _, _ := d.post(t, "/login", url.Values{"name": {"A. Able"}, "password": {password}}); status != http.StatusSeeOther {
		t.Fatal(status)
	}
	for _, c := range d.client.Jar.Cookies(u) {
		if c.Name == "cordon" && c.Value == fixed.Value {
			t.Error("the secret was chosen by another")
		}
	}
}

func TestTooManyGuessesAreToldToWait(t *testing.T) {
	d := newDoor(t)
	d.client.Jar = nil
	for range 20 {
		if status, _, body := d.post(t, "/login", url.Values{"name": {"A. Able"}, "password": {"guess"}}); status == http.StatusTooManyRequests {
			if !strings.Contains(body, "try again in") {
				t.Error(body)
			}
			return
		}
	}
	t.Error("twenty guesses and no wait")
}

func TestSealIsGoodOnceForOneThing(t *testing.T) {
	s := newSealer()
	text, err := s.seal("a", "value")
	if err != nil {
		t.Fatal(err)
	}
	var v string
	if s.open("b", text, &v) == nil || newSealer().open("a", text, &v) == nil || s.open("a", "", &v) == nil {
		t.Error("opened what is not for this")
	}
	for _, last := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
		if other := text[:len(text)-1] + string(last); other != text && s.open("a", other, &v) == nil {
			t.Errorf("opened %q for %q", other, text)
		}
	}
	if err := s.open("a", text, &v); err != nil || v != "value" {
		t.Error(v, err)
	}
	s.spend(text)
	if s.open("a", text, &v) == nil {
		t.Error("good twice")
	}
}

// What never ends, ends with the session.
func TestStreamEndsWithTheSession(t *testing.T) {
	d := newDoor(t)
	g := guard.New(guard.Config{Accounts: d.accounts, Every: 20 * time.Millisecond})
	begun, ended := make(chan struct{}), make(chan error, 1)
	h := g.TCP(route.Route{Method: "GET", Pattern: "/stream", May: people.FlowRead, Handler: func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
		defer cancel()
		close(begun)
		<-ctx.Done()
		ended <- r.Context().Err()
	}})
	r := httptest.NewRequest("GET", "/stream", nil)
	r.Header.Set("Accept", "text/event-stream")
	u, _ := url.Parse(d.URL)
	for _, c := range d.client.Jar.Cookies(u) {
		r.AddCookie(c)
	}
	go h.ServeHTTP(httptest.NewRecorder(), r)
	<-begun
	if err := d.accounts.EndSession(t.Context(), "A. Able", only(t, d), custody.Request{By: "B. Best", Reason: "r"}); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("it goes on")
	}
}

// only is the one session of A. Able.
func only(t *testing.T, d *door) string {
	t.Helper()
	v, err := d.accounts.Get(t.Context(), "A. Able")
	if err != nil {
		t.Fatal(err)
	}
	all, err := d.accounts.Sessions(t.Context(), v.ID)
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	return all[0].ID
}
