package main

import (
	"bytes"
	"fmt"
	"go/format"
	"os"
	"regexp"
	"slices"
	"strings"
)

// uid is a line of pydicom's UID_dictionary: UID, name, type, info, retired, keyword.
type uid struct {
	uid, name, kind, keyword string
	retired                  bool
}

var uidLine = regexp.MustCompile(`(?m)^    '([0-9.]+)': \((?:'([^']*)'|"([^"]*)"), '([^']*)', (?:'[^']*'|"[^"]*"), '([^']*)', '([^']*)'\)`)

func generateUIDs() ([]byte, error) {
	source, err := os.ReadFile(uidSource)
	if err != nil {
		return nil, err
	}
	var uids []uid
	for _, m := range uidLine.FindAllStringSubmatch(string(source), -1) {
		name := strings.TrimSuffix(m[2]+m[3], " (Retired)")
		uids = append(uids, uid{uid: m[1], name: name, kind: m[4], retired: m[5] != "", keyword: m[6]})
	}
	if want := strings.Count(string(source), "\n    '"); len(uids) != want || want == 0 {
		return nil, fmt.Errorf("%s has %d entries, %d were understood", uidSource, want, len(uids))
	}
	slices.SortFunc(uids, func(a, b uid) int { return strings.Compare(a.uid, b.uid) })
	return writeUIDs(uids)
}

func writeUIDs(uids []uid) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(header)
	b.WriteString("// uidNames are in the order of their UIDs as strings.\nvar uidNames = [...]UIDName{\n")
	for _, u := range uids {
		fmt.Fprintf(&b, "{%q, %q, %q, %q, %t},\n", u.uid, u.name, u.kind, u.keyword, u.retired)
	}
	b.WriteString("}\n\n")
	writeConstants(&b, uids)
	return format.Source(b.Bytes())
}

// named are the kinds of UID that have constants, and what their group is called.
var named = [...]struct{ kind, heading string }{
	{"Transfer Syntax", "Transfer syntaxes (PS3.6 table A-1), by keyword. [LookupTransferSyntax] tells their encoding."},
	{"SOP Class", "SOP classes (PS3.6 table A-1), by keyword."},
	{"Meta SOP Class", "Meta SOP classes (PS3.6 table A-1), by keyword."},
	{"Well-known SOP Instance", "Well-known SOP instances (PS3.6 table A-1), by keyword."},
	{"Well-known Printer SOP Instance", "Well-known printer SOP instances (PS3.6 table A-1), by keyword."},
	{"Well-known Print Queue SOP Instance", "The well-known print queue SOP instance (PS3.6 table A-1), by keyword."},
}

// writeConstants writes a constant, named by its keyword, for each UID that an application meets by name.
func writeConstants(b *bytes.Buffer, uids []uid) {
	for _, n := range named {
		fmt.Fprintf(b, "// %s\nconst (\n", n.heading)
		for _, u := range uids {
			if u.kind == n.kind && u.keyword != "" {
				fmt.Fprintf(b, "%s UID = %q\n", u.keyword, u.uid)
			}
		}
		b.WriteString(")\n\n")
	}
}
