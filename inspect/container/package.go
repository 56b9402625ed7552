package container

import (
	"bytes"
	"strings"
)

// openPackage judges the parts of an office document by their names (ECMA-376 part 2,
// OpenDocument part 2 §2): macros and controls.
func (l *level) openPackage(entries []zipEntry) {
	office, odf := false, false
	for _, e := range entries {
		office = office || e.name == "[Content_Types].xml"
		odf = odf || e.name == "META-INF/manifest.xml" || e.name == "mimetype"
	}
	if !office && !odf {
		return
	}
	for _, e := range entries {
		name := lowerName(e.name)
		switch {
		case office && (strings.HasSuffix(name, "/vbaproject.bin") || strings.Contains(name, "/macrosheets/")):
			l.found("office-macro", e.at, "")
		case odf && (strings.HasPrefix(name, "basic/") || strings.HasPrefix(name, "scripts/")) && !strings.HasSuffix(name, "/") && !strings.Contains(name, "script-l"):
			l.found("office-macro", e.at, "")
		case office && strings.Contains(name, "/activex/") && strings.HasSuffix(name, ".bin"):
			l.found("activex", e.at, "")
		}
	}
}

// fetched are the ends of relationship types whose target is loaded, without asking, when the
// document is opened. Hyperlinks are not among them.
var fetched = []string{"/attachedtemplate", "/oleobject", "/frame", "/subdocument", "/altchunk"}

// relationships looks for targets outside of the document that are loaded with
// it (ECMA-376 part 2 §8.3): text is in lower case.
func (l *level) relationships(text []byte) {
	for at := 0; ; {
		i := bytes.Index(text[at:], []byte("<relationship "))
		if i < 0 {
			return
		}
		at += i + 1
		tag := text[at:min(len(text), at+4096)]
		if end := bytes.IndexAny(tag, "<>"); end >= 0 {
			tag = tag[:end]
		}
		if attribute(tag, "targetmode") != "external" {
			continue
		}
		for _, kind := range fetched {
			if strings.HasSuffix(attribute(tag, "type"), kind) && remote(attribute(tag, "target")) {
				l.found("external-reference", at, "relationship "+kind[1:])
			}
		}
	}
}

// attribute returns the value of an attribute of a tag, or "".
func attribute(tag []byte, name string) string {
	for at := 0; ; {
		i := bytes.Index(tag[at:], []byte(name))
		if i < 0 {
			return ""
		}
		at += i + len(name)
		value := bytes.TrimLeft(tag[at:], " \t\r\n")
		if before := at - len(name) - 1; before >= 0 && isLetter(tag[before]) || len(value) == 0 || value[0] != '=' {
			continue
		}
		value = bytes.TrimLeft(value[1:], " \t\r\n")
		if len(value) == 0 || value[0] != '"' && value[0] != '\'' {
			return ""
		}
		if end := bytes.IndexByte(value[1:], value[0]); end >= 0 {
			return string(value[1 : 1+end])
		}
		return ""
	}
}

// remote reports whether an address, in lower case, leads to another machine.
func remote(address string) bool {
	for _, start := range [...]string{"http:", "https:", "ftp:", "mhtml:", "ms-msdt:", "search-ms:", `\\`, "//", "file://", "file:\\\\", "script:"} {
		if strings.HasPrefix(address, start) {
			return !strings.HasPrefix(address, "file:///")
		}
	}
	return false
}
