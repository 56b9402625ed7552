package query

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cordon/dicom"
)

// values checks each value against its VR (PS3.5 §6.2), its VM (PS3.6), the character set and the kinds of match that
// its VR allows (PS3.4 §C.2.2.2).
func (c *check) values() *Refusal {
	sets := []repertoire{undeclared} // of the data set and of each item around the element
	for _, e := range c.elements {
		depth := e.depth
		if e.kind == dicom.KindItem {
			sets = append(sets[:depth], sets[depth-1]) // PS3.5 §7.5.3: inherited
			continue
		}
		sets = sets[:depth+1]
		if e.tag == dicom.TagSpecificCharacterSet { // an empty one names none
			set, err := parseRepertoire(e.value)
			if err != nil {
				return mismatch(e.tag, "%v", err)
			}
			sets[depth] = set
			continue
		}
		if e.kind == dicom.KindSequence || len(e.value) == 0 || e.tag.IsGroupLength() {
			continue
		}
		if refusal := c.value(e, sets[depth]); refusal != nil {
			return refusal
		}
	}
	return nil
}

func (c *check) value(e element, set repertoire) *Refusal {
	switch vr := textVR(e); {
	case vr.IsString():
		return c.text(e, vr, set)
	case vr.IsBulk(), vr == dicom.SQ:
		return mismatch(e.tag, "value of VR %s, which is not matched on", vr)
	default:
		return c.numbers(e, vr)
	}
}

// textVR is the VR that a value is judged by. A private element whose VR is implicit is text for all that is known.
func textVR(e element) dicom.VR {
	if e.tag.IsPrivate() && (e.vr == dicom.UN || e.tag.IsPrivateCreator()) {
		return dicom.LO
	}
	return e.vr
}

// numberSizes are the bytes of one value of the VRs that are numbers.
var numberSizes = map[dicom.VR]int{
	dicom.AT: 4, dicom.FL: 4, dicom.FD: 8, dicom.SL: 4, dicom.SS: 2, dicom.SV: 8, dicom.UL: 4, dicom.US: 2, dicom.UV: 8,
}

func (c *check) numbers(e element, vr dicom.VR) *Refusal {
	size := numberSizes[vr]
	switch {
	case size == 0:
		return mismatch(e.tag, "value of VR %s, which is not matched on", vr)
	case len(e.value)%size != 0:
		return mismatch(e.tag, "value of VR %s that is not a multiple of %d bytes", vr, size)
	case len(e.value)/size > c.mostValues(e):
		return mismatch(e.tag, "more values than its VM allows")
	}
	return nil
}

// text checks a value of characters: each of its values, and how many there are.
func (c *check) text(e element, vr dicom.VR, set repertoire) *Refusal {
	values, err := split(trim(e.value), vr, set)
	if err != nil {
		return mismatch(e.tag, "%v", err)
	}
	if n := len(values); n > 1 && n > c.mostValues(e) {
		return mismatch(e.tag, "more values than its VM allows")
	}
	for _, v := range values {
		if v.stars > c.limits.Wildcards {
			return mismatch(e.tag, "more than %d wildcards in a value", c.limits.Wildcards)
		}
		if err := v.check(vr); err != nil {
			return mismatch(e.tag, "%v", err)
		}
	}
	return nil
}

// mostValues is how many values the element may have: as many as its VM says, within the limits. Lists of UIDs match
// any of them whatever the VM (PS3.4 §C.2.2.2.2); lists of codes are widely taken in the same way.
func (c *check) mostValues(e element) int {
	switch {
	case e.vr == dicom.UI:
		return c.limits.UIDs
	case e.vr == dicom.CS, slices.Contains(frameKeys, e.tag):
		return c.limits.Values
	}
	a, ok := dicom.LookupAttribute(e.tag)
	if !ok {
		return c.limits.Values
	}
	return min(maxVM(a.VM), c.limits.Values)
}

// maxVM is the most values that a multiplicity such as 1, 2-2n or 1-3 allows.
func maxVM(vm string) int {
	_, last, ok := strings.Cut(vm, "-")
	if !ok {
		last = vm
	}
	if n, err := strconv.Atoi(last); err == nil {
		return n
	}
	return int(^uint(0) >> 1) // it ends in n
}

