package review

import (
	"encoding/json"
	"strings"
)

// body is a record's body.
type body map[string]any

func readBody(text json.RawMessage) body {
	var b body
	if json.Unmarshal(text, &b) != nil {
		return nil // not an object: nothing to look at
	}
	return b
}

func (b body) text(key string) string {
	s, _ := b[key].(string)
	return s
}

func (b body) number(key string) int64 {
	n, _ := b[key].(float64)
	return int64(n)
}

func (b body) has(where Fields) bool {
	for key, want := range where {
		if b[key] != want {
			return false
		}
	}
	return true
}

// people are those in whose name it was done: "by" is a name or a list.
func (b body) people() []string {
	switch by := b["by"].(type) {
	case string:
		if by != "" {
			return []string{clip(by)}
		}
	case []any:
		var all []string
		for _, one := range by {
			if name, ok := one.(string); ok && name != "" {
				all = append(all, clip(name))
			}
		}
		return all
	}
	return nil
}

func clip(name string) string {
	return strings.ToValidUTF8(name[:min(len(name), maxName)], "")
}
