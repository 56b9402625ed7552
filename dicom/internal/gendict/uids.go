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
	b.WriteString("}\n")
	return format.Source(b.Bytes())
}
