package web

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"

	"cordon/dicom"
)

// texts are the values of an element of characters, without padding.
func (e *Element) texts() []string {
	if len(e.Value) == 0 {
		return nil
	}
	if isSingle(e.VR) {
		return []string{string(e.Value)}
	}
	return strings.Split(string(e.Value), `\`)
}

// numbers are the values of an element of binary numbers or tags, as text;
// bytes that do not make up a whole number are left out.
func (e *Element) numbers() []string {
	size := numberSize(e.VR)
	if size == 0 {
		return nil
	}
	var out []string
	for p := e.Value; len(p) >= size; p = p[size:] {
		out = append(out, number(e.VR, p))
	}
	return out
}

// numberSize is how many bytes one value has; 0 unless values are numbers or tags.
func numberSize(vr dicom.VR) int {
	switch vr {
	case dicom.SS, dicom.US:
		return 2
	case dicom.AT, dicom.FL, dicom.SL, dicom.UL:
		return 4
	case dicom.FD, dicom.SV, dicom.UV:
		return 8
	}
	return 0
}

func number(vr dicom.VR, p []byte) string {
	le := binary.LittleEndian
	switch vr {
	case dicom.SS:
		return strconv.Itoa(int(int16(le.Uint16(p))))
	case dicom.US:
		return strconv.Itoa(int(le.Uint16(p)))
	case dicom.AT:
		return fmt.Sprintf("%04X%04X", le.Uint16(p), le.Uint16(p[2:]))
	case dicom.FL:
		return float(float64(math.Float32frombits(le.Uint32(p))), 32)
	case dicom.SL:
		return strconv.Itoa(int(int32(le.Uint32(p))))
	case dicom.UL:
		return strconv.FormatUint(uint64(le.Uint32(p)), 10)
	case dicom.FD:
		return float(math.Float64frombits(le.Uint64(p)), 64)
	case dicom.SV:
		return strconv.FormatInt(int64(le.Uint64(p)), 10)
	}
	return strconv.FormatUint(le.Uint64(p), 10)
}

// float writes numbers that are none as PS3.18 table F.2.3-1 has them.
func float(f float64, bits int) string {
	switch {
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	return strconv.FormatFloat(f, 'g', -1, bits)
}

// parseNumber appends the value of s, as [Element].numbers has it.
func parseNumber(b []byte, vr dicom.VR, s string) ([]byte, error) {
	le := binary.LittleEndian
	bits := 8 * numberSize(vr)
	switch vr {
	case dicom.AT:
		t, err := parseTag(s)
		return le.AppendUint16(le.AppendUint16(b, t.Group()), t.Element()), err
	case dicom.FL, dicom.FD:
		f, err := strconv.ParseFloat(s, bits)
		if err != nil {
			return b, errNumber(vr)
		}
		if vr == dicom.FL {
			return le.AppendUint32(b, math.Float32bits(float32(f))), nil
		}
		return le.AppendUint64(b, math.Float64bits(f)), nil
	}
	var n uint64
	var err error
	if vr == dicom.SS || vr == dicom.SL || vr == dicom.SV {
		var signed int64
		signed, err = strconv.ParseInt(s, 10, bits)
		n = uint64(signed)
	} else {
		n, err = strconv.ParseUint(s, 10, bits)
	}
	switch {
	case err != nil:
		return b, errNumber(vr)
	case bits == 16:
		return le.AppendUint16(b, uint16(n)), nil
	case bits == 32:
		return le.AppendUint32(b, uint32(n)), nil
	}
	return le.AppendUint64(b, n), nil
}

func errNumber(vr dicom.VR) error { return fmt.Errorf("a value that is no number of VR %v", vr) }

// parseTag reads a tag of eight hexadecimal digits (PS3.18 §F.2.2).
func parseTag(s string) (dicom.Tag, error) {
	n, err := strconv.ParseUint(s, 16, 32)
	if err != nil || len(s) != 8 {
		return 0, fmt.Errorf("a tag that is not eight hexadecimal digits")
	}
	return dicom.Tag(n), nil
}

// tagText is a tag as JSON, XML and queries have it.
func tagText(t dicom.Tag) string { return fmt.Sprintf("%08X", uint32(t)) }

// parseVR reads the two characters of a VR that the standard knows.
func parseVR(s string) (dicom.VR, bool) {
	if len(s) != 2 {
		return 0, false
	}
	vr := dicom.VR(s[0])<<8 | dicom.VR(s[1])
	return vr, vr.IsKnown()
}

// encodeValues is the Value of an element whose values are given as text.
func encodeValues(vr dicom.VR, values []string) ([]byte, error) {
	if numberSize(vr) == 0 {
		if !vr.IsString() {
			return nil, fmt.Errorf("text as the value of VR %v", vr)
		}
		return []byte(strings.Join(values, `\`)), nil
	}
	var b []byte
	var err error
	for _, s := range values {
		if b, err = parseNumber(b, vr, s); err != nil {
			return nil, err
		}
	}
	return b, nil
}
