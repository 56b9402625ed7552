// Package browser has Chromium look at the console, as people do.
//
//	b := browser.Open(t)                            // ends with the test
//	p := b.Page(browser.Desktop)                    // a person of their own: cookies are not shared
//	p.Goto("http://127.0.0.1:8080/login")
//	p.Fill("[name=name]", "a.able")
//	p.Click("button[type=submit]")
//	if bad := p.Axe(); len(bad) > 0 { … }           // the rules of WCAG 2.2 AA, by axe-core
//	p.Shot("/tmp/held.png")
//
// Every method fails the test if the browser could not do what it was asked.
package browser

import (
	"bufio"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/interop/npm"
)

//go:embed driver
var files embed.FS

var install = sync.OnceValues(func() (string, error) {
	driver, err := fs.Sub(files, "driver")
	if err != nil {
		return "", err
	}
	return npm.Install("browser", driver)
})

// Browser is a Chromium of its own.
type Browser struct {
	t     testing.TB
	mu    sync.Mutex
	in    io.WriteCloser
	out   *bufio.Reader
	pages int
}

// Open starts a browser, which ends with the test.
func Open(t testing.TB) *Browser {
	t.Helper()
	dir, err := install()
	if err != nil {
		t.Fatal(err)
	}
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("%v (Debian's package chromium; make peers installs it)", err)
	}
	cmd := exec.Command("node", filepath.Join(dir, "driver.mjs"), chromium)
	var said strings.Builder
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }() // ends with the process
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("the browser ended: %v\n%s", err, said.String())
			}
		case <-time.After(10 * time.Second):
			cmd.Process.Kill()
			<-ended
		}
	})
	return &Browser{t: t, in: in, out: bufio.NewReaderSize(out, 1<<20)}
}

// View is what a page is shown on.
type View struct {
	Width, Height int
	Scale         float64
	NoScripts     bool
}

var (
	Desktop = View{Width: 1280, Height: 900}
	Doubled = View{Width: 640, Height: 450, Scale: 2} // the same window at a zoom of 200 %
	Narrow  = View{Width: 320, Height: 900}           // where nothing may need two directions of scrolling (WCAG 2.2, 1.4.10)
)

// Page is one person's window.
type Page struct {
	b  *Browser
	id int
}

// Page opens a window with no cookies.
func (b *Browser) Page(v View) *Page {
	b.t.Helper()
	b.pages++
	p := &Page{b, b.pages}
	p.ask(map[string]any{"op": "page", "width": v.Width, "height": v.Height, "scale": max(v.Scale, 1), "scripts": !v.NoScripts})
	return p
}

// Resize shows the page on something else. Whether there are scripts, and how many dots a
// point has, stay as they were.
func (p *Page) Resize(v View) {
	p.b.t.Helper()
	p.ask(map[string]any{"op": "resize", "width": v.Width, "height": v.Height})
}

// reply is what the driver answers.
type reply struct {
	Error      string
	Status     int
	URL        string
	Text       string
	Count      int
	Value      json.RawMessage
	Violations []Violation
	Errors     []string
	Foreign    []string
	Bytes      int
}

// Violation is a rule of accessibility that a page breaks.
type Violation struct {
	ID, Impact, Help string
	Nodes            []string
}

func (v Violation) String() string {
	return fmt.Sprintf("%s (%s): %s\n  %s", v.ID, v.Impact, v.Help, strings.Join(v.Nodes, "\n  "))
}

func (p *Page) try(c map[string]any) (reply, error) {
	c["page"] = p.id
	text, err := json.Marshal(c)
	if err != nil {
		return reply{}, err
	}
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	if _, err := p.b.in.Write(append(text, '\n')); err != nil {
		return reply{}, err
	}
	line, err := p.b.out.ReadBytes('\n')
	if err != nil {
		return reply{}, fmt.Errorf("the browser is gone: %w", err)
	}
	var r reply
	if err := json.Unmarshal(line, &r); err != nil {
		return reply{}, err
	}
	if r.Error != "" {
		return r, fmt.Errorf("%v: %s", c["op"], r.Error)
	}
	return r, nil
}

