// Package front stands before an HTTP server. It bounds how often one address may
// ask, keeps browsers on this machine or in the hospital from being used by foreign
// pages, and tells them which pages may ask.
//
//	f := front.New(front.Config{Origins: []string{"https://viewer.example.org"}, PerMinute: 6000})
//	server.Handler = f.Handler(next)
//
// A page that a browser shows can have it send requests to anybody. What its own
// rules then keep from the page is only the answer, and not even that if the page's
// name was made to lead here (DNS rebinding). So a request that says it was made by
// a page of an origin that is neither the server's own nor listed is refused, and
// one that came in on a loopback address must have asked for one.
//
// It will not say who somebody is. Programs other than browsers say nothing of an
// origin, and pass.
package front

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"cordon/quota"
)

// Config is what a Front needs to know.
type Config struct {
	Origins   []string                                                             // that pages may be of, as browsers write them: see CheckOrigin
	PerMinute int                                                                  // requests of one address (IPv6: /64 network); 0: no limit
	Refuse    func(w http.ResponseWriter, r *http.Request, status int, why string) // answers what is refused; nil: in plain text
}

// Front stands before a server. Make one with New.
type Front struct {
	config Config
	rate   *quota.Quota // nil: no limit
}

// New makes a Front.
func New(c Config) *Front {
	f := &Front{config: c}
	if c.PerMinute > 0 {
		f.rate = quota.New(c.PerMinute, time.Minute/time.Duration(c.PerMinute))
	}
	if f.config.Refuse == nil {
		f.config.Refuse = func(w http.ResponseWriter, _ *http.Request, status int, why string) { http.Error(w, why, status) }
	}
	return f
}

// CheckOrigin says what is wrong with an origin (RFC 6454 §6.2), or nil. It has to
// be what a browser writes: a scheme, a host in lower case, a port if it is not the
// scheme's own, and nothing after it.
func CheckOrigin(origin string) error {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || origin != u.Scheme+"://"+strings.ToLower(u.Host) || u.User != nil || strings.ContainsAny(u.Host, "*") {
		return fmt.Errorf("%q is not the origin of a page; write https://viewer.example.org or http://127.0.0.1:3000, without anything after it", origin)
	}
	if u.Port() == map[string]string{"http": "80", "https": "443"}[u.Scheme] {
		return fmt.Errorf("%q names the port that browsers leave out; write %s://%s", origin, u.Scheme, u.Hostname())
	}
	return nil
}

// Handler passes on what may pass.
func (f *Front) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("Cross-Origin-Resource-Policy", "same-origin") // requests by CORS are not under it
		head.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
		head.Set("Referrer-Policy", "no-referrer")
		head.Set("Cache-Control", "no-store")
		if len(f.config.Origins) > 0 {
			head.Add("Vary", "Origin")
		}
		switch origin, listed := f.origin(r); {
		case !f.lets(r):
			head.Set("Retry-After", strconv.Itoa(retryAfter))
			f.config.Refuse(w, r, http.StatusTooManyRequests, fmt.Sprintf("this address has asked more than %d times in a minute: come back in a while", f.config.PerMinute))
		case !HostFits(r):
			f.config.Refuse(w, r, http.StatusMisdirectedRequest, "this address is for programs on this machine: ask for it as localhost or 127.0.0.1")
		case listed:
			f.crossOrigin(w, r, next, origin)
		case foreign(r, origin):
			f.config.Refuse(w, r, http.StatusForbidden, "a page of another origin asks, and it is not listed in gateway.web.cors")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// retryAfter is when some more requests are surely left, in seconds.
const retryAfter = 5

// lets counts a request against its address.
func (f *Front) lets(r *http.Request) bool {
	if f.rate == nil {
		return true
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	_, ok := f.rate.Take(peer.Addr(), time.Now())
	return ok
}

// Left is how many requests were not let in, in all, since it last said so, and
// some of the addresses.
func (f *Front) Left() quota.Omissions {
	if f.rate == nil {
		return quota.Omissions{}
	}
	return f.rate.Drain()
}

// origin is that of the page that had the request made; "" if none says so.
func (f *Front) origin(r *http.Request) (origin string, listed bool) {
	all := r.Header.Values("Origin")
	if len(all) == 0 {
		return "", false
	}
	return all[0], len(all) == 1 && slices.Contains(f.config.Origins, all[0])
}

// foreign reports whether a page of another origin had the request made. Requests
// without an Origin, such as those for a picture in a page, may still say that they
// cross from one to another (Fetch Metadata, W3C).
func foreign(r *http.Request, origin string) bool {
	if origin == "" {
		site := r.Header.Get("Sec-Fetch-Site")
		return site == "cross-site" || site == "same-site"
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return len(r.Header.Values("Origin")) != 1 || origin != scheme+"://"+strings.ToLower(r.Host)
}

// What a page of a listed origin may send and read (Fetch standard §3.2).
const (
	mayMethods = "GET, POST, PUT, DELETE"
	mayHeaders = "Accept, Authorization, Content-Type"
	mayRead    = "Content-Location, Content-Length, Retry-After, Warning, WWW-Authenticate"
)

// crossOrigin answers a page of a listed origin.
func (f *Front) crossOrigin(w http.ResponseWriter, r *http.Request, next http.Handler, origin string) {
	head := w.Header()
	head.Set("Access-Control-Allow-Origin", origin)
	head.Set("Access-Control-Allow-Credentials", "true") // certificates of devices are such
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		head.Set("Access-Control-Expose-Headers", mayRead)
		next.ServeHTTP(w, r)
		return
	}
	head.Set("Access-Control-Allow-Methods", mayMethods)
	head.Set("Access-Control-Allow-Headers", mayHeaders)
	head.Set("Access-Control-Max-Age", "600")
	if r.Header.Get("Access-Control-Request-Private-Network") == "true" {
		head.Set("Access-Control-Allow-Private-Network", "true")
	}
	w.WriteHeader(http.StatusNoContent)
}

// HostFits refuses DNS rebinding: what came in on a loopback address must have
// asked for one. A foreign name that resolves to 127.0.0.1 has not.
func HostFits(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if !ok || !local.IP.IsLoopback() {
		return true
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	addr, err := netip.ParseAddr(trimBrackets(host))
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// trimBrackets takes the brackets off an IPv6 address without a port.
func trimBrackets(host string) string {
	if n := len(host); n > 2 && host[0] == '[' && host[n-1] == ']' {
		return host[1 : n-1]
	}
	return host
}
