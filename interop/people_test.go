package interop

import (
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cordon/interop/browser"
	"cordon/interop/ports"
)

// site is the console as browsers are to ask for it: passkeys want a name.
func (c *cordon) site() string { return strings.Replace(c.Console, "127.0.0.1", "localhost", 1) }

// setupLink is the link by which the first administrator makes an account.
func (c *cordon) setupLink(t *testing.T) string {
	t.Helper()
	var link []byte
	await(t, "the set-up link", func() (there bool) {
		var err error
		link, err = os.ReadFile(filepath.Join(c.Dir, "setup-link"))
		return err == nil
	})
	return strings.TrimSpace(string(link))
}

// picture keeps a picture where somebody wants to look.
func picture(p *browser.Page, name string) {
	if dir := os.Getenv("CORDON_SHOTS"); dir != "" {
		p.Shot(filepath.Join(dir, name+".png"))
	}
}

// sound fails if a page breaks a rule of accessibility, complains, or asked others.
func sound(t *testing.T, p *browser.Page, what string) {
	t.Helper()
	for _, v := range p.Axe() {
		t.Errorf("%s: %s", what, v)
	}
	if s := p.Seen(); len(s.Errors)+len(s.Foreign) > 0 {
		t.Errorf("%s: %v %v", what, s.Errors, s.Foreign)
	}
}

// The first administrator comes by the set-up link and a passkey, signs out and in
// again by it, invites somebody, who chooses a password; then a decision asks for its
// maker again in mid-form, and the form is still there.
func TestPeopleComeInByPasskeyAndPassword(t *testing.T) {
	t.Parallel()
	c := startCordon(t, nil)
	b := browser.Open(t)
	admin := b.Page(browser.Desktop)
	admin.Passkeys()
	link := c.setupLink(t)
	admin.Goto(link)
	sound(t, admin, "set-up")
	picture(admin, "setup")
	admin.Fill("form[data-begin] [name=name]", "A. Able")
	admin.Fill("form[data-begin] [name=label]", "blue key")
	admin.Click("form[data-begin] button")
	admin.Wait("form[action='/me/tokens']")
	if admin.Goto(link) != http.StatusUnauthorized {
		t.Error("the set-up link is good twice")
	}

	admin.Goto(c.site() + "/me")
	sound(t, admin, "one's own page")
	picture(admin, "me")
	admin.Click("form[action='/logout'] button")
	admin.Goto(c.site() + "/people")
	sound(t, admin, "to sign in")
	picture(admin, "login")
	admin.Click("form[data-begin] button")
	admin.Wait("form[action='/people']")
	sound(t, admin, "people")
	picture(admin, "people")
	admin.Fill("form[action='/people'] [name=name]", "B. Best")
	admin.Click("[name=role][value=pacs]")
	admin.Fill("form[action='/people'] [name=reason]", "new in the PACS team")
	admin.Click("form[action='/people'] button")
	picture(admin, "people-invited")
	invited := admin.Text("section code")

	best := b.Page(browser.Desktop)
	best.Goto(invited)
	sound(t, best, "an invitation")
	picture(best, "invited")
	for password, takes := range map[string]bool{"password1234": false} {
		best.Fill("form[action='/setup'] [name=password]", password)
		best.Fill("form[action='/setup'] [name=password-again]", password)
		best.Click("form[action='/setup'] button")
		if takes != (best.Count("[role=alert]") == 0) {
			t.Errorf("%q: %s", password, best.Text("main"))
		}
	}
	picture(best, "invited-refused")
	const password = "four words of one's own"
	best.Fill("form[action='/setup'] [name=password]", password)
	best.Fill("form[action='/setup'] [name=password-again]", password)
	best.Click("form[action='/setup'] button")
	best.Wait("form[action='/me/tokens']")

	if status := best.Goto(c.site() + "/settings"); status != http.StatusOK {
		t.Error("settings:", status)
	}
	if status := best.Goto(c.site() + "/people"); status != http.StatusForbidden || !strings.Contains(best.Text("main"), "Administrator") {
		t.Error("who may:", status, best.Text("main"))
	}
	readable(t, best, "forbidden")
	picture(best, "forbidden")

	c.endSessions(t, "B. Best")
	best.Goto(c.site() + "/me")
	best.Fill("[name=name]", "b best")
	best.Fill("[name=password]", password)
	best.Click("form[action='/login'] button")
	best.Wait("form[action='/me/tokens']")
	best.Fill("form[action='/me/role'] [name=reason]", "nobody of security can be reached")
	c.endSessions(t, "B. Best")
	best.Click("form[action='/me/role'] button")
	readable(t, best, "an ended session in mid-form")
	picture(best, "kept")
	best.Fill("[name=name]", "B. Best")
	best.Fill("[name=password]", password)
	best.Click("form[action='/login'] button")
	if !strings.Contains(best.Text("main"), "nobody of security can be reached") {
		t.Fatal("the form is lost:", best.Text("main"))
	}
	readable(t, best, "the form is back")
	picture(best, "goon")
	best.Click("#goon button")
	if !strings.Contains(best.Text("main"), "IT security") {
		t.Error("the role was not taken:", best.Text("main"))
	}
	admin.Goto(c.site() + "/people")
	if !strings.Contains(admin.Text("#emergencies"), "nobody of security can be reached") {
		t.Error(admin.Text("#emergencies"))
	}
	picture(admin, "people-emergency")
	admin.Fill("#emergencies [name=reason]", "looked at the ledger: nothing was released")
	admin.Click("#emergencies button")
	if !strings.Contains(admin.Text("#emergencies"), "reviewed by A. Able") {
		t.Error(admin.Text("main"))
	}
	admin.Goto(c.site() + "/people/B.%20Best")
	sound(t, admin, "somebody")
	picture(admin, "person")
}

