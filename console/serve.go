package console

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"cordon/console/answer"
	"cordon/front"
)

// Serve answers HTTP on l until ctx ends, then finishes what is under way, cuts
// what is not finished after five seconds, and returns nil. Every wait has an
// end, and headers are bounded.
func Serve(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler:           h,
		BaseContext:       func(net.Listener) context.Context { return answer.WithEnding(context.Background(), ctx) },
		ConnContext:       answer.WithCaller,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		err := server.Shutdown(grace)
		if errors.Is(err, context.DeadlineExceeded) {
			err = server.Close()
		}
		stopped <- err
	})
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return err
	}
	return <-stopped
}

// guarded sets the headers that keep a browser from doing more than the pages
// need, and refuses requests that a foreign page has a browser make.
func guarded(h http.Handler) http.Handler {
	own := http.NewCrossOriginProtection()
	own.SetDenyHandler(http.HandlerFunc(foreignPage))
	h = own.Handler(h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		for _, v := range headers {
			head.Set(v[0], v[1])
		}
		if !front.HostFits(r) {
			http.Error(w, "this address is for browsers and programs on this machine: ask for it as localhost or 127.0.0.1", http.StatusMisdirectedRequest)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// headers are those of every answer: pages are made of what comes from here, run no
// script in the page, are shown in no other page, and are kept nowhere.
var headers = [...][2]string{
	{"Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"},
	{"X-Frame-Options", "DENY"},
	{"X-Content-Type-Options", "nosniff"},
	{"Referrer-Policy", "no-referrer"},
	{"Cross-Origin-Resource-Policy", "same-origin"},
	{"Cross-Origin-Opener-Policy", "same-origin"},
	{"Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"},
	{"Cache-Control", "no-store"},
}

// foreignPage answers a request to change something that the page of another site had
// the browser make.
func foreignPage(w http.ResponseWriter, r *http.Request) {
	answer.Say(w, http.StatusForbidden, "a page of another site had your browser ask for this, and nothing was done: open the console itself and ask there")
}
