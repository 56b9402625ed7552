package query

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// repertoire is how text is encoded: what Specific Character Set (0008,0005) says. The zero value is the default
// repertoire, ISO 646 (PS3.3 §C.12.1.1.2, PS3.5 §6.1).
type repertoire struct {
	form    form
	high    bool     // bytes above 7FH are characters from the start
	escapes []string // sequences after ESC that are declared; none: ESC may not come
}

// form is how many bytes a character has.
type form uint8

const (
	formSingle form = iota // one, or by ISO 2022 code extension two
	formUTF8
	formGBK
	formGB18030
	formUndeclared // no set is named: a byte above 7FH is a character of some set or other
)

// undeclared is the repertoire of an identifier that names no character set. It should be the default one, but many
// clients send the letters of their own language all the same; to refuse them would end the search for a patient whose
// name has one, and archives take such bytes for the set that they are configured for.
var undeclared = repertoire{form: formUndeclared}

// characterSets are the defined terms of Specific Character Set (PS3.3 tables C.12-2 to C.12-5), with what follows ESC
// to designate their code elements. ISO_IR 6 is no defined term; many write it for the default repertoire.
var characterSets = [...]struct {
	number  string // after "ISO_IR " or "ISO 2022 IR "
	escapes []string
	double  bool // two bytes a character: only with code extension
}{
	{"6", []string{"(B"}, false},
	{"100", []string{"-A"}, false},
	{"101", []string{"-B"}, false},
	{"109", []string{"-C"}, false},
	{"110", []string{"-D"}, false},
	{"144", []string{"-L"}, false},
	{"127", []string{"-G"}, false},
	{"126", []string{"-F"}, false},
	{"138", []string{"-H"}, false},
	{"148", []string{"-M"}, false},
	{"203", []string{"-b"}, false},
	{"13", []string{"(J", ")I"}, false},
	{"166", []string{"-T"}, false},
	{"87", []string{"$B"}, true},
	{"159", []string{"$(D"}, true},
	{"149", []string{"$)C"}, true},
	{"58", []string{"$)A"}, true},
}

// parseRepertoire reads the value of a Specific Character Set.
func parseRepertoire(value []byte) (repertoire, error) {
	terms := strings.Split(string(trim(value)), `\`)
	if len(terms) == 1 {
		switch terms[0] {
		case "":
			return undeclared, nil
		case "ISO_IR 192":
			return repertoire{form: formUTF8}, nil
		case "GBK":
			return repertoire{form: formGBK}, nil
		case "GB18030":
			return repertoire{form: formGB18030}, nil
		}
	}
	var r repertoire
	for i, term := range terms {
		if err := r.declare(strings.TrimSpace(term), i == 0, len(terms) > 1); err != nil {
			return repertoire{}, err
		}
	}
	return r, nil
}

// declare adds one defined term. The first may be empty, for the default repertoire. ISO_IR beside others is taken for
// ISO 2022 IR: many write that.
func (r *repertoire) declare(term string, first, extended bool) error {
	if term == "" && first {
		term = "ISO 2022 IR 6"
	}
	number, extension := strings.CutPrefix(term, "ISO 2022 IR ")
	if !extension {
		number, _ = strings.CutPrefix(term, "ISO_IR ")
	}
	for _, s := range characterSets {
		if s.number != number || number == term || s.double && !extension && !extended {
			continue
		}
		r.high = r.high || first && !s.double && number != "6"
		if extension || extended {
			r.escapes = append(r.escapes, s.escapes...)
			if first {
				r.escapes = append(r.escapes, "(B")
			}
		}
		return nil
	}
	return errors.New("not a defined term of Specific Character Set")
}

// scanner reads text character by character. A new one begins a value.
type scanner struct {
	repertoire
	rest   []byte
	double bool // G0 has two bytes a character
	pairs  bool // G1 has
	g1     bool // G1 is designated
}

func (r repertoire) scan(p []byte) *scanner {
	return &scanner{repertoire: r, rest: p, g1: r.high}
}

// other is what stands for a character that ISO 646 does not have.
const other = -1

// next is the next character: its code in ISO 646, or other. What a delimiter ends begins anew in the
// initial code elements (PS3.5 §6.1.2.5.3); delimiters tells which.
func (s *scanner) next(delimiters string) (c int, ok bool, err error) {
	for len(s.rest) > 0 && s.rest[0] == 0x1B {
		if err := s.escape(); err != nil {
			return 0, false, err
		}
	}
	if len(s.rest) == 0 {
		if s.double {
			return 0, false, errors.New("ends in a two-byte code element")
		}
		return 0, false, nil
	}
	n, err := s.width()
	if err != nil {
		return 0, false, err
	}
	first := s.rest[0]
	s.rest = s.rest[n:]
	if n > 1 || first >= 0x80 {
		return other, true, nil
	}
	if strings.IndexByte(delimiters, first) >= 0 {
		s.pairs, s.g1 = false, s.high
	}
	return int(first), true, nil
}

// escape designates a code element, which must have been declared.
func (s *scanner) escape() error {
	for _, e := range s.escapes {
		if !bytes.HasPrefix(s.rest[1:], []byte(e)) {
			continue
		}
		s.rest = s.rest[1+len(e):]
		switch e {
		case "(B", "(J":
			s.double = false
		case "$B", "$(D":
			s.double = true
		default:
			s.g1, s.pairs = true, e[0] == '$'
		}
		return nil
	}
	return errors.New("escape sequence of a character set that is not declared")
}

// width is how many bytes the next character has.
func (s *scanner) width() (int, error) {
	c := s.rest[0]
	switch {
	case s.form == formUTF8:
		r, n := utf8.DecodeRune(s.rest)
		if r == utf8.RuneError && n <= 1 {
			return 0, errors.New("not UTF-8")
		}
		return n, nil
	case s.form == formUndeclared:
		return 1, nil
	case s.form != formSingle && c >= 0x80:
		return s.gb()
	case c < 0x80 && s.double && c > 0x20 && c < 0x7F:
		return s.pair(0x21, 0x7E)
	case c >= 0xA0 && s.pairs:
		return s.pair(0xA1, 0xFE)
	case c >= 0xA0 && s.g1:
		return 1, nil
	case c >= 0x80:
		return 0, fmt.Errorf("byte %02XH, which the declared character set does not have", c)
	}
	return 1, nil
}

// pair is a character of two bytes, both from low to high.
func (s *scanner) pair(low, high byte) (int, error) {
	if len(s.rest) < 2 || s.rest[0] < low || s.rest[0] > high || s.rest[1] < low || s.rest[1] > high {
		return 0, errors.New("half a character of two bytes")
	}
	return 2, nil
}

// gb is a character of GBK or GB18030: two bytes, or in the latter four.
func (s *scanner) gb() (int, error) {
	p := s.rest
	switch {
	case p[0] == 0x80 || p[0] == 0xFF || len(p) < 2:
	case p[1] >= 0x40 && p[1] != 0x7F && p[1] != 0xFF:
		return 2, nil
	case s.form == formGB18030 && len(p) >= 4 && isDigit(p[1]) && p[2] >= 0x81 && p[2] != 0xFF && isDigit(p[3]):
		return 4, nil
	}
	return 0, errors.New("not GB18030")
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
