package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"
)

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
// integers.
func canonical(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return canonicalJSON(text)
}

// canonicalJSON re-encodes JSON text.
func canonicalJSON(text []byte) ([]byte, error) {
	if len(text) > 4*maxRecord {
		return nil, fmt.Errorf("%d bytes of JSON: too long for a record", len(text))
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	out, err := appendValue(nil, v, 0)
	if err != nil {
		return nil, err
	}
	if len(out) > maxRecord {
		return nil, fmt.Errorf("%d bytes: a record has at most %d", len(out), maxRecord)
	}
	return out, nil
}

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
	case json.Number:
		return appendInteger(out, v)
	case []any:
		return appendArray(out, v, depth)
	case map[string]any:
		return appendObject(out, v, depth)
	}
	return nil, fmt.Errorf("%T: not a JSON value", v)
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

func appendInteger(out []byte, n json.Number) ([]byte, error) {
	i, err := strconv.ParseInt(n.String(), 10, 64)
	if err != nil || i > maxInteger || i < -maxInteger {
		return nil, fmt.Errorf("number %.32s: only integers of up to 53 bits", n)
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
