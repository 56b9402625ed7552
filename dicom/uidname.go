package dicom

import (
	"slices"
	"sort"
	"strings"
)

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

// UIDNames lists every UID that the standard defines, in the order of PS3.6 table A-1: by their components as numbers.
func UIDNames() []UIDName {
	all := slices.Concat(uidNames[:], laterUIDs[:])
	slices.SortFunc(all, func(a, b UIDName) int {
		return slices.CompareFunc(strings.Split(string(a.UID), "."), strings.Split(string(b.UID), "."), func(a, b string) int {
			if len(a) != len(b) {
				return len(a) - len(b) // no component has leading zeros
			}
			return strings.Compare(a, b)
		})
	})
	return all
}
