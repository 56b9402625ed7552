package disarm

import (
	"bytes"
	"encoding/binary"

	"cordon/finding"
)

// preambleSize is that of every preamble, in bytes (PS3.10 §7.1).
const preambleSize = 128

// needsClearing reports whether the preamble p, of a file in which found was
// found, is neither empty nor the beginning of a second format that may be there.
func needsClearing(p []byte, found []finding.Finding) bool {
	if len(p) < preambleSize || len(bytes.Trim(p, "\x00")) == 0 {
		return false
	}
	for _, f := range found {
		if f.Where == "preamble" && f.Severity > finding.Info {
			return true
		}
	}
	return !isTIFF(p)
}

// tiffOrder are the byte orders that a TIFF file names in its first two bytes.
var tiffOrder = map[string]binary.ByteOrder{"II": binary.LittleEndian, "MM": binary.BigEndian}

// isTIFF reports whether p, a preamble, begins with the header of a TIFF
// (TIFF 6.0 §2) or BigTIFF file: a file that is an image in two formats, as
// PS3.10 §7.1 allows. Where its first directory is does not matter: in most real
// files the offset is stale.
func isTIFF(p []byte) bool {
	order, ok := tiffOrder[string(p[:2])]
	if !ok {
		return false
	}
	const headerSize = 8
	switch order.Uint16(p[2:]) {
	case 42:
		return order.Uint32(p[4:]) >= headerSize
	case 43: // BigTIFF: offsets of 8 bytes, then two bytes that are zero
		return order.Uint16(p[4:]) == 8 && order.Uint16(p[6:]) == 0 && order.Uint64(p[8:]) >= 2*headerSize
	}
	return false
}
