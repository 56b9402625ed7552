package view

import (
	"bytes"
	"context"
	"errors"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"cordon/people"
)

var house = Config{Site: "Example Hospital", Version: "1.2.3", Counts: func(context.Context) map[string]int { return map[string]int{"/alarms": 3} }}

func show(t *testing.T, page string, id people.Identity, at string, d any) string {
	t.Helper()
	p := New(house).Page(fstest.MapFS{"x.html": {Data: []byte(page)}}, "x.html")
	r := httptest.NewRequest("GET", at, nil)
	w := httptest.NewRecorder()
	p.Show(w, r.WithContext(people.With(r.Context(), id)), d)
	if w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

const plainPage = `{{define "title"}}T{{end}}{{define "main"}}<h1>{{.D}}</h1>{{if .May "held:decide"}}BUTTON{{end}}{{end}}`

// Whatever an image says of itself is text.
func TestHostileTextIsText(t *testing.T) {
	for _, evil := range []string{`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `javascript:alert(1)`, `'-alert(1)-'`} {
		got := show(t, `{{define "title"}}{{.D}}{{end}}{{define "main"}}<p title="{{.D}}">{{.D}}</p><a href="{{.D}}">x</a>{{template "badge" (badge "look" .D)}}{{end}}`, people.Identity{}, "/", evil)
		if strings.Contains(got, "<script>alert") || strings.Contains(got, "<img src=x") || strings.Contains(got, `href="javascript:`) {
			t.Errorf("%q is not escaped:\n%s", evil, got)
		}
	}
}

// Nothing is inline: the policy of the guard would not have it run.
func TestNothingIsInline(t *testing.T) {
	one := 1.5
	got := show(t, `{{define "title"}}T{{end}}{{define "main"}}{{template "chart" .D}}{{template "who"}}{{template "wrong" "no"}}{{end}}`, people.Identity{}, "/",
		Chart{ID: "c", Title: "Images", Unit: "a minute", Times: []time.Time{time.Now()}, Series: []Series{{Name: "in", Values: []*float64{&one}}}})
	for _, bad := range []string{` style=`, `<style`, ` onclick`, ` onload`, `javascript:`, `http://`, `https://`} {
		if strings.Contains(got, bad) {
			t.Errorf("%s in\n%s", bad, got)
		}
	}
	if strings.Count(got, "<script ") != strings.Count(got, "></script>") {
		t.Error("a script with something in it")
	}
	if !strings.Contains(got, `<td class="n">1.5</td>`) {
		t.Errorf("no table:\n%s", got)
	}
}

func TestNavigationIsWhatOneMaySee(t *testing.T) {
	admin := show(t, plainPage, people.Identity{Name: "A. Able", Roles: []people.Role{people.Administrator}, How: people.Password}, "/held/17", "x")
	vendor := show(t, plainPage, people.Identity{Name: "V. End", Roles: []people.Role{people.Vendor}, How: people.Password}, "/devices", "x")
	for _, path := range Paths() {
		if !strings.Contains(admin, `<li><a href="`+path+`"`) {
			t.Errorf("an administrator does not find %s", path)
		}
		if path != "/devices" && strings.Contains(vendor, `<li><a href="`+path+`"`) {
			t.Errorf("a vendor finds %s", path)
		}
	}
	if !strings.Contains(admin, `<a href="/held" aria-current="page">`) || !strings.Contains(admin, "BUTTON") || !strings.Contains(admin, `<span class="count">3</span>`) {
		t.Error(admin)
	}
	if strings.Contains(vendor, "BUTTON") {
		t.Error("a vendor is offered a decision")
	}
}

func TestErrorIsAPageThatSaysWhatToDo(t *testing.T) {
	w := httptest.NewRecorder()
	New(house).Refuse(w, httptest.NewRequest("GET", "/x", nil), people.ErrOther)
	if w.Code != http.StatusForbidden || !strings.Contains(html.UnescapeString(w.Body.String()), people.ErrOther.Error()) {
		t.Error(w.Code, w.Body)
	}
	w = httptest.NewRecorder()
	New(house).Refuse(w, httptest.NewRequest("GET", "/x", nil), errors.New("disk <on> fire"))
	if w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "disk &lt;on&gt; fire") {
		t.Error(w.Code, w.Body)
	}
}