// readable is sound for a page that was answered with an error, which browsers say.
func readable(t *testing.T, p *browser.Page, what string) {
	t.Helper()
	for _, v := range p.Axe() {
		t.Errorf("%s: %s", what, v)
	}
}

// endSessions ends those of somebody, as time would.
func (c *cordon) endSessions(t *testing.T, name string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(c.Dir, "cordon.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`UPDATE people_session SET used_at = 0 WHERE account = (SELECT id FROM people_account WHERE name = ?)`, name); err != nil {
		t.Fatal(err)
	}
}

// Somebody signs in with a real issuer: groups give roles, none gives no access, and a
// changed name changes nobody.
func TestPeopleSignInElsewhere(t *testing.T) {
	t.Parallel()
	dir, err := webDir()
	if err != nil {
		t.Fatal(err)
	}
	c := newCordon(t, nil)
	port := ports.Free(t)
	issuer := fmt.Sprintf("http://127.0.0.1:%d", port)
	secret := filepath.Join(t.TempDir(), "secret")
	write(t, secret, "secret of the client\n")
	text, err := os.ReadFile(c.config)
	if err != nil {
		t.Fatal(err)
	}
	write(t, c.config, strings.Replace(string(text), "console: {", fmt.Sprintf("console: {url: '%s', oidc: {issuer: '%s', client_id: cordon, client_secret_file: '%s', groups: {imaging: pacs, audit: auditor}}, ", c.site(), issuer, secret), 1))
	c.start(t)
	provider := launch(t, "node", filepath.Join(dir, "people.mjs"), fmt.Sprint(port), c.site()+"/login/oidc/back")
	await(t, "the issuer", func() bool { return strings.Contains(provider.printed(), "ready") })
	b := browser.Open(t)
	admin := b.Page(browser.Desktop)
	admin.Goto(c.setupLink(t))
	admin.Fill("form[action='/setup'] [name=name]", "A. Able")
	admin.Fill("form[action='/setup'] [name=password]", "four words of one's own")
	admin.Fill("form[action='/setup'] [name=password-again]", "four words of one's own")
	admin.Click("form[action='/setup'] button")
	admin.Wait("form[action='/me/tokens']")

	// come signs in at the issuer, and returns what the console says then.
	come := func(p *browser.Page, login string) string {
		p.Goto(c.site() + "/login?then=/me")
		picture(p, "login-issuer")
		p.Click("a[href^='/login/oidc']")
		p.Fill("[name=login]", login)
		p.Fill("[name=password]", "any")
		p.Click("button[type=submit]")
		p.Click("button[type=submit]") // what the client may know
		p.Wait("main")
		return p.Text("main")
	}
	clark := b.Page(browser.Desktop)
	if says := come(clark, "C. Clark+imaging+staff"); !strings.Contains(says, "C. Clark") || !strings.Contains(says, "PACS administrator") || strings.Contains(says, "Auditor") {
		t.Fatal(says)
	}
	clark.Goto(c.site() + "/me")
	picture(clark, "me-issuer")
	if says := come(b.Page(browser.Desktop), "D. Doe+staff"); !strings.Contains(says, "none of your groups has a role") {
		t.Error(says)
	}
	if says := come(b.Page(browser.Desktop), "A. Able+imaging"); !strings.Contains(says, "too like") {
		t.Error("somebody came as another:", says)
	}
	// A decision: the issuer is asked to have them say who they are, though it knows.
	clark.Goto(c.site() + "/login/oidc?then=/me")
	if clark.Count("[name=login]") != 1 {
		t.Error("the issuer did not ask again:", clark.HTML())
	}
	// An answer to nobody's attempt is no answer.
	stranger := b.Page(browser.Desktop)
	if status := stranger.Goto(c.site() + "/login/oidc/back?code=x&state=y"); status != http.StatusUnauthorized {
		t.Error(status)
	}
	if list := c.cli(t, "person", "list"); !strings.Contains(list.out, "C. Clark") || strings.Contains(list.out, "D. Doe") {
		t.Error(list)
	}
	if strings.Contains(c.process.printed(), "secret of the client") {
		t.Error("the client's secret is in the log")
	}
}