func (p *Page) ask(c map[string]any) reply {
	p.b.t.Helper()
	r, err := p.try(c)
	if err != nil {
		p.b.t.Fatal(err)
	}
	return r
}

// Goto shows an address, and returns the status that it was answered with.
func (p *Page) Goto(address string) int {
	p.b.t.Helper()
	return p.ask(map[string]any{"op": "goto", "to": address}).Status
}

// Fill writes into a field.
func (p *Page) Fill(at, text string) {
	p.b.t.Helper()
	p.ask(map[string]any{"op": "fill", "at": at, "text": text})
}

// Select chooses from a list, by its value.
func (p *Page) Select(at, value string) {
	p.b.t.Helper()
	p.ask(map[string]any{"op": "select", "at": at, "text": value})
}

// Click presses a button or follows a link, and waits for the page that comes.
func (p *Page) Click(at string) {
	p.b.t.Helper()
	p.ask(map[string]any{"op": "click", "at": at})
}

// Press presses a key, such as Tab or Enter.
func (p *Page) Press(key string) {
	p.b.t.Helper()
	p.ask(map[string]any{"op": "press", "text": key})
}

// Wait waits until something is there.
func (p *Page) Wait(at string) {
	p.b.t.Helper()
	p.ask(map[string]any{"op": "wait", "at": at})
}

// Text is what a part of the page reads.
func (p *Page) Text(at string) string {
	p.b.t.Helper()
	return p.ask(map[string]any{"op": "text", "at": at}).Text
}

// HTML is the page as it is now.
func (p *Page) HTML() string {
	p.b.t.Helper()
	return p.ask(map[string]any{"op": "html"}).Text
}

// Count is how many of something there are.
func (p *Page) Count(at string) int {
	p.b.t.Helper()
	return p.ask(map[string]any{"op": "count", "at": at}).Count
}

// Eval is the value of an expression in the page, decoded into v.
func (p *Page) Eval(expression string, v any) {
	p.b.t.Helper()
	if err := json.Unmarshal(p.ask(map[string]any{"op": "eval", "text": expression}).Value, v); err != nil {
		p.b.t.Fatal(err)
	}
}

// Shot writes a picture of the whole page.
func (p *Page) Shot(file string) {
	p.b.t.Helper()
	p.ask(map[string]any{"op": "shot", "text": file, "whole": true})
}

// Axe are the rules of accessibility that the page breaks.
func (p *Page) Axe() []Violation {
	p.b.t.Helper()
	return p.ask(map[string]any{"op": "axe"}).Violations
}

// Seen is what went on since the page was shown.
type Seen struct {
	URL     string
	Errors  []string // and warnings, of scripts and of the Content-Security-Policy
	Foreign []string // addresses of other servers that were asked
	Bytes   int      // that came over the network
}

// Seen is what went on since the page was shown.
func (p *Page) Seen() Seen {
	p.b.t.Helper()
	r := p.ask(map[string]any{"op": "seen"})
	return Seen{r.URL, r.Errors, r.Foreign, r.Bytes}
}

// Paint is how long after it was asked for the page had something to read.
func (p *Page) Paint() time.Duration {
	p.b.t.Helper()
	var ms float64
	if err := json.Unmarshal(p.ask(map[string]any{"op": "paint"}).Value, &ms); err != nil {
		p.b.t.Fatal(err)
	}
	if ms < 0 {
		p.b.t.Fatal("nothing was painted")
	}
	return time.Duration(ms * float64(time.Millisecond))
}

// Passkeys gives the window an authenticator that agrees to everything.
func (p *Page) Passkeys() {
	p.b.t.Helper()
	p.ask(map[string]any{"op": "passkeys"})
}

// Close ends the window, and forgets its cookies.
func (p *Page) Close() {
	p.b.t.Helper()
	p.ask(map[string]any{"op": "close"})
}