func TestSaidIsOneOfOurTexts(t *testing.T) {
	if got := show(t, plainPage, people.Identity{}, "/?done=view.made", "x"); !strings.Contains(got, `role="status">as of<`) {
		t.Error(got)
	}
	for _, at := range []string{"/?done=Pay+here", "/?done=view.status"} {
		if got := show(t, plainPage, people.Identity{}, at, "x"); strings.Contains(got, `class="notice good"`) {
			t.Errorf("%s: %s", at, got)
		}
	}
}

func TestStaticFilesAreSentOnce(t *testing.T) {
	v := New(house)
	mux := http.NewServeMux()
	for _, r := range v.Routes() {
		mux.HandleFunc(r.Method+" "+r.Pattern, r.Handler)
	}
	ask := func(path, tag string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("If-None-Match", tag)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w
	}
	for name := range v.static {
		w := ask("/static/"+name, "")
		if w.Code != http.StatusOK || w.Body.Len() == 0 || w.Header().Get("Content-Type") == "" {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
		}
		if w := ask("/static/"+name, w.Header().Get("ETag")); w.Code != http.StatusNotModified || w.Body.Len() != 0 {
			t.Errorf("%s: sent again", name)
		}
	}
	for _, path := range []string{"/static/none.css", "/static/../view.go", "/static/strings/view.en.json", "/static/vendor/htmx.LICENSE"} {
		if w := ask(path, ""); w.Code == http.StatusOK {
			t.Errorf("%s is sent", path)
		}
	}
}

func TestThemeIsKept(t *testing.T) {
	for to, want := range map[string]string{"/held?x=1": "/held?x=1", "//evil.example": "/", "https://evil.example": "/", "/\\evil.example": "/", "": "/"} {
		r := httptest.NewRequest("POST", "/theme", strings.NewReader("theme=light&here="+to))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		chooseTheme(w, r)
		if w.Code != http.StatusSeeOther || w.Header().Get("Location") != want || !strings.Contains(w.Header().Get("Set-Cookie"), "theme=light") {
			t.Errorf("%q: %d %v", to, w.Code, w.Header())
		}
	}
}

var (
	usedKey = regexp.MustCompile(`\bt "([a-z_]+\.[a-z0-9_.]+)"|(?:Text|text|Back)\([^"\n]*"([a-z_]+\.[a-z0-9_.]+)"|plural [^"{}]+ "([a-z_]+)"`)
	anyKey  = regexp.MustCompile(`"([a-z_]+\.[a-z0-9_.]+)"`) // ending in _ or . it is the beginning of several
)

// Every text that pages use is there, and every text that is there is used.
func TestTextsAreKnownAndUsed(t *testing.T) {
	known, used, named := readWords(), map[string]string{}, map[string]bool{}
	var all []string
	for _, pattern := range []string{"../*/*.html", "../*/*.go", "../*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, files...)
	}
	for _, file := range all {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range usedKey.FindAllSubmatch(text, -1) {
			switch {
			case len(m[3]) > 0 && strings.HasSuffix(file, ".html"):
				used["count."+string(m[3])+".one"], used["count."+string(m[3])+".many"] = file, file
			case strings.HasSuffix(file, ".html"):
				used[string(bytes.Join(m[1:3], nil))] = file
			}
		}
		for _, m := range anyKey.FindAllSubmatch(text, -1) {
			named[string(m[1])] = true
		}
	}
	for key, file := range used {
		if _, ok := known[key]; !ok {
			t.Errorf("%s: no text for %s", file, key)
		}
	}
	for key := range known {
		if used[key] == "" && !named[key] && !begun(named, key) {
			t.Errorf("%s is never used", key)
		}
	}
}

// begun reports whether the key is put together from a beginning that is named.
func begun(named map[string]bool, key string) bool {
	for i := len(key) - 1; i > 0; i-- {
		if (key[i] == '_' || key[i] == '.') && named[key[:i+1]] {
			return true
		}
	}
	return false
}

func TestNumbersReadWell(t *testing.T) {
	for got, want := range map[string]string{
		Thin(1234567): "1\u2009234\u2009567", Thin(-1234): "-1\u2009234", Bytes(999): "999 B", Bytes(int64(525_000)): "525.0 kB", Bytes(uint64(3e9)): "3.0 GB",
		Short("1.2.840.113619.2.55"): "…40.113619.2.55", Short("1.2.3"): "1.2.3", Span(90 * time.Second): "1 min", ago(time.Time{}, time.Now()): "never",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
