package main

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"cordon/setting"
)

// setting reads the value of a key that people may set while Cordon runs, where
// the file does not.
func (d *document) setting(key string) func(ast.Node) {
	return func(n ast.Node) {
		s, ok := d.scalar(n)
		if !ok {
			return
		}
		if _, wrong := setting.Parse(key, s); wrong != "" {
			d.wrong(n, "%s", wrong)
		}
	}
}

// declared are the settings that the file sets, by key.
func (d *document) declared() map[string]string {
	out := map[string]string{}
	for _, k := range setting.Kinds() {
		if n, ok := d.places[k.Key].(ast.ScalarNode); ok {
			text, _ := d.scalar(n)
			if value, wrong := setting.Parse(k.Key, text); wrong == "" { // else it is a problem already
				out[k.Key] = value
			}
		}
	}
	return out
}

// settings are those that hold where only the file decides: of commands that need
// no data directory.
func (c Config) settings() setting.Values {
	v, err := setting.Of(c.Declared)
	if err != nil {
		panic(err) // reading the file has checked it
	}
	return v
}

// Said is one value that the configuration file sets.
type Said struct {
	Path  string // "devices[0].archive"
	Value string // masked if it is secret
	Line  int
}

// masked stands for a secret.
const masked = "••••••"

// secretKeys are the last keys of paths whose values nobody may read on a page.
var secretKeys = regexp.MustCompile(`(?i)(password|passphrase|secret|token|credential|hmac)$`)

// said is all that the file says, in its order.
func (d *document) said() []Said {
	var out []Said
	for path, n := range d.places {
		scalar, ok := n.(ast.ScalarNode)
		if !ok {
			continue
		}
		value := scalar.GetToken().Value
		out = append(out, Said{path, shownValue(path, value), scalar.GetToken().Position.Line})
	}
	slices.SortFunc(out, func(a, b Said) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return strings.Compare(a.Path, b.Path)
	})
	return out
}

// shownValue is a value without what is secret in it.
func shownValue(path, value string) string {
	if secretKeys.MatchString(path) {
		return masked
	}
	u, err := url.Parse(value)
	if err != nil || u.Host == "" {
		return value
	}
	if _, has := u.User.Password(); has {
		u.User = url.User(masked)
	}
	if u.RawQuery != "" {
		u.RawQuery = masked
	}
	shown, err := url.PathUnescape(u.String())
	if err != nil {
		return masked
	}
	return shown
}
