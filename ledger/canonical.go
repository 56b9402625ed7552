package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"
)

// ErrValue means that a body has a value in it that no record can hold.
var ErrValue = errors.New("cannot be recorded")

const (
	// maxRecord bounds one record, as bytes of canonical JSON.
	maxRecord = 64 << 10
	// maxDepth bounds the nesting of objects and arrays in a record.
	maxDepth = 32
	// maxInteger is the largest that every JSON reader keeps exactly.
	maxInteger = 1<<53 - 1
)

// canonical returns the one encoding that we accept of a value: see the package
// comment. Whatever encoding/json can marshal is allowed if its numbers are
// integers. In a record it is the value of a member, one deep.
func canonical(v any) ([]byte, error) {
	out, err := appendValue(make([]byte, 0, 512), v, 1)
	if err != nil {
		return nil, err
	}
	if len(out) > maxRecord {
		return nil, fmt.Errorf("%w: %d bytes: a record has at most %d", ErrValue, len(out), maxRecord)
	}
	return out, nil
}

// appendValue appends a value that is nested depth deep. The kinds of values
// that most bodies are made of are encoded at once, the rest as encoding/json
// sees it.
func appendValue(out []byte, v any, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested more than %d deep", maxDepth)
	}
	switch v := v.(type) {
	case nil:
		return append(out, "null"...), nil
	case bool:
		return strconv.AppendBool(out, v), nil
	case string:
		return appendString(out, v), nil
	case int:
		return appendInteger(out, int64(v))
	case int64:
		return appendInteger(out, v)
	case json.Number:
		return appendNumber(out, v)
	case []any:
		return appendArray(out, v, depth)
	case map[string]any:
		return appendObject(out, v, depth)
	}
	return appendJSON(out, v, depth)
}

// appendJSON appends what encoding/json makes of v.
func appendJSON(out []byte, v any, depth int) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	if len(text) > 4*maxRecord {
		return nil, fmt.Errorf("%d bytes of JSON: too long for a record", len(text))
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var plain any
	if err := dec.Decode(&plain); err != nil {
		return nil, err
	}
	return appendValue(out, plain, depth)
}

func appendArray(out []byte, values []any, depth int) (_ []byte, err error) {
	out = append(out, '[')
	for i, v := range values {
		if i > 0 {
			out = append(out, ',')
		}
		if out, err = appendValue(out, v, depth+1); err != nil {
			return nil, err
		}
	}
	return append(out, ']'), nil
}

func appendObject(out []byte, object map[string]any, depth int) (_ []byte, err error) {
	out = append(out, '{')
	for i, key := range slices.Sorted(maps.Keys(object)) {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(appendString(out, key), ':')
		if out, err = appendValue(out, object[key], depth+1); err != nil {
			return nil, err
		}
	}
	return append(out, '}'), nil
}

func appendNumber(out []byte, n json.Number) ([]byte, error) {
	i, err := strconv.ParseInt(n.String(), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%w: number %.32s: only integers of up to 53 bits", ErrValue, n)
	}
	return appendInteger(out, i)
}

func appendInteger(out []byte, i int64) ([]byte, error) {
	if i > maxInteger || i < -maxInteger {
		return nil, fmt.Errorf("%w: number %d: only integers of up to 53 bits", ErrValue, i)
	}
	return strconv.AppendInt(out, i, 10), nil
}

// appendString escapes what JSON makes us escape, each in one way, and nothing
// more.
func appendString(out []byte, s string) []byte {
	const hex = "0123456789abcdef"
	out = append(out, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			out = append(out, '\\', byte(r))
		case r < 0x20:
			out = append(out, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			out = utf8.AppendRune(out, r)
		}
	}
	return append(out, '"')
}