// one is one value of an element, as it was scanned.
type one struct {
	text  []byte // less padding
	chars []int  // how many characters that are no wildcards; of a PN, in each component group
	stars int    // '*'
}

// split scans text into its values.
func split(p []byte, vr dicom.VR, set repertoire) ([]one, error) {
	if !hasRepertoire(vr) {
		set = repertoire{}
	}
	delimiters := delimitersOf(vr)
	var values []one
	s, v, start := set.scan(p), one{chars: []int{0}}, 0
	for {
		c, ok, err := s.next(delimiters)
		if err != nil {
			return nil, err
		}
		at := len(p) - len(s.rest)
		switch {
		case !ok:
			v.text = bytes.Trim(p[start:], " ")
			return append(values, v), nil
		case c == '\\' && !isUnlimited(vr):
			v.text = bytes.Trim(p[start:at-1], " ")
			values, v, start = append(values, v), one{chars: []int{0}}, at
			continue
		case c == '=' && vr == dicom.PN:
			v.chars = append(v.chars, 0)
			continue
		case c >= 0 && c < 0x20 && !isFormat(c, vr), c == 0x7F:
			return nil, fmt.Errorf("control character %02XH", c)
		case c == '*':
			v.stars++
			continue
		case c == '?':
			continue
		}
		v.chars[len(v.chars)-1]++
	}
}

// hasRepertoire tells whether Specific Character Set concerns values of the VR (PS3.5 §6.1.2.2).
func hasRepertoire(vr dicom.VR) bool {
	switch vr {
	case dicom.LO, dicom.LT, dicom.PN, dicom.SH, dicom.ST, dicom.UC, dicom.UT:
		return true
	}
	return false
}

// isUnlimited tells whether a backslash is a character, since there is but one value (PS3.5 §6.2).
func isUnlimited(vr dicom.VR) bool {
	return vr == dicom.LT || vr == dicom.ST || vr == dicom.UR || vr == dicom.UT
}

func isFormat(c int, vr dicom.VR) bool {
	return (vr == dicom.LT || vr == dicom.ST || vr == dicom.UT) && (c == '\t' || c == '\n' || c == '\f' || c == '\r')
}

// delimitersOf are the characters after which a value begins in its initial code elements (PS3.5 §6.1.2.5.3).
func delimitersOf(vr dicom.VR) string {
	switch {
	case vr == dicom.PN:
		return `\^=`
	case isUnlimited(vr):
		return "\t\n\f\r"
	}
	return `\`
}

// maxChars are the longest values, in characters without wildcards (PS3.5 table 6.2-1). UC, UR and UT have no limit of their own.
var maxChars = map[dicom.VR]int{
	dicom.LO: 64, dicom.LT: 10240, dicom.PN: 64, dicom.SH: 16, dicom.ST: 1024, dicom.UC: 1024, dicom.UR: 1024, dicom.UT: 1024,
	dicom.AE: 16, dicom.CS: 16,
}

// check checks one value against its VR.
func (v one) check(vr dicom.VR) error {
	if len(v.text) == 0 {
		return nil
	}
	if pattern, ok := patterns[vr]; ok {
		if !pattern(string(v.text)) {
			return fmt.Errorf("value that VR %s does not have", vr)
		}
		return nil
	}
	for _, n := range v.chars {
		if n > maxChars[vr] {
			return fmt.Errorf("value of more than %d characters", maxChars[vr])
		}
	}
	switch {
	case vr == dicom.PN && (len(v.chars) > 3 || countByte(v.text, '^') > 4*len(v.chars)):
		return errors.New("person name of too many components")
	case vr == dicom.CS && bytes.ContainsFunc(v.text, isNotCode):
		return errors.New("character that VR CS does not have")
	}
	return nil
}

// isNotCode tells what a CS cannot have, in a query that may have wildcards.
func isNotCode(r rune) bool {
	return (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != ' ' && r != '_' && r != '*' && r != '?'
}

// trim cuts the padding off a value: spaces, and the one null of a UI, which some put after other text as well.
func trim(value []byte) []byte {
	if n := len(value); n > 0 && value[n-1] == 0 {
		value = value[:n-1]
	}
	return bytes.TrimRight(value, " ")
}

func countByte(p []byte, c byte) int { return bytes.Count(p, []byte{c}) }
