package interop

import (
	"strings"
	"testing"

	"cordon/interop/browser"
)

// The first page changes by itself when a device sends, says since when the server does
// not answer, and goes on when it does again; its plots can be read with the keyboard.
// Without scripts it shows the same when it is loaded.
func TestFirstPageIsLive(t *testing.T) {
	t.Parallel()
	c := startCordon(t, nil)
	b := browser.Open(t)
	p := b.Page(browser.Desktop)
	p.Goto(c.site() + "/")
	if text := p.Text("main"); strings.Contains(text, "EARLY") {
		t.Fatal(text)
	}
	if said := cordonCommand(t, "echo", "--calling", "EARLY", c.Address); said.code != 0 {
		t.Fatal(said)
	}
	await(t, "the page to show who called", func() bool { return strings.Contains(p.Text("main"), "EARLY") })

	p.Eval(`(document.querySelector("#traffic .plot").focus(), 1)`, new(int))
	p.Press("End")
	await(t, "the plot to be read", func() bool {
		return strings.Contains(p.Text("#traffic .u-legend"), ":") && !strings.Contains(p.Text("#traffic .u-legend"), "received: –")
	})

	lost := func() (is bool) {
		p.Eval(`!document.getElementById("lost").hidden`, &is)
		return is
	}
	if lost() {
		t.Error("the server is lost before it is")
	}
	c.process.kill()
	await(t, "the page to say that the server is lost", lost)
	if text := p.Text("#lost"); !strings.Contains(text, "does not answer since") || strings.Count(text, ":") != 2 {
		t.Error(text)
	}
	c.start(t)
	await(t, "the page to go on", func() bool { return !lost() })

	plain := b.Page(browser.View{Width: 1280, Height: 900, NoScripts: true})
	plain.Goto(c.site() + "/")
	if text := plain.Text("main"); !strings.Contains(text, "EARLY") || !strings.Contains(text, "folder") {
		t.Error(text)
	}
}
