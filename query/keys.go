package query

import (
	"slices"

	"cordon/dicom"
)

// Attributes of identifiers that are no keys to match on, or keys of their own kind (PS3.4 §C.4.1.1.3, §Y.3.2).
const (
	tagQueryRetrieveView     dicom.Tag = 0x00080053
	tagRetrieveAETitle       dicom.Tag = 0x00080054
	tagTimezoneOffsetFromUTC dicom.Tag = 0x00080201
	tagSimpleFrameList       dicom.Tag = 0x00081161
	tagCalculatedFrameList   dicom.Tag = 0x00081162
	tagTimeRange             dicom.Tag = 0x00081163
	groupOfCommands                    = 0x0000
	lowestPrivateGroup                 = 0x0009 // PS3.5 §7.8.1: 0001, 0003, 0005 and 0007 shall not be used
	highestPrivateGroup                = 0xFFFD // nor FFFF
	privateBlock                       = 0x1000 // private data elements are (gggg,bbee) with bb from 10 to FF
)

// about are attributes that say how to read an identifier. They match nothing and need not be allowed.
var about = []dicom.Tag{
	dicom.TagSpecificCharacterSet, dicom.TagQueryRetrieveLevel, tagQueryRetrieveView, tagTimezoneOffsetFromUTC,
}

// frameKeys say which frames of an instance are to be sent (PS3.4 §Y.3.2).
var frameKeys = []dicom.Tag{tagSimpleFrameList, tagCalculatedFrameList, tagTimeRange}

// keys checks that each element may be in an identifier of this SOP class, as what it is.
func (c *check) keys() *Refusal {
	for i, e := range c.elements {
		if e.kind == dicom.KindItem {
			continue
		}
		if refusal := c.key(i, e); refusal != nil {
			return refusal
		}
	}
	return nil
}

func (c *check) key(i int, e element) *Refusal {
	switch {
	case e.tag.Group() == groupOfCommands:
		return mismatch(e.tag, "element of a command in an identifier")
	case e.tag.IsGroupLength(): // of the right form it was found to be right, and is no key
		if e.kind != dicom.KindElement || e.vr != dicom.UL || len(e.value) != 4 { // PS3.5 §7.2
			return mismatch(e.tag, "group length that is no number of 4 bytes")
		}
		return nil
	case e.kind == dicom.KindSequence && !c.model.sequences():
		return mismatch(e.tag, "sequence in a retrieval")
	case e.kind == dicom.KindSequence && e.items > 1: // PS3.4 §C.2.2.2.6
		return mismatch(e.tag, "sequence of more than one item")
	case !c.allows(e.tag):
		return refuse(StatusKeyForbidden, e.tag, "not a key that this site allows")
	case e.tag.IsPrivate():
		return c.privateKey(i, e)
	}
	return c.standardKey(e)
}

// allows tells whether the site's list has the key. Sequences need not be on it: what is inside them does.
func (c *check) allows(t dicom.Tag) bool {
	return len(c.rules.Keys) == 0 || slices.Contains(c.rules.Keys, t) || slices.Contains(about, t) ||
		c.isUnique(t) || t.IsPrivateCreator() || isSequence(t)
}

func (c *check) isUnique(t dicom.Tag) bool {
	return slices.ContainsFunc(c.model.levels, func(l level) bool { return l.unique == t })
}

func isSequence(t dicom.Tag) bool {
	a, ok := dicom.LookupAttribute(t)
	return ok && slices.Contains(a.VRs, dicom.SQ)
}

// standardKey checks a key against the dictionary. One that is only asked for may be newer than it, or than the sender's,
// which then calls it UN; it cannot be matched on, since what its value means is not known to both.
func (c *check) standardKey(e element) *Refusal {
	a, ok := dicom.LookupAttribute(e.tag)
	switch {
	case len(e.value) == 0 && e.items == 0:
		return nil
	case !ok:
		return mismatch(e.tag, "not an attribute of the standard")
	case !slices.Contains(a.VRs, e.vr):
		return mismatch(e.tag, "VR %s, the standard has %s", e.vr, a.VRs[0])
	case (e.vr == dicom.SQ) != (e.kind == dicom.KindSequence):
		return mismatch(e.tag, "items in a VR that has none")
	}
	return nil
}

// privateKey checks that a private element has a creator in the same data set or item (PS3.5 §7.8.1): without one,
// readers differ in whose it is.
func (c *check) privateKey(i int, e element) *Refusal {
	switch {
	case e.tag.Group() < lowestPrivateGroup, e.tag.Group() > highestPrivateGroup:
		return mismatch(e.tag, "group that may not be used")
	case e.tag.IsPrivateCreator():
		if e.vr != dicom.LO && e.explicit || len(e.value) == 0 {
			return mismatch(e.tag, "private creator without a name")
		}
		return nil
	case e.tag.Element() < privateBlock || !c.hasCreator(i, e):
		return mismatch(e.tag, "private element without a creator")
	}
	return nil
}

// hasCreator looks for the creator of the element's block before it, in the same data set or item.
func (c *check) hasCreator(i int, e element) bool {
	creator := dicom.NewTag(e.tag.Group(), e.tag.Element()>>8)
	for _, before := range slices.Backward(c.elements[:i]) {
		switch {
		case before.kind == dicom.KindItem && before.depth == e.depth, before.depth < e.depth:
			return false
		case before.depth == e.depth && before.tag == creator:
			return true
		}
	}
	return false
}

