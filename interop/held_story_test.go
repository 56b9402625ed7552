package interop

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cordon/dicom"
	"cordon/inspect/compose"
	"cordon/interop/browser"
)

const wordsOfOnesOwn = "four words of one's own"

// hostileFiles writes objects of one study with a program in them, and in every text
// what would run in a page that did not escape it.
func hostileFiles(t *testing.T, n int) (files []string) {
	t.Helper()
	dir, study := t.TempDir(), compose.NewUID()
	for i := range n {
		o := compose.CT(64, 64)
		o.Study = study
		compose.PrivateOB.Put(o, append(compose.WindowsProgram(), byte(i)))
		for _, tag := range []dicom.Tag{
			dicom.TagPatientName, dicom.TagPatientID, dicom.TagAccessionNumber, dicom.TagStudyID, dicom.TagStudyDescription, dicom.TagSeriesDescription,
			dicom.TagReferringPhysicianName, dicom.TagManufacturer, dicom.TagModality, dicom.TagStudyDate,
		} {
			o.SetString(tag, dicom.LO, `"><script>document.title='run'</script><img src=x onerror=alert(1)>`)
		}
		file := filepath.Join(dir, fmt.Sprintf("%d.dcm", i))
		write(t, file, string(o.File()))
		files = append(files, file)
	}
	return files
}

// second is a window in which somebody is signed in whom the administrator invites.
func (c *cordon) second(t *testing.T, b *browser.Browser, admin *browser.Page, name string) *browser.Page {
	t.Helper()
	admin.Goto(c.site() + "/people")
	admin.Fill("form[action='/people'] [name=name]", name)
	admin.Click("[name=role][value=pacs]")
	admin.Fill("form[action='/people'] [name=reason]", "of the PACS team")
	admin.Click("form[action='/people'] button")
	p := b.Page(browser.Desktop)
	p.Goto(admin.Text("section code"))
	p.Fill("form[action='/setup'] [name=password]", wordsOfOnesOwn)
	p.Fill("form[action='/setup'] [name=password-again]", wordsOfOnesOwn)
	p.Click("form[action='/setup'] button")
	p.Wait("form[action='/me/tokens']")
	return p
}

// token makes an API token of whoever is signed in.
func (c *cordon) token(p *browser.Page, scopes ...string) string {
	p.Goto(c.site() + "/me")
	p.Fill("form[action='/me/tokens'] [name=label]", "a script")
	for _, s := range scopes {
		p.Click("form[action='/me/tokens'] [name=scope][value='" + s + "']")
	}
	p.Click("form[action='/me/tokens'] button")
	return p.Text("main section.box code.mono")
}

