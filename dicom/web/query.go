package web

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"cordon/dicom"
)

// Level is what a query finds (PS3.4 §C.6, PS3.18 §10.6).
type Level uint8

// Levels. PS3.18 has no search for patients; [Query.Resource] of one is the search for studies.
const (
	LevelPatient Level = iota + 1
	LevelStudy
	LevelSeries
	LevelInstance
)

var levelNames = [...]string{"", "PATIENT", "STUDY", "SERIES", "IMAGE"}

// String is the level as Query/Retrieve Level (0008,0052) has it.
func (l Level) String() string {
	if int(l) < len(levelNames) {
		return levelNames[l]
	}
	return ""
}

// Query is a search (PS3.18 §8.3.4, §10.6).
type Query struct {
	Level          Level
	Study, Series  dicom.UID // of the path; empty: any
	Matches        []Match
	Include        []Path // wanted besides what a search answers anyway
	All            bool   // includefield=all
	Fuzzy          bool   // fuzzymatching
	EmptyValues    bool   // emptyvaluematching
	MultipleValues bool   // multiplevaluematching
	Limit, Offset  int    // 0: none
}

// Path is an attribute, inside sequences if it has several tags.
type Path []dicom.Tag

// Match is a key and the value it has to match, in UTF-8, several values separated by backslashes.
type Match struct {
	Path  Path
	Value string
}

// Limits of one query.
const (
	maxQuery      = 8 << 10 // bytes, escaped
	maxParameters = 128
	maxPathDepth  = 4
)

// ParseQuery reads the query of a search for r. Each attribute may come once. The parameters of content
// negotiation, accept and charset, are left to others. The error is a *[Refusal] with status 400, or 414.
func ParseQuery(r Resource, rawQuery string) (Query, error) {
	q := Query{Study: r.Study, Series: r.Series}
	switch r.Kind {
	case KindStudies:
		q.Level = LevelStudy
	case KindSeriesList:
		q.Level = LevelSeries
	case KindInstances:
		q.Level = LevelInstance
	default:
		return Query{}, refuse(405, "%v: cannot be searched (PS3.18 §10.6)", r.Kind)
	}
	parameters, err := parseParameters(rawQuery)
	if err != nil {
		return Query{}, err
	}
	for _, p := range parameters {
		if err := q.parameter(p.name, p.value); err != nil {
			return Query{}, err
		}
	}
	return q, nil
}

type parameter struct{ name, value string }

// parseParameters reads a query strictly: no name twice but includefield, valid UTF-8, no control characters.
func parseParameters(raw string) ([]parameter, error) {
	if len(raw) > maxQuery {
		return nil, refuse(414, "query: %d bytes, %d are allowed", len(raw), maxQuery)
	}
	if raw == "" {
		return nil, nil
	}
	var out []parameter
	for pair := range strings.SplitSeq(raw, "&") {
		name, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if err != nil || !isClean(name) || name == "" {
			return nil, bad("query: a name that is empty or not escaped as it has to be")
		}
		if value, err = url.QueryUnescape(value); err != nil || !isClean(value) {
			return nil, bad("query: a value that is not UTF-8, holds control characters, or is not escaped as it has to be")
		}
		if len(out) == maxParameters {
			return nil, bad("query: more than %d parameters", maxParameters)
		}
		if name != "includefield" && slices.ContainsFunc(out, func(p parameter) bool { return p.name == name }) {
			return nil, bad("query: a parameter comes twice (PS3.18 §8.3.4)")
		}
		out = append(out, parameter{name, value})
	}
	return out, nil
}

// isClean tells whether s is valid UTF-8 without control characters.
func isClean(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7F && r <= 0x9F })
}

func (q *Query) parameter(name, value string) error {
	switch name {
	case "accept", "charset":
		return nil
	case "fuzzymatching":
		return parseBool(name, value, &q.Fuzzy)
	case "emptyvaluematching":
		return parseBool(name, value, &q.EmptyValues)
	case "multiplevaluematching":
		return parseBool(name, value, &q.MultipleValues)
	case "limit":
		return parseCount(name, value, &q.Limit)
	case "offset":
		return parseCount(name, value, &q.Offset)
	case "includefield":
		return q.include(value)
	}
	p, err := parsePath(name)
	if err != nil {
		return err
	}
	return q.match(p, value)
}

func parseBool(name, value string, to *bool) error {
	if value != "true" && value != "false" {
		return bad("query: %s is true or false (PS3.18 §8.3.4)", name)
	}
	*to = value == "true"
	return nil
}

