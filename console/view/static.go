package view

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"

	"cordon/console/route"
	"cordon/people"
)

//go:embed static
var staticFiles embed.FS

// file is one that a browser is sent beside a page.
type file struct {
	kind, tag     string
	plain, packed []byte
}

type static map[string]file

// readStatic reads and packs the files once.
func readStatic() static {
	out := static{}
	err := fs.WalkDir(staticFiles, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(name, ".LICENSE") {
			return err
		}
		text, err := staticFiles.ReadFile(name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(text)
		var packed bytes.Buffer
		z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
		if err != nil {
			return err
		}
		z.Write(text)
		if err := z.Close(); err != nil {
			return err
		}
		out[strings.TrimPrefix(name, "static/")] = file{mime.TypeByExtension(path.Ext(name)), `"` + hex.EncodeToString(sum[:12]) + `"`, text, packed.Bytes()}
		return nil
	})
	if err != nil {
		panic(err) // the files are in the program
	}
	return out
}

// Routes are what pages need beside them: files, and the choice of dark or light.
func (v *View) Routes() []route.Route {
	return []route.Route{
		{Method: "GET", Pattern: "/static/{file...}", May: people.Anybody, Handler: v.serve},
		{Method: "POST", Pattern: "/theme", May: people.Anybody, Handler: chooseTheme},
	}
}

// serve sends a file. A browser asks each time whether it has changed, which costs
// no body.
func (v *View) serve(w http.ResponseWriter, r *http.Request) {
	f, ok := v.static[r.PathValue("file")]
	if !ok {
		v.Say(w, r, http.StatusNotFound, v.words.text("view.no_page"))
		return
	}
	head := w.Header()
	head.Set("Cache-Control", "no-cache")
	head.Set("Content-Type", f.kind)
	head.Set("ETag", f.tag)
	head.Set("Vary", "Accept-Encoding")
	if r.Header.Get("If-None-Match") == f.tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		head.Set("Content-Encoding", "gzip")
		w.Write(f.packed)
		return
	}
	w.Write(f.plain)
}

const themeCookie = "theme"

func theme(r *http.Request) string {
	if c, err := r.Cookie(themeCookie); err == nil && c.Value == "light" {
		return "light"
	}
	return "dark"
}

// chooseTheme keeps the choice in the browser, and shows the page again that it was
// made on.
func chooseTheme(w http.ResponseWriter, r *http.Request) {
	chosen := "dark"
	if r.FormValue("theme") == "light" {
		chosen = "light"
	}
	http.SetCookie(w, &http.Cookie{Name: themeCookie, Value: chosen, Path: "/", MaxAge: 365 * 24 * 3600, HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil})
	http.Redirect(w, r, here(r.FormValue("here")), http.StatusSeeOther)
}

// here is a path of ours that a form names, or the first page: never another server.
func here(to string) string {
	if !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\r\n") {
		return "/"
	}
	return to
}
