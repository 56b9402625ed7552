package dicom

import (
	"fmt"
	"strings"
)

// UID is a Unique Identifier without its padding (PS3.5 §9).
type UID string

// maxUID is the longest UID, in characters (PS3.5 §9.1).
const maxUID = 64

// TrimUID is the UID that a value of VR UI holds: the trailing null that makes its
// length even is cut off, as are trailing spaces, which some senders use instead.
func TrimUID(value []byte) UID { return UID(strings.TrimRight(string(value), "\x00 ")) }

// Validate checks the form of the UID: at most 64 characters, components of digits
// without leading zeros, separated by dots (PS3.5 §9.1). The error never repeats the UID.
func (u UID) Validate() error {
	switch {
	case u == "":
		return fmt.Errorf("UID is empty (PS3.5 §9.1)")
	case len(u) > maxUID:
		return fmt.Errorf("UID has %d characters, %d are allowed (PS3.5 §9.1)", len(u), maxUID)
	}
	start := 0
	for i := 0; i <= len(u); i++ {
		if i < len(u) && u[i] != '.' {
			if u[i] < '0' || u[i] > '9' {
				return fmt.Errorf("UID has byte %02XH at position %d, only digits and dots are allowed (PS3.5 §9.1)", u[i], i)
			}
			continue
		}
		if i == start {
			return fmt.Errorf("UID has an empty component at position %d (PS3.5 §9.1)", start)
		}
		if u[start] == '0' && i > start+1 {
			return fmt.Errorf("UID has a component with a leading zero at position %d (PS3.5 §9.1)", start)
		}
		start = i + 1
	}
	return nil
}

// ImplementationClassUID and ImplementationVersionName identify this implementation in
// file meta information and association negotiation (PS3.7 §D.3.3.2). The UID is derived
// from a UUID (PS3.5 §B.2).
const (
	ImplementationClassUID    UID    = "2.25.35657408704129213753621608954845790355"
	ImplementationVersionName string = "CORDON_1"
)
