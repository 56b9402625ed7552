package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The watcher learns that the site has chosen otherwise; a file that is being
// edited, or has gone, changes nothing.
func TestTheWatcherLearnsOfAnotherChoice(t *testing.T) {
	const text = "data: d\ngateway: {listen: '10.20.0.10:104'}\narchives: [{name: pacs, ae_title: PACS, address: '10.30.0.5:104'}]\ndeadman: {archive: pacs}\n"
	at := place{ConfigFile: filepath.Join(t.TempDir(), "cordon.yaml")}
	when := time.Now()
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(at.ConfigFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		when = when.Add(time.Second) // within one tick of the file system's clock, too
		if err := os.Chtimes(at.ConfigFile, when, when); err != nil {
			t.Fatal(err)
		}
	}
	write(text)
	config, err := at.config()
	if err != nil {
		t.Fatal(err)
	}
	changed := config.rechosen(at)
	for _, c := range []struct {
		text string
		want bool
	}{
		{text, false},
		{text + "site: Example\n", false},
		{text + "deadman: [", false},
		{strings.Replace(text, "10.30.0.5", "10.30.0.6", 1), true},
		{strings.Replace(text, "deadman: {archive: pacs}\n", "", 1), true},
	} {
		write(c.text)
		if got := changed(); got != c.want {
			t.Errorf("%q: changed %v", c.text, got)
		}
	}
	if err := os.Remove(at.ConfigFile); err != nil {
		t.Fatal(err)
	}
	if changed() {
		t.Error("a file that is not there has changed the choice")
	}
}

// A Cordon that is busy, or whose database is, is not down.
func TestABusyCordonIsAlive(t *testing.T) {
	dir := t.TempDir()
	l, err := listenControl(dir)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	server := &http.Server{Handler: mux}
	go server.Serve(l) // ends with Close
	ask := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		return alive(dir)(ctx)
	}
	if err := ask(); err != nil {
		t.Error(err)
	}
	server.Close()
	if ask() == nil {
		t.Error("alive, and nobody listens")
	}
}
