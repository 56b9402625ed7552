package container

import (
	"strings"
	"testing"
	"time"
)

func TestActiveMarkup(t *testing.T) {
	for text, want := range map[string]bool{
		`<script>alert(1)</script>`:               true,
		`< / SCRIPT >`:                            true,
		`chest <img src=x onerror=alert(1)>`:      true,
		`<a href = "JavaScript:alert(1)">x</a>`:   true,
		`<svg/onload=alert(1)>`:                   true,
		`<b class="x"onclick='f()'>`:              true,
		`<body/onload=f()`:                        true,
		`<marquee onstart=f()>`:                   true,
		`<video onprogress = "f()">`:              true,
		`<script`:                                 false,
		`<scripture>`:                             false,
		`<b>bold</b> <i>see</i> <br/>`:            false,
		`nodule <5 mm, on = both sides>`:          false,
		`<t onset = 5 min, only = left>`:          false,
		`a <b = c>, x<y on load = 3`:              false,
		`see javascript: and onclick=`:            false,
		`<a href="https://example.org/onload=1">`: false,
	} {
		if got := ActiveMarkup([]byte(text)) >= 0; got != want {
			t.Errorf("%q: judged %v", text, got)
		}
	}
}

// Text cannot be made that takes long to read.
func TestActiveMarkupIsLinear(t *testing.T) {
	start := Spent()
	for _, text := range []string{"<a ", "<", "<a =", "= on", "<aaaaaaaaaaaaaaa on=\"on=\"on=", "</////"} {
		ActiveMarkup([]byte(strings.Repeat(text, keepText/len(text))))
	}
	if took := Spent() - start; took > 2*time.Second {
		t.Errorf("took %v", took)
	}
}