// A hostile object arrives, is an alarm and held; one person looks at it and asks for
// its release, another one in a browser of their own agrees, and the archive has it.
// A third sees who did what. Then the same on the command line and over the interface,
// with tokens.
func TestStoryOfOneHeldObject(t *testing.T) {
	t.Parallel()
	archive := startStoreSCP(t)
	c := startCordon(t, archive)
	b := browser.Open(t)
	able := c.administrator(t, b, browser.Desktop)
	best := c.second(t, b, able, "B. Best")
	files := hostileFiles(t, 3)
	if sent := storescu(t, &c.peer, files); sent.wait() != 0 {
		t.Fatal(sent.log())
	}
	held := c.held(t)
	if len(held) != 3 {
		t.Fatal(held)
	}

	able.Goto(c.site() + "/alarms")
	await(t, "the alarm", func() bool {
		able.Goto(c.site() + "/alarms")
		return strings.Contains(strings.ToLower(able.Text("main")), "held")
	})
	able.Goto(c.site() + "/held")
	if text := able.Text("main"); !strings.Contains(text, "3 of 3 held") || !strings.Contains(text, "malicious") {
		t.Error(text)
	}
	picture(able, "held")
	able.Click("main tbody a")
	if n := able.Count("main tbody a"); n != 3 {
		t.Errorf("%d objects of the study", n)
	}
	able.Click("main tbody a")
	unharmed(t, able, "an object")
	for _, want := range []string{"Executable content", "(0009,1010)", "MZ", "<script>"} {
		if !strings.Contains(able.Text("main"), want) {
			t.Errorf("does not show %q", want)
		}
	}
	var drawn int
	able.Eval(`document.querySelector('img.frame').naturalWidth`, &drawn)
	if drawn != 64 {
		t.Errorf("the picture is %d pixels wide", drawn)
	}
	picture(able, "held-object")
	able.Fill("form[action$='/release'] [name=reason]", "the vendor's own tool, confirmed")
	able.Click("form[action$='/release'] button")
	if text := able.Text("main"); !strings.Contains(text, "A. Able asked for its release") {
		t.Error(text)
	}
	var at string
	able.Eval(`location.pathname`, &at)

	able.Fill("form[action$='/release'] [name=reason]", "once more")
	able.Click("form[action$='/release'] button")
	if text := able.Text("#error"); !strings.Contains(text, "second person") {
		t.Error("one person did it alone:", text)
	}
	best.Goto(c.site() + at)
	third := c.second(t, b, able, "C. Cole")
	third.Goto(c.site() + at)
	best.Fill("form[action$='/release'] [name=reason]", "agreed")
	best.Click("form[action$='/release'] button")
	if text := best.Text("main"); !strings.Contains(text, "Released by A. Able, B. Best") {
		t.Error(text)
	}
	unharmed(t, best, "a released object")
	picture(best, "held-released")
	third.Fill("form[action$='/release'] [name=reason]", "I agree too")
	third.Click("form[action$='/release'] button")
	if text := third.Text("#error"); !strings.Contains(text, "Somebody else has decided meanwhile") || !strings.Contains(text, "A. Able, B. Best decided") {
		t.Error(text)
	}
	await(t, "the archive to have it", func() bool { return len(instancesIn(t, archive.Dir)) == 1 })

	c.releasedByProgram(t, c.token(able, "held:read", "held:decide"), c.token(best, "held:read", "held:decide"))
	await(t, "the archive to have the second", func() bool { return len(instancesIn(t, archive.Dir)) == 2 })
}

// unharmed fails if anything ran that an image brought along.
func unharmed(t *testing.T, p *browser.Page, what string) {
	t.Helper()
	sound(t, p, what)
	var title string
	p.Eval(`document.title`, &title)
	if title == "run" || p.Count("main script, main img:not(.frame), main iframe, main [onerror]") > 0 {
		t.Errorf("%s: something of the image's is part of the page", what)
	}
}

// releasedByProgram has one person ask on the command line, and another one agree over
// the interface.
func (c *cordon) releasedByProgram(t *testing.T, one, other string) {
	t.Helper()
	var id string
	for _, v := range c.held(t) {
		if v.State == "held" {
			id = v.ID
		}
	}
	ask := func(token string) (string, error) {
		cmd := exec.Command(cordonProgram(t), "vault", "release", id, "--as", "A. Able", "--reason", "from a script", "--config", c.config)
		cmd.Env = append(cmd.Environ(), "CORDON_TOKEN="+token, "HOME="+t.TempDir())
		text, err := cmd.CombinedOutput()
		return string(text), err
	}
	if text, err := ask(""); err == nil {
		t.Error("nobody released:", text)
	}
	if text, err := ask(one); err != nil || !strings.Contains(text, "second person") {
		t.Fatal(text, err)
	}
	post := func(token, body string) (int, string) {
		rq, err := http.NewRequestWithContext(t.Context(), "POST", c.Console+"/api/v1/vault/"+id+"/release", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		rq.Header.Set("Content-Type", "application/json")
		rq.Header.Set("Authorization", "Bearer "+token)
		rsp, err := http.DefaultClient.Do(rq)
		if err != nil {
			t.Fatal(err)
		}
		defer rsp.Body.Close()
		var out bytes.Buffer
		io.Copy(&out, rsp.Body)
		return rsp.StatusCode, out.String()
	}
	for _, step := range []struct {
		token, body string
		code        int
		says        string
	}{
		{"", `{"reason":"agreed"}`, http.StatusUnauthorized, ""},
		{other, `{"by":"A. Able","reason":"agreed"}`, http.StatusForbidden, "own name"},
		{one, `{"reason":"agreed"}`, http.StatusConflict, "second person"},
		{other, `{"reason":"agreed"}`, http.StatusOK, `"done":true`},
		{other, `{"reason":"again"}`, http.StatusConflict, "not possible"},
	} {
		if code, text := post(step.token, step.body); code != step.code || !strings.Contains(text, step.says) {
			t.Errorf("%s: %d %s", step.body, code, text)
		}
	}
}
