package container_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"cordon/inspect/compose"
	"cordon/inspect/container"
)

func TestRecognise(t *testing.T) {
	text := " and then enough characters to be a text of its own"
	for head, want := range map[string]container.Format{
		"":                     container.None,
		"short text":           container.None,
		"A report." + text:     container.Text,
		"A report.\x01" + text: container.None,
		"<report>" + text:      container.Markup,
		"\xEF\xBB\xBF\r\n<?xml version='1.0'?><a>" + text + "\x01": container.Markup,
		"< 5 mm" + text:                                 container.Text,
		" {\\rtf1 \x01" + text:                          container.RTF,
		string(compose.ZIP("a", nil)):                   container.ZIP,
		"header " + string(compose.ZIP("a", nil)):       container.ZIP,
		"PK\x03\x04" + strings.Repeat("\xFF", 40):       container.None,
		string(compose.Gzip([]byte("a"))):               container.Gzip,
		"\x1F\x8B\x08\xE0" + strings.Repeat("\x00", 40): container.None,
		string(compose.PDF("1")):                        container.PDF,
		string(compose.Compound(nil)):                   container.OLE2,
		"Rar!\x1A\x07\x00":                              container.Packed,
		"\xFF\xD8\xFF\xE0\x00\x10JFIF" + text:           container.None,
		"solid part" + text:                             container.Text, // STL
	} {
		if got := container.Recognise([]byte(head[:min(len(head), container.Window)])); got != want {
			t.Errorf("%.20q: %v, want %v", head, got, want)
		}
	}
}

// Limits hold for all pieces of an object together, and say so.
func TestLimitsAreShared(t *testing.T) {
	n := &notes{}
	o := container.New(container.Limits{Members: 10, Bytes: 1 << 20}, n)
	small := container.Piece{Data: compose.ZIP("a", []byte("content")), Whole: true}
	for range 11 {
		o.Open(small)
	}
	if len(n.members) != 10 || !n.has("container-limit") {
		t.Errorf("%d members, found %v", len(n.members), n.found)
	}
	n = &notes{}
	o = container.New(container.Limits{Bytes: 1 << 20}, n)
	for range 3 {
		o.Open(container.Piece{Data: compose.Bomb(1<<20 - 1), Whole: true})
	}
	if n.bytes > 1<<20 || !n.has("container-bomb") {
		t.Errorf("%d bytes, found %v", n.bytes, n.found)
	}
}

// What cannot be read to its end says so.
func TestTruncatedContainers(t *testing.T) {
	for _, c := range compose.Containers() {
		switch container.Recognise(c.Body[:min(len(c.Body), container.Window)]) {
		case container.Text, container.None:
			continue
		}
		n := &notes{}
		container.New(container.Limits{}, n).Open(container.Piece{Data: c.Body[:len(c.Body)*9/10]})
		if !n.has("container-limit") {
			t.Errorf("%s: found %v", c.Name, n.found)
		}
	}
}

// A ZIP whose end is missing is read by its local headers.
func TestZIPWithoutDirectory(t *testing.T) {
	whole := compose.ZIP("report.exe", []byte("content of a member"))
	n := opened(container.Limits{}, whole[:bytes.LastIndex(whole, []byte("PK\x01\x02"))])
	if n.bytes != int64(len("content of a member")) || !n.has("runnable-member") {
		t.Errorf("%d bytes, found %v", n.bytes, n.found)
	}
}

// Reading takes time in proportion to length, whatever the content. 8 MiB each.
func TestOpenIsLinear(t *testing.T) {
	repeat := func(head, body string) []byte {
		return append([]byte(head), strings.Repeat(body, (8<<20-len(head))/len(body))...)
	}
	gobble := strings.Repeat("set x=%1\nvar $a=import os\n", 3000)
	for name, p := range map[string][]byte{
		"pdf objects":      repeat("%PDF-1.4\n", "1 0 obj\n1\nendobj\n"),
		"pdf parentheses":  repeat("%PDF-1.4\n", "("),
		"pdf comments":     repeat("%PDF-1.4\n", "%"),
		"pdf names":        repeat("%PDF-1.4\n", "/"),
		"pdf streams":      repeat("%PDF-1.4\n", "obj stream\n"),
		"pdf objects in":   repeat("%PDF-1.4\n", "stream\n 1 0 obj("),
		"pdf filters":      repeat("%PDF-1.4\n", "1 0 obj<</Filter/AHx>>stream\n00>endstream "),
		"pdf actions":      repeat("%PDF-1.4\n", "/AA"),
		"rtf groups":       repeat(`{\rtf1`, "{"),
		"rtf objects":      repeat(`{\rtf1`, `\objdata 00`),
		"rtf bin":          repeat(`{\rtf1`, `\bin1`),
		"xml entities":     repeat("<?xml version='1.0'?>", "<!ENTITY "),
		"xml tags":         repeat("<html", "<a "),
		"xml parts":        repeat("<?xml version='1.0'?>", `representation="b64">`),
		"zip headers":      repeat("", string(compose.ZIP("a", nil)[:40])),
		"zip signatures":   repeat(string(compose.ZIP("a", nil)), "PK\x03\x04"),
		"zip directory":    repeat(string(compose.ZIP("a", nil)), "PK\x05\x06"),
		"compound entries": repeat(string(compose.Compound(nil)[:1024]), "\xFE\xFF\xFF\xFF"),
	} {
		start := container.Spent()
		opened(container.Limits{}, p)
		if took := container.Spent() - start; took > 5*time.Second {
			t.Errorf("%s: took %v", name, took)
		} else {
			t.Logf("%s: %v", name, took)
		}
	}
	n := &notes{}
	o := container.New(container.Limits{}, n)
	start := container.Spent()
	for range 2000 { // 125 MiB of texts
		o.Open(container.Piece{Data: []byte(gobble)[:64<<10], Whole: true})
	}
	if took := container.Spent() - start; took > 10*time.Second {
		t.Errorf("texts took %v", took)
	} else {
		t.Logf("texts: %v", took)
	}
}

// The directory of a ZIP in a ZIP is not taken for that of the outer one when
// only its beginning was kept.
func TestBeginningOfZIPWithZIP(t *testing.T) {
	inner := compose.StoredZIP("inner.zip", compose.ZIP("a", []byte("content")))
	outer := compose.StoredZIP("outer.zip", inner)
	n := &notes{}
	container.New(container.Limits{}, n).Open(container.Piece{Data: outer[:len(outer)-60]})
	if n.has("container-mismatch") || !strings.Contains(string(n.text), "content") {
		t.Errorf("found %v", n.found)
	}
}
