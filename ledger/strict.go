package ledger

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// value returns the length of the canonical JSON value that p begins with, or
// an error if it begins with none: it accepts exactly what appendValue writes.
func value(p []byte, depth int) (int, error) {
	if depth > maxDepth {
		return 0, fmt.Errorf("nested more than %d deep", maxDepth)
	}
	if len(p) == 0 {
		return 0, errNotCanonical
	}
	switch p[0] {
	case '"':
		return text(p)
	case '[':
		return array(p, depth)
	case '{':
		return object(p, depth)
	case 'n':
		return word(p, "null")
	case 't':
		return word(p, "true")
	case 'f':
		return word(p, "false")
	}
	return integer(p)
}

func word(p []byte, w string) (int, error) {
	if !bytes.HasPrefix(p, []byte(w)) {
		return 0, errNotCanonical
	}
	return len(w), nil
}

func array(p []byte, depth int) (int, error) {
	at := 1
	for first := true; ; first = false {
		if at < len(p) && p[at] == ']' && first {
			return at + 1, nil
		}
		n, err := value(p[at:], depth+1)
		if err != nil {
			return 0, err
		}
		at += n
		switch {
		case at < len(p) && p[at] == ',':
			at++
		case at < len(p) && p[at] == ']':
			return at + 1, nil
		default:
			return 0, errNotCanonical
		}
	}
}

func object(p []byte, depth int) (int, error) {
	at, last := 1, ""
	for first := true; ; first = false {
		if at < len(p) && p[at] == '}' && first {
			return at + 1, nil
		}
		n, err := text(p[at:])
		if err != nil {
			return 0, err
		}
		key := plain(p[at : at+n])
		if !first && key <= last { // also one that is there twice
			return 0, errNotCanonical
		}
		last = key
		if at += n; at >= len(p) || p[at] != ':' {
			return 0, errNotCanonical
		}
		at++
		if n, err = value(p[at:], depth+1); err != nil {
			return 0, err
		}
		at += n
		switch {
		case at < len(p) && p[at] == ',':
			at++
		case at < len(p) && p[at] == '}':
			return at + 1, nil
		default:
			return 0, errNotCanonical
		}
	}
}

// integer accepts no sign of zero, no leading zero and at most 53 bits; what
// ends it is the caller's.
func integer(p []byte) (int, error) {
	n := 0
	for n < len(p) && n < 18 && (p[n] >= '0' && p[n] <= '9' || p[n] == '-' && n == 0) {
		n++
	}
	i, err := strconv.ParseInt(string(p[:n]), 10, 64)
	if err != nil || i > maxInteger || i < -maxInteger || strconv.FormatInt(i, 10) != string(p[:n]) {
		return 0, errNotCanonical
	}
	return n, nil
}

// text accepts a string with the escapes of appendString and no others.
func text(p []byte) (int, error) {
	if len(p) == 0 || p[0] != '"' {
		return 0, errNotCanonical
	}
	for at := 1; at < len(p); {
		switch c := p[at]; {
		case c == '"':
			return at + 1, nil
		case c == '\\':
			n := escape(p[at:])
			if n == 0 {
				return 0, errNotCanonical
			}
			at += n
		case c < 0x20:
			return 0, errNotCanonical
		case c < utf8.RuneSelf:
			at++
		default:
			r, n := utf8.DecodeRune(p[at:])
			if r == utf8.RuneError && n == 1 {
				return 0, errNotCanonical
			}
			at += n
		}
	}
	return 0, errNotCanonical
}

// escape returns the length of the escape that p begins with, 0 if it is none of
// ours.
func escape(p []byte) int {
	if len(p) >= 2 && (p[1] == '"' || p[1] == '\\') {
		return 2
	}
	const hex = "0123456789abcdef"
	if len(p) >= 6 && string(p[1:4]) == "u00" && (p[4] == '0' || p[4] == '1') && bytes.IndexByte([]byte(hex), p[5]) >= 0 {
		return 6
	}
	return 0
}

// plain is the content of a string that text has accepted.
func plain(quoted []byte) string {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1])
	}
	var s string
	if err := json.Unmarshal(quoted, &s); err != nil {
		panic(err) // text accepts less than JSON does
	}
	return s
}
