package dicom

// VR is a Value Representation: its two characters, the first in the upper byte
// (PS3.5 §6.2). Any two bytes that were read fit; IsKnown tells the standard's from others.
// The zero value stands for an element that has none: items and delimiters.
type VR uint16

// The Value Representations of PS3.5 table 6.2-1.
const (
	AE VR = 'A'<<8 | 'E' // Application Entity
	AS VR = 'A'<<8 | 'S' // Age String
	AT VR = 'A'<<8 | 'T' // Attribute Tag
	CS VR = 'C'<<8 | 'S' // Code String
	DA VR = 'D'<<8 | 'A' // Date
	DS VR = 'D'<<8 | 'S' // Decimal String
	DT VR = 'D'<<8 | 'T' // Date Time
	FL VR = 'F'<<8 | 'L' // Floating Point Single
	FD VR = 'F'<<8 | 'D' // Floating Point Double
	IS VR = 'I'<<8 | 'S' // Integer String
	LO VR = 'L'<<8 | 'O' // Long String
	LT VR = 'L'<<8 | 'T' // Long Text
	OB VR = 'O'<<8 | 'B' // Other Byte
	OD VR = 'O'<<8 | 'D' // Other Double
	OF VR = 'O'<<8 | 'F' // Other Float
	OL VR = 'O'<<8 | 'L' // Other Long
	OV VR = 'O'<<8 | 'V' // Other 64-bit Very Long
	OW VR = 'O'<<8 | 'W' // Other Word
	PN VR = 'P'<<8 | 'N' // Person Name
	SH VR = 'S'<<8 | 'H' // Short String
	SL VR = 'S'<<8 | 'L' // Signed Long
	SQ VR = 'S'<<8 | 'Q' // Sequence of Items
	SS VR = 'S'<<8 | 'S' // Signed Short
	ST VR = 'S'<<8 | 'T' // Short Text
	SV VR = 'S'<<8 | 'V' // Signed 64-bit Very Long
	TM VR = 'T'<<8 | 'M' // Time
	UC VR = 'U'<<8 | 'C' // Unlimited Characters
	UI VR = 'U'<<8 | 'I' // Unique Identifier
	UL VR = 'U'<<8 | 'L' // Unsigned Long
	UN VR = 'U'<<8 | 'N' // Unknown
	UR VR = 'U'<<8 | 'R' // Universal Resource Identifier
	US VR = 'U'<<8 | 'S' // Unsigned Short
	UT VR = 'U'<<8 | 'T' // Unlimited Text
	UV VR = 'U'<<8 | 'V' // Unsigned 64-bit Very Long
)

// String is the VR's two characters; bytes that are not printable ASCII show as '?'.
// The zero VR is "".
func (v VR) String() string {
	if v == 0 {
		return ""
	}
	return string([]byte{printable(byte(v >> 8)), printable(byte(v))})
}

func printable(c byte) byte {
	if c < 0x20 || c > 0x7E {
		return '?'
	}
	return c
}

// IsKnown tells whether the VR is one of PS3.5 table 6.2-1.
func (v VR) IsKnown() bool { return v.class() != classNone }

// HasLongLength tells whether the explicit header has two reserved bytes and a length of
// 32 bits instead of one of 16 bits (PS3.5 §7.1.2). VRs the standard does not know count as short.
func (v VR) HasLongLength() bool {
	switch v {
	case OB, OD, OF, OL, OV, OW, SQ, SV, UC, UN, UR, UT, UV:
		return true
	}
	return false
}

// IsString tells whether values are characters (PS3.5 §6.2): padded with a space, or a null for UI.
func (v VR) IsString() bool { return v.class() == classString }

// IsBulk tells whether values are a stream of bytes or words of no further meaning here: the O* VRs and UN.
func (v VR) IsBulk() bool { return v.class() == classBulk }

type vrClass uint8

const (
	classNone vrClass = iota
	classString
	classNumber
	classBulk
	classSequence
)

func (v VR) class() vrClass {
	switch v {
	case AE, AS, CS, DA, DS, DT, IS, LO, LT, PN, SH, ST, TM, UC, UI, UR, UT:
		return classString
	case AT, FL, FD, SL, SS, SV, UL, US, UV:
		return classNumber
	case OB, OD, OF, OL, OV, OW, UN:
		return classBulk
	case SQ:
		return classSequence
	}
	return classNone
}

// padding is the byte that makes a value of odd length even (PS3.5 §6.2).
func (v VR) padding() byte {
	if v.IsString() && v != UI {
		return ' '
	}
	return 0
}
