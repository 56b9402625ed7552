package main

import (
	"regexp"
	"strconv"

	"github.com/goccy/go-yaml/ast"

	"cordon/dicom"
	"cordon/gateway"
)

// query reads what may be asked of the archives.
func (d *document) query(n ast.Node, q *gateway.QueryConfig) {
	d.mapping(n, keys{
		"keys":        d.list("key", d.attribute(&q.Rules.Keys)),
		"without_key": d.withoutKey(&q.Rules.NeedKey),
		"max_matches": d.number(&q.MaxMatches, 1, 10_000_000),
		"per_minute":  d.number(&q.PerMinute, 1, 1_000_000),
	})
}

func (d *document) withoutKey(needed *bool) func(ast.Node) {
	return func(n ast.Node) {
		if s, ok := d.scalar(n); ok && d.word(n, s, "allow", "refuse") {
			*needed = s == "refuse"
		}
	}
}

// tagText is a tag as the standard writes it, with or without parentheses.
var tagText = regexp.MustCompile(`^\(?([0-9A-Fa-f]{4}),([0-9A-Fa-f]{4})\)?$`)

// attribute reads an attribute by its tag or its keyword in PS3.6.
func (d *document) attribute(to *[]dicom.Tag) func(ast.Node) {
	return func(n ast.Node) {
		s, ok := d.scalar(n)
		if !ok {
			return
		}
		if m := tagText.FindStringSubmatch(s); m != nil {
			tag, _ := strconv.ParseUint(m[1]+m[2], 16, 32) // eight hexadecimal digits
			*to = append(*to, dicom.Tag(tag))
			return
		}
		a, ok := dicom.LookupAttributeKeyword(s)
		if !ok {
			d.wrong(n, "%q is neither the keyword of an attribute nor a tag; write PatientID or \"(0010,0020)\"", s)
			return
		}
		*to = append(*to, a.Tag)
	}
}