// level checks the Query/Retrieve Level, and of a retrieval the unique keys (PS3.4 §C.4.1.2.1, §C.4.2.2.1, §C.4.3.2.1).
func (c *check) level() *Refusal {
	if len(c.model.levels) == 0 {
		return c.instances()
	}
	e, ok := c.root(dicom.TagQueryRetrieveLevel)
	if !ok {
		return mismatch(dicom.TagQueryRetrieveLevel, "no Query/Retrieve Level")
	}
	at := slices.IndexFunc(c.model.levels, func(l level) bool { return l.name == string(trim(e.value)) })
	if at < 0 {
		return mismatch(e.tag, "not a Query/Retrieve Level of this SOP class")
	}
	if !c.model.retrieves() {
		return nil // what lacks keys of the levels above asks for more, as a wildcard does; whether it may is the archive's to say
	}
	return c.retrieval(at)
}

// retrieval checks that what is to be sent is named, each instance, series, study or patient by its unique key alone:
// an archive that ignores a key would send more than was asked for.
func (c *check) retrieval(at int) *Refusal {
	l := c.model.levels[at]
	switch {
	case l == frameLevel:
		return c.frames()
	case c.relational && !slices.ContainsFunc(c.model.levels, func(l level) bool { return c.count(l.unique) > 0 }),
		!c.relational && c.count(l.unique) == 0:
		return mismatch(l.unique, "retrieval without the unique key of its level")
	case c.count(dicom.TagPatientID) > 1 || c.isPattern(dicom.TagPatientID):
		return mismatch(dicom.TagPatientID, "a retrieval names one patient, without wildcards")
	}
	for _, below := range c.model.levels[at+1:] {
		if !c.relational && c.count(below.unique) > 0 {
			return mismatch(below.unique, "unique key of a level below %s", l.name)
		}
	}
	return c.nothingElse(frameKeys)
}

// frames checks a retrieval at the FRAME level: one instance, one list of frames (PS3.4 §Y.3.2).
func (c *check) frames() *Refusal {
	if c.count(dicom.TagSOPInstanceUID) != 1 {
		return mismatch(dicom.TagSOPInstanceUID, "FRAME level needs one value of this key")
	}
	lists := 0
	for _, t := range frameKeys {
		if e, ok := c.root(t); ok && len(e.value) > 0 {
			lists++
		}
	}
	if lists != 1 {
		return mismatch(tagSimpleFrameList, "FRAME level needs one list of frames")
	}
	return c.nothingElse(nil)
}

// instances checks a retrieval in a model without levels: it names SOP instances.
func (c *check) instances() *Refusal {
	switch {
	case !c.model.retrieves(), c.model.private:
		return nil
	case c.count(dicom.TagSOPInstanceUID) == 0:
		return mismatch(dicom.TagSOPInstanceUID, "retrieval without a SOP Instance UID")
	}
	return c.nothingElse(frameKeys)
}

// retrievalKeys may have values in a retrieval. Patient ID is not one of the study root's unique keys; many send it.
var retrievalKeys = append([]dicom.Tag{
	dicom.TagPatientID, dicom.TagStudyInstanceUID, dicom.TagSeriesInstanceUID, dicom.TagSOPInstanceUID, tagRetrieveAETitle,
}, append(about, frameKeys...)...)

// nothingElse refuses values that would narrow a retrieval if the archive cared for them.
func (c *check) nothingElse(but []dicom.Tag) *Refusal {
	for _, e := range c.elements {
		if len(e.value) > 0 && !e.tag.IsGroupLength() && !e.tag.IsPrivateCreator() &&
			(!slices.Contains(retrievalKeys, e.tag) || slices.Contains(but, e.tag)) {
			return mismatch(e.tag, "not a key of a retrieval")
		}
	}
	return nil
}

// breadth refuses a query that matches on nothing, if the site wants that.
func (c *check) breadth() *Refusal {
	if !c.rules.NeedKey || c.model.retrieves() || len(c.model.levels) == 0 {
		return nil
	}
	for _, e := range c.elements {
		if e.kind == dicom.KindElement && !slices.Contains(about, e.tag) && !e.tag.IsGroupLength() && !e.tag.IsPrivateCreator() && narrows(e.value) {
			return nil
		}
	}
	return refuse(StatusNoKey, 0, "query without a key to match on")
}

// narrows tells whether a value matches less than everything: wildcards alone do not.
func narrows(value []byte) bool {
	return slices.ContainsFunc(trim(value), func(c byte) bool { return c != '*' && c != '?' && c != '^' && c != '\\' && c != ' ' })
}

// root finds an element outside all sequences.
func (c *check) root(t dicom.Tag) (element, bool) {
	i := slices.IndexFunc(c.elements, func(e element) bool { return e.depth == 0 && e.tag == t })
	if i < 0 {
		return element{}, false
	}
	return c.elements[i], true
}

// count is how many values a unique key has; none if it is not there.
func (c *check) count(t dicom.Tag) int {
	e, ok := c.root(t)
	if v := trim(e.value); ok && len(v) > 0 {
		return 1 + countByte(v, '\\')
	}
	return 0
}

func (c *check) isPattern(t dicom.Tag) bool {
	e, _ := c.root(t)
	return slices.ContainsFunc(e.value, func(b byte) bool { return b == '*' || b == '?' })
}
