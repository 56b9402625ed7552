package dicom

import "sort"

// UIDName is an entry of the UID dictionary (PS3.6 annex A).
type UIDName struct {
	UID     UID
	Name    string // CT Image Storage
	Type    string // SOP Class, Transfer Syntax, Meta SOP Class, ...
	Keyword string // CTImageStorage
	Retired bool
}

// LookupUID finds a UID that the standard defines.
func LookupUID(u UID) (UIDName, bool) {
	i := sort.Search(len(uidNames), func(i int) bool { return uidNames[i].UID >= u })
	if i < len(uidNames) && uidNames[i].UID == u {
		return uidNames[i], true
	}
	return UIDName{}, false
}
