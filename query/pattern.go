package query

import (
	"strconv"
	"strings"

	"cordon/dicom"
)

// patterns are the VRs whose values have a form. No wildcard fits any of them (PS3.4 §C.2.2.2.4).
var patterns = map[dicom.VR]func(string) bool{
	dicom.AS: isAge,
	dicom.DA: func(s string) bool { return isRange(s, isDate) },
	dicom.DS: isDecimal,
	dicom.DT: isDateTimeRange,
	dicom.IS: isInteger,
	dicom.TM: func(s string) bool { return isRange(s, isTime) },
	dicom.UI: isUID,
}

// isRange tells whether s is one value, or a range: a-, -b, a-b (PS3.4 §C.2.2.2.5).
func isRange(s string, is func(string) bool) bool {
	first, last, ranged := strings.Cut(s, "-")
	first, last = strings.TrimRight(first, " "), strings.TrimLeft(last, " ")
	switch {
	case !ranged:
		return is(s)
	case first == "":
		return is(last)
	case last == "":
		return is(first)
	}
	return is(first) && is(last)
}

// isDate: YYYYMMDD.
func isDate(s string) bool {
	return len(s) == 8 && digits(s) && between(s[4:6], 1, 12) && between(s[6:8], 1, 31)
}

// isTime: HHMMSS.FFFFFF, or less from the right. A second may be a leap second.
func isTime(s string) bool {
	whole, fraction, fractional := strings.Cut(s, ".")
	if fractional && (len(whole) != 6 || !isFraction(fraction)) {
		return false
	}
	if len(whole)%2 == 1 || len(whole) < 2 || len(whole) > 6 || !digits(whole) {
		return false
	}
	for i, most := range []int{23, 59, 60}[:len(whole)/2] {
		if !between(whole[2*i:2*i+2], 0, most) {
			return false
		}
	}
	return true
}

func isFraction(s string) bool { return len(s) >= 1 && len(s) <= 6 && digits(s) }

// isDateTimeRange: a range whose ends may have an offset from UTC, which has a hyphen too. It is enough that one way to
// split it gives two that are right: which one is the standard's to say (PS3.4 §C.2.2.2.5.1), and it says so for each.
func isDateTimeRange(s string) bool {
	if isDateTime(s) {
		return true
	}
	for i := range len(s) {
		if s[i] != '-' {
			continue
		}
		first, last := s[:i], s[i+1:]
		if (first == "" || isDateTime(first)) && (last == "" || isDateTime(last)) && first+last != "" {
			return true
		}
	}
	return false
}

// isDateTime: YYYYMMDDHHMMSS.FFFFFF&ZZXX, or less from the right of the first part; & is + or -.
func isDateTime(s string) bool {
	if i := strings.LastIndexAny(s, "+-"); i >= 0 {
		offset := s[i+1:]
		if len(offset) != 4 || !digits(offset) || !between(offset[:2], 0, 14) || !between(offset[2:], 0, 59) {
			return false
		}
		s = s[:i]
	}
	date, clock := s[:min(len(s), 8)], s[min(len(s), 8):]
	switch len(date) {
	case 4, 6, 8:
	default:
		return false
	}
	return isDate(date+"0101"[len(date)-4:]) && (clock == "" || len(date) == 8 && isTime(clock))
}

// isAge: nnnD, nnnW, nnnM or nnnY.
func isAge(s string) bool {
	return len(s) == 4 && digits(s[:3]) && strings.IndexByte("DWMY", s[3]) >= 0
}

func isInteger(s string) bool {
	_, err := strconv.ParseInt(s, 10, 32)
	return err == nil && len(s) <= 12
}

func isDecimal(s string) bool {
	if len(s) > 16 || strings.Trim(s, "0123456789+-.eE") != "" {
		return false
	}
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}

// isUID: digits and dots, at most 64, no component empty. Leading zeros are not the standard's, but there are studies
// with such UIDs.
func isUID(s string) bool {
	if len(s) > 64 {
		return false
	}
	for component := range strings.SplitSeq(s, ".") {
		if component == "" || !digits(component) {
			return false
		}
	}
	return true
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

func between(s string, least, most int) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n >= least && n <= most
}
