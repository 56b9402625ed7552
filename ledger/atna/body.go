package atna

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// body is a record's body, read leniently: what is not there, or is something
// else, is "" or 0.
type body map[string]any

func readBody(text json.RawMessage) body {
	b := body{}
	if json.Unmarshal(text, &b) != nil {
		return body{}
	}
	return b
}

// maxText bounds a text of a message, in bytes.
const maxText = 1024

func (b body) text(key string) string {
	s, _ := b[key].(string)
	return clip(s, maxText)
}

// first returns the first of these that is not "".
func (b body) first(keys ...string) string {
	for _, k := range keys {
		if s := b.text(k); s != "" {
			return s
		}
	}
	return ""
}

func (b body) number(key string) int {
	n, _ := b[key].(float64) // of at most 53 bits: see package ledger
	return int(n)
}

func (b body) yes(key string) bool {
	v, _ := b[key].(bool)
	return v
}

// has reports whether there is something: not nothing, false, "" or empty.
func (b body) has(key string) bool {
	switch v := b[key].(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != ""
	case []any:
		return len(v) > 0
	case float64:
		return v != 0
	}
	return true
}

// list reads a list of texts, or one text.
func (b body) list(key string) []string {
	switch v := b[key].(type) {
	case string:
		if v != "" {
			return []string{clip(v, maxText)}
		}
	case []any:
		var out []string
		for _, e := range v {
			if s, ok := e.(string); ok && s != "" {
				out = append(out, clip(s, maxText))
			}
		}
		return out
	}
	return nil
}

// counts reads an object of numbers, in the order of its keys.
func (b body) counts(key string) []SOPClass {
	object, _ := b[key].(map[string]any)
	var out []SOPClass
	for _, uid := range slices.Sorted(maps.Keys(object)) {
		if n, ok := object[uid].(float64); ok && len(out) < maxClasses {
			out = append(out, SOPClass{clip(uid, maxText), int(n)})
		}
	}
	return out
}

// maxClasses bounds the SOP classes named in one message.
const maxClasses = 64

// describe puts what a body says of the values of keys into words.
func (b body) describe(keys ...string) string {
	var out []string
	for _, k := range keys {
		var says string
		switch v := b[k].(type) {
		case string:
			says = v
		case []any:
			says = strings.Join(b.list(k), ", ")
		case float64:
			says = strings.ReplaceAll(k, "_", " ") + " " + jsonText(v)
		}
		if says != "" {
			out = append(out, clip(says, maxText))
		}
	}
	return strings.Join(out, "; ")
}

func jsonText(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(text)
}
