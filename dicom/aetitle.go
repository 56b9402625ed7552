package dicom

import (
	"fmt"
	"strings"
)

// AETitle names an Application Entity: 1 to 16 characters without leading or trailing
// spaces, from the default repertoire without backslash and control characters
// (PS3.5 table 6.2-1, AE). The zero value names none.
type AETitle string

// maxAETitle is the longest AE title, in characters (PS3.5 table 6.2-1).
const maxAETitle = 16

// ParseAETitle trims the spaces that pad s and checks what is left.
// The error names the rule and never repeats s, which came from a peer.
func ParseAETitle(s string) (AETitle, error) {
	t := strings.Trim(s, " ")
	switch {
	case t == "":
		return "", fmt.Errorf("AE title is empty (PS3.5 §6.2)")
	case len(t) > maxAETitle:
		return "", fmt.Errorf("AE title has %d characters, %d are allowed (PS3.5 §6.2)", len(t), maxAETitle)
	}
	for i := range len(t) {
		if c := t[i]; c < 0x20 || c > 0x7E || c == '\\' {
			return "", fmt.Errorf("AE title has byte %02XH at position %d, which is not allowed (PS3.5 §6.2)", c, i)
		}
	}
	return AETitle(t), nil
}
