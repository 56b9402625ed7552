package view

import (
	"fmt"
	"html/template"
	"strings"
	"time"
)

// funcs are what templates may call.
func (v *View) funcs() template.FuncMap {
	return template.FuncMap{
		"t":      v.words.text,
		"ago":    func(at any) string { return ago(at, time.Now()) },
		"clock":  func(at any) string { return form(at, "15:04:05") },
		"day":    func(at any) string { return form(at, "2006-01-02") },
		"moment": func(at any) string { return form(at, "2006-01-02 15:04:05") },
		"stamp":  func(at any) string { return form(at, time.RFC3339) },
		"bytes":  Bytes,
		"thin":   Thin,
		"short":  Short,
		"join":   strings.Join,
		"badge":  NewBadge,
		"plural": v.plural,
		"dict":   dict,
	}
}

// timeOf is a time, or what a pointer to one points at.
func timeOf(at any) time.Time {
	switch at := at.(type) {
	case time.Time:
		return at
	case *time.Time:
		if at != nil {
			return *at
		}
	}
	return time.Time{}
}

func form(at any, layout string) string {
	t := timeOf(at)
	if t.IsZero() {
		return "–"
	}
	return t.Local().Format(layout)
}

// ago says how long ago a time was; a zero or missing time is "never".
func ago(at any, now time.Time) string {
	t := timeOf(at)
	if t.IsZero() {
		return "never"
	}
	d := now.Sub(t)
	if d < 0 {
		return "in " + Span(-d)
	}
	return Span(d) + " ago"
}

// Span is a time in its largest unit: "4 min".
func Span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d d", int(d.Hours()/24))
}

// Thin groups the digits of a count by thin spaces.
func Thin(n any) string {
	text := fmt.Sprint(n)
	first := 0
	if strings.HasPrefix(text, "-") {
		first = 1
	}
	for i := len(text) - 3; i > first; i -= 3 {
		text = text[:i] + "\u2009" + text[i:]
	}
	return text
}

// Bytes writes a size in powers of 1000.
func Bytes(n any) string {
	var f float64
	if _, err := fmt.Sscan(fmt.Sprint(n), &f); err != nil {
		return fmt.Sprint(n)
	}
	if f < 1000 {
		return fmt.Sprintf("%.0f B", f)
	}
	const units = "kMGTPE"
	i := 0
	for f /= 1000; f >= 1000 && i < len(units)-1; i++ {
		f /= 1000
	}
	return fmt.Sprintf("%.1f %cB", f, units[i])
}

// Short is the end of a UID, by which people tell studies apart.
func Short(uid string) string {
	const most = 14
	if len(uid) <= most {
		return uid
	}
	return "…" + uid[len(uid)-most:]
}

// Badge is a state: a shape and a word besides its colour.
type Badge struct{ Class, Shape, Word string }

// shapes of the classes of badges.
var shapes = map[string]string{"good": "●", "info": "○", "look": "▲", "bad": "■", "off": "–"}

// NewBadge makes one: badge "look" "degraded". The classes are good, info, look, bad, off.
func NewBadge(class, word string) Badge { return Badge{class, shapes[class], word} }

// plural is a count with its word: plural 3 "image" is "3 images"; the keys are
// count.image.one and count.image.many.
func (v *View) plural(n any, what string) string {
	if fmt.Sprint(n) == "1" {
		return v.words.text("count."+what+".one", Thin(n))
	}
	return v.words.text("count."+what+".many", Thin(n))
}

// dict makes a map of pairs, for a template that is called with several things.
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("dict: %d arguments; expected pairs", len(pairs))
	}
	out := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		key, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: %v is no name", pairs[i])
		}
		out[key] = pairs[i+1]
	}
	return out, nil
}
