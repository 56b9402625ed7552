package dicom

import "sort"

//go:generate go run ./internal/gendict -o .

// Attribute is an entry of the data dictionary (PS3.6 chapters 6 to 9, PS3.7 annex E).
type Attribute struct {
	Tag     Tag
	VRs     []VR   // in the dictionary's order, not to be changed; none for items and delimiters
	VM      string // value multiplicity: 1, 1-n, 2-2n
	Keyword string // PatientName
	Name    string // Patient's Name
	Retired bool
}

// attributeRow is an Attribute as the generated table holds it.
type attributeRow struct {
	tag     Tag
	vrs     uint8 // an index into vrSets
	retired bool
	vm      string
	keyword string
	name    string
}

// repeatingRow stands for all tags whose group and element lie between its own and last's;
// groups are even, as those of curves and overlays.
type repeatingRow struct {
	last Tag
	row  attributeRow
}

// LookupAttribute finds the standard attribute with tag t. Attributes of repeating groups,
// such as (6002,3000), answer with the tag asked for. Private attributes are not in the dictionary.
func LookupAttribute(t Tag) (Attribute, bool) {
	row := lookupRow(t)
	if row == nil {
		return Attribute{}, false
	}
	return Attribute{Tag: t, VRs: vrSets[row.vrs], VM: row.vm, Keyword: row.keyword, Name: row.name, Retired: row.retired}, true
}

// LookupAttributeKeyword finds a standard attribute by its keyword, such as PatientName.
func LookupAttributeKeyword(keyword string) (Attribute, bool) {
	for i := range attributes {
		if attributes[i].keyword == keyword && keyword != "" {
			return LookupAttribute(attributes[i].tag)
		}
	}
	return Attribute{}, false
}

// lookupRow is LookupAttribute without copying.
func lookupRow(t Tag) *attributeRow {
	i := sort.Search(len(attributes), func(i int) bool { return attributes[i].tag >= t })
	if i < len(attributes) && attributes[i].tag == t {
		return &attributes[i]
	}
	for i := range repeating {
		if r := &repeating[i]; r.holds(t) {
			return &r.row
		}
	}
	return nil
}

func (r *repeatingRow) holds(t Tag) bool {
	return t.Group()%2 == 0 &&
		t.Group() >= r.row.tag.Group() && t.Group() <= r.last.Group() &&
		t.Element() >= r.row.tag.Element() && t.Element() <= r.last.Element()
}

// isListed tells whether t is in the dictionary, or the length of a group that is.
func isListed(t Tag) bool {
	if t.IsGroupLength() {
		return isListedGroup(t.Group())
	}
	return lookupRow(t) != nil
}

// isListedGroup tells whether the dictionary has an attribute of the group.
func isListedGroup(group uint16) bool {
	first := NewTag(group, 0)
	i := sort.Search(len(attributes), func(i int) bool { return attributes[i].tag >= first })
	if i < len(attributes) && attributes[i].tag.Group() == group {
		return true
	}
	for i := range repeating {
		if r := &repeating[i]; group%2 == 0 && group >= r.row.tag.Group() && group <= r.last.Group() {
			return true
		}
	}
	return false
}
