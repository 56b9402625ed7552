package interop

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cordon/console/view"
	"cordon/interop/browser"
)

// pictures is where pictures of all pages are written, if anywhere. Then every page is
// looked at in every way; else in those that differ most.
var pictures = os.Getenv("CORDON_SCREENSHOTS")

// wardrobe is every way in which a page is looked at.
var wardrobe = []struct {
	name, theme string
	view        browser.View
	always      bool
}{
	{"desktop-dark", "dark", browser.Desktop, true},
	{"narrow-dark", "dark", browser.Narrow, false},
	{"zoom200-dark", "dark", browser.Doubled, false},
	{"zoom200-light", "light", browser.Doubled, true},
	{"desktop-light", "light", browser.Desktop, false},
}

// What a device may be called, and what people or images may say of it. Whoever shows it
// as it is makes an element of it, or a script that the policy of the page refuses.
const (
	evilTitle = `<i class=x>`
	evilText  = `"><i class=x></i><script>document.title=1</script>`
)

// mostBytes is how much a page may be, with all that comes with it.
const mostBytes = 150_000

// playing is a small hospital before a Cordon: declared devices, one that is not, and
// an hour of what a sensor saw; a demonstration sends.
func playing(t *testing.T) *cordon {
	t.Helper()
	c := newCordon(t, nil)
	text, err := os.ReadFile(c.config)
	if err != nil {
		t.Fatal(err)
	}
	write(t, c.config, string(text)+`
site: Example Hospital
devices:
  - {name: ct-1, ae_title: CT1, addresses: [127.0.0.1/32], inventory: {owner: Radiology, vendor: Example Medical, model: Spiral 64, modality: CT, zone: modalities, criticality: high}}
  - {name: mr-1, ae_title: MR1, addresses: [127.0.0.1/32], inventory: {owner: Radiology, vendor: Example Medical, model: Field 3, modality: MR, zone: modalities}, flows: [{purpose: time, to: [192.0.2.123/32], protocol: udp, port: 123}]}
  - {name: dx-9, ae_title: '`+evilTitle+`', addresses: [192.0.2.9/32], inventory: {owner: '`+evilText+`', vendor: '`+evilText+`', model: '`+evilText+`', location: '`+evilText+`', os: '`+evilText+`', software: ['`+evilText+`'], zone: '`+evilText+`', vendor_access: '`+evilText+`', note: '`+evilText+`'}, flows: [{purpose: other, note: '`+evilText+`'}]}
  - {name: us-3, ae_title: US3, addresses: [127.0.0.1/32], inventory: {owner: Obstetrics, vendor: Other, model: Sono 9, modality: US, zone: modalities, os: Windows 2000}}
`)
	c.process = launch(t, cordonProgram(t), "up", "--config", c.config, "--demo")
	c.awaitReady(t)
	return c
}

// administrator is a window in which the first administrator is signed in.
func (c *cordon) administrator(t *testing.T, b *browser.Browser, v browser.View) *browser.Page {
	t.Helper()
	const password = "four words of one's own"
	p := b.Page(v)
	p.Goto(c.setupLink(t))
	p.Fill("form[action='/setup'] [name=name]", "A. Able")
	p.Fill("form[action='/setup'] [name=password]", password)
	p.Fill("form[action='/setup'] [name=password-again]", password)
	p.Click("form[action='/setup'] button")
	p.Wait("form[action='/logout']")
	return p
}

// wear has the page shown in a theme, as people choose it.
func wear(p *browser.Page, theme string) {
	if button := fmt.Sprintf("form[action='/theme'] button[value=%s]", theme); p.Count(button) > 0 {
		p.Click(button)
	}
}

// Every page of the navigation, and one of each kind that they lead to: no rule of
// accessibility is broken, no script fails, nobody else is asked, nothing is wider than
// the window, and it is small.
func TestEveryPageCanBeUsedByEverybody(t *testing.T) {
	t.Parallel()
	c := playing(t)
	p := c.administrator(t, browser.Open(t), browser.Desktop)
	await(t, "something to be held", func() bool { return c.status(t).Held > 0 })
	if said := cordonCommand(t, "echo", "--calling", evilTitle+"2", c.Address); said.code != 0 {
		t.Fatal(said)
	}
	todo := append(view.Paths(), "/me")
	for i := 0; i < len(todo); i++ {
		todo = append(todo, further(p, c.site(), todo)...)
		walk(t, p, c.site(), todo[i])
	}
	t.Logf("%d pages: %s", len(todo), strings.Join(todo, " "))
}

// further are pages that the one shown leads to, the first of each kind.
func further(p *browser.Page, site string, known []string) (out []string) {
	var links []string
	p.Eval(`[...document.querySelectorAll('main a[href^="/"]:not([download])')].map(a => a.getAttribute('href').replace(/[?#].*/, ''))`, &links)
	for _, l := range links {
		kind := func(path string) string {
			return fmt.Sprint(strings.Split(path, "/")[1], strings.Count(path, "/"), path[strings.LastIndex(path, "/"):])
		}
		if strings.Contains(filepath.Base(l), ".") && !strings.HasPrefix(l, "/studies/") || strings.HasPrefix(l, "/api/") {
			continue // a file
		}
		parent := func(path string) string { return path[:strings.LastIndex(path, "/")+1] }
		if !slices.ContainsFunc(append(known, out...), func(k string) bool {
			return k == l || len(parent(l)) > 1 && parent(k) == parent(l) || kind(k) == kind(l)
		}) {
			out = append(out, l)
		}
	}
	return out
}

func walk(t *testing.T, p *browser.Page, site, path string) {
	t.Helper()
	for _, w := range wardrobe {
		if !w.always && pictures == "" {
			continue
		}
		p.Resize(w.view)
		status := p.Goto(site + path)
		if status != http.StatusOK {
			t.Errorf("%s: status %d", path, status)
			return
		}
		wear(p, w.theme)
		what := path + " " + w.name
		for _, v := range p.Axe() {
			t.Errorf("%s: %s", what, v)
		}
		usable(t, p, what)
		if pictures != "" {
			p.Shot(filepath.Join(pictures, strings.ReplaceAll(strings.Trim(path, "/")+"--"+w.name, "/", "_")+".png"))
		}
	}
}

// usable holds a page against what every page must be, however it is shown.
func usable(t *testing.T, p *browser.Page, what string) {
	t.Helper()
	seen := p.Seen()
	if len(seen.Errors)+len(seen.Foreign) > 0 {
		t.Errorf("%s: %v %v", what, seen.Errors, seen.Foreign)
	}
	if seen.Bytes > mostBytes {
		t.Errorf("%s: %d bytes", what, seen.Bytes)
	}
	if n := p.Count("i.x"); n > 0 {
		t.Errorf("%s: %d elements that a device made", what, n)
	}
	var wide []string
	p.Eval(`document.documentElement.scrollWidth <= document.documentElement.clientWidth ? [] : [...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.scroll, pre')).slice(0, 3).map(e => e.outerHTML.slice(0, 120))`, &wide)
	if len(wide) > 0 {
		t.Errorf("%s: wider than the window: %q", what, wide)
	}
}
