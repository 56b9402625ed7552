package web

import (
	"errors"

	"cordon/dicom"
)

// In the Native DICOM Model a private element is named by its creator and the last two
// digits of its tag, the block being 00 (PS3.19 table A.1.5-2). Some writers
// leave the block where it is, which is as clear.

// firstBlock and lastBlock are the blocks that can be reserved (PS3.5 §7.8.1).
const (
	firstBlock = 0x10
	lastBlock  = 0xFF
)

// block finds the block that creator has reserved in a group; 0 if it has none.
func (d DataSet) block(group uint16, creator string) uint16 {
	i, _ := d.search(dicom.NewTag(group, firstBlock))
	for ; i < len(d) && d[i].Tag <= dicom.NewTag(group, lastBlock); i++ {
		if string(d[i].Value) == creator {
			return d[i].Tag.Element()
		}
	}
	return 0
}

// creator is who reserved the block of a private element; empty if nobody did.
func (d DataSet) creator(t dicom.Tag) string {
	if !t.IsPrivate() || t.Element() < firstBlock<<8 {
		return ""
	}
	return d.String(dicom.NewTag(t.Group(), t.Element()>>8))
}

// withoutBlock is the tag as the Native DICOM Model has it beside its creator, if that
// leads back to the same tag.
func (d DataSet) withoutBlock(t dicom.Tag, creator string) dicom.Tag {
	if d.block(t.Group(), creator) != t.Element()>>8 {
		return t
	}
	return t &^ 0xFF00
}

// private is an element whose block is not known before its whole data set is.
type private struct {
	creator string
	element Element
}

// reservation is a creator in a group.
type reservation struct {
	group   uint16
	creator string
}

// addPrivate puts private elements into the blocks of their creators, and reserves
// blocks for those who have none. The result is in any order.
func (d DataSet) addPrivate(all []private) (DataSet, error) {
	reserved := make(map[reservation]uint16)
	taken := make(map[dicom.Tag]bool)
	for i := range d {
		t := d[i].Tag
		if !t.IsPrivateCreator() {
			continue
		}
		taken[t] = true
		r := reservation{t.Group(), string(d[i].Value)}
		if n := reserved[r]; n == 0 || t.Element() < n { // as [DataSet].block, if there are two
			reserved[r] = t.Element()
		}
	}
	for _, p := range all {
		r := reservation{p.element.Tag.Group(), p.creator}
		if reserved[r] == 0 {
			t := dicom.NewTag(r.group, firstBlock)
			for taken[t] {
				t++
			}
			if t.Element() > lastBlock {
				return nil, errors.New("more private creators than there are blocks")
			}
			reserved[r], taken[t] = t.Element(), true
			d = append(d, Element{Tag: t, VR: dicom.LO, Value: []byte(p.creator)})
		}
		p.element.Tag |= dicom.Tag(reserved[r]) << 8
		d = append(d, p.element)
	}
	return d, nil
}