func parseCount(name, value string, to *int) error {
	n, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return bad("query: %s is a number from 0 (PS3.18 §8.3.4.4)", name)
	}
	*to = int(n)
	return nil
}

func (q *Query) include(value string) error {
	for s := range strings.SplitSeq(value, ",") {
		if s == "all" {
			q.All = true
			continue
		}
		p, err := parsePath(s)
		if err != nil {
			return err
		}
		if len(q.Include) == 4*maxParameters {
			return bad("query: more than %d attributes to include", 4*maxParameters)
		}
		q.Include = append(q.Include, p)
	}
	return nil
}

// match adds a key. A list of UIDs may be separated by commas or backslashes (PS3.18 §8.3.4.1).
func (q *Query) match(p Path, value string) error {
	if slices.ContainsFunc(q.Matches, func(m Match) bool { return slices.Equal(m.Path, p) }) {
		return bad("query: %v is asked for under two names", p)
	}
	if standardVR(p[len(p)-1]) == dicom.UI || q.MultipleValues {
		value = strings.ReplaceAll(value, ",", `\`)
	}
	q.Matches = append(q.Matches, Match{p, value})
	return nil
}

// parsePath reads an attribute: a keyword or eight hexadecimal digits, inside
// sequences with dots between them (PS3.18 §8.3.4.1.1).
func parsePath(s string) (Path, error) {
	var p Path
	for step := range strings.SplitSeq(s, ".") {
		t, err := parseTag(step)
		if err != nil {
			a, known := dicom.LookupAttributeKeyword(step)
			if !known {
				return nil, bad("query: a name that is neither a parameter of PS3.18 §8.3.4 nor an attribute's keyword or tag")
			}
			t = a.Tag
		}
		if len(p) == maxPathDepth {
			return nil, bad("query: an attribute inside more than %d sequences", maxPathDepth-1)
		}
		if len(p) > 0 && !mayHoldItems(p[len(p)-1]) {
			return nil, bad("query: %v is no sequence", p)
		}
		p = append(p, t)
	}
	if t := p[len(p)-1]; t.Group() < 8 || t.IsGroupLength() || t.Group() == dicom.TagItem.Group() {
		return nil, bad("query: %v is no attribute of a data set", p)
	}
	return p, nil
}

func mayHoldItems(t dicom.Tag) bool {
	vr := standardVR(t)
	return vr == dicom.SQ || vr == dicom.UN
}

// String is the path with a dot between its tags, each of eight hexadecimal digits.
func (p Path) String() string {
	s := make([]string, len(p))
	for i, t := range p {
		s[i] = tagText(t)
	}
	return strings.Join(s, ".")
}

// Resource is where the search is made.
func (q Query) Resource() Resource {
	r := Resource{Kind: KindStudies, Study: q.Study, Series: q.Series}
	switch q.Level {
	case LevelSeries:
		r.Kind = KindSeriesList
	case LevelInstance:
		r.Kind = KindInstances
	default:
		r.Study, r.Series = "", ""
	}
	return r
}

// RawQuery is the query as a client sends it: attributes by their tags, which
// every server knows.
func (q Query) RawQuery() string {
	return q.rawQuery(func(_ dicom.VR, value string) string { return escaped(value) })
}

// rawQuery is the query with the values of its keys as write writes them.
func (q Query) rawQuery(write func(vr dicom.VR, value string) string) string {
	var s []string
	add := func(name, value string) { s = append(s, name+"="+value) }
	for _, m := range q.Matches {
		value, vr := m.Value, standardVR(m.Path[len(m.Path)-1])
		if vr == dicom.UI || q.MultipleValues {
			value = strings.ReplaceAll(value, `\`, ",")
		}
		add(m.Path.String(), write(vr, value))
	}
	for _, p := range q.Include {
		add("includefield", p.String())
	}
	if q.All {
		add("includefield", "all")
	}
	for _, flag := range []struct {
		name string
		set  bool
	}{{"fuzzymatching", q.Fuzzy}, {"emptyvaluematching", q.EmptyValues}, {"multiplevaluematching", q.MultipleValues}} {
		if flag.set {
			add(flag.name, "true")
		}
	}
	if q.Limit > 0 {
		add("limit", strconv.Itoa(q.Limit))
	}
	if q.Offset > 0 {
		add("offset", strconv.Itoa(q.Offset))
	}
	return strings.Join(s, "&")
}
