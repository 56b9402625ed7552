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

// LookupKeyword finds a UID that the standard defines by its keyword, such as
// CTImageStorage.
func LookupKeyword(keyword string) (UIDName, bool) {
	for _, names := range [...][]UIDName{uidNames[:], laterUIDs[:]} {
		for _, u := range names {
			if u.Keyword == keyword && keyword != "" {
				return u, true
			}
		}
	}
	return UIDName{}, false
}

// LookupUID finds a UID that the standard defines.
func LookupUID(u UID) (UIDName, bool) {
	for _, names := range [...][]UIDName{uidNames[:], laterUIDs[:]} {
		i := sort.Search(len(names), func(i int) bool { return names[i].UID >= u })
		if i < len(names) && names[i].UID == u {
			return names[i], true
		}
	}
	return UIDName{}, false
}
