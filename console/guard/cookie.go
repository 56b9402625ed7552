package guard

import (
	"net/http"
	"time"
)

// The cookies of the console. Over TLS they have the prefix by which browsers see to
// it that no other host and no plain connection sets them (RFC 6265bis §4.1.3.2).
const (
	sessionCookie = "cordon"
	browserCookie = "cordon-browser"
	awayCookie    = "cordon-away"
	prefix        = "__Host-"
)

func name(r *http.Request, cookie string) string {
	if r.TLS != nil {
		return prefix + cookie
	}
	return cookie
}

// Secret is that of the session of a request, "" without one.
func Secret(r *http.Request) string { return read(r, sessionCookie) }

// Browser is the secret by which a browser is known again.
func Browser(r *http.Request) string { return read(r, browserCookie) }

func read(r *http.Request, cookie string) string {
	all := r.CookiesNamed(name(r, cookie))
	if len(all) != 1 { // two are one too many: somebody planted one
		return ""
	}
	return all[0].Value
}

// Keep gives a browser the secrets of a session, which ends with the browser, and of
// the browser itself.
func Keep(w http.ResponseWriter, r *http.Request, session, browser string, term time.Duration) {
	set(w, r, sessionCookie, session, 0)
	if browser != "" {
		set(w, r, browserCookie, browser, int(term.Seconds()))
	}
}

// Forget takes the session's from a browser.
func Forget(w http.ResponseWriter, r *http.Request) { set(w, r, sessionCookie, "", -1) }

func set(w http.ResponseWriter, r *http.Request, cookie, value string, age int) {
	c := baked(r, cookie, value)
	c.MaxAge = age
	http.SetCookie(w, c)
}

func baked(r *http.Request, cookie, value string) *http.Cookie {
	return &http.Cookie{Name: name(r, cookie), Value: value, Path: "/", Secure: r.TLS != nil, HttpOnly: true, SameSite: http.SameSiteStrictMode}
}

// Lend gives a browser something that it brings back also when another site leads it
// here, with a GET, within a time. "" takes it back.
func Lend(w http.ResponseWriter, r *http.Request, value string, term time.Duration) {
	c := baked(r, awayCookie, value)
	c.SameSite, c.MaxAge = http.SameSiteLaxMode, int(term.Seconds())
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// Lent is what a browser brings back, "" for nothing.
func Lent(r *http.Request) string { return read(r, awayCookie) }
