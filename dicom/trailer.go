package dicom

// A data set has no end mark: what follows its last element looks like the header of the
// next. So bytes appended to a data set are recognised by not making sense as one. Called a
// trailer, they pass the visitor in one piece from their first byte on, which is what a
// scanner needs; taken for elements, they pass it too, but cut up.
//
// The rule errs towards the trailer where a header is absurd (a damaged or very foreign
// data set may lose its structure there, never its bytes), and towards the element
// where the header could be real; where it could well be either, it is an element with the
// anomaly doubtful-element, and a scanner should look at Header and value together.

// appendedness is how likely a root header is the first bytes of something appended.
type appendedness uint8

const (
	genuine appendedness = iota
	doubtful
	appended
)

// endDataSet ends the parsing at bytes that cannot be a header. At the root they are a
// trailer, elsewhere the structure is lost.
func (d *Decoder) endDataSet(t Tag) {
	if d.afterDataSet() {
		d.beginRest(KindTrailer, Anomaly{Code: AnomalyTrailingBytes, Detail: "after " + d.root.last.String()})
		return
	}
	d.lose(AnomalyInvalidHeader, t.String()+" where an element was expected")
}

// afterDataSet tells whether a data set could have ended here: at the root, after at least one element.
func (d *Decoder) afterDataSet() bool {
	return !d.meta && len(d.stack) == 0 && !d.root.fresh
}

// appended judges the gathered header, of the element t at the root.
func (d *Decoder) appended(t Tag) appendedness {
	switch g := t.Group(); {
	case g <= 7 && t <= d.root.last || g == 0xFFFF: // padding with 00 or FF; no data set has group FFFF (PS3.5 §7.8)
		return appended
	case d.isText() && !isListed(t):
		return appended
	case d.form == formImplicit:
		return d.implicitAppended(t)
	case !vrOf(d.head[4:]).IsKnown() && t <= d.root.last:
		return appended
	}
	return genuine
}

// isText tells whether the first 8 bytes of the header are all printable. In a header they would
// be a length of half a gigabyte, or in explicit VRs one of at least 8224 for an element xx20 or above.
func (d *Decoder) isText() bool {
	for _, c := range d.head[:shortHeader] {
		if c != '\t' && c != '\n' && c != '\r' && (c < 0x20 || c > 0x7E) {
			return false
		}
	}
	return true
}

// implicitAppended is appended for a header without VR, of which any 8 bytes are one.
func (d *Decoder) implicitAppended(t Tag) appendedness {
	length := d.root.encoding.uint32(d.head[4:])
	tooLong := length != UndefinedLength && int64(length) > d.room(&d.root)
	backwards := t <= d.root.last
	if isListed(t) {
		if backwards && tooLong {
			return appended
		}
		return genuine
	}
	announced := t.IsPrivate() && (t.Group() == d.creator || t.IsPrivateCreator())
	switch {
	case t.isPrivateMisplaced() && t > TagPixelData && length == 0: // a gzip header is one
		return appended
	case backwards, tooLong, !t.IsPrivate() && !isListedGroup(t.Group()):
		return appended
	case t.IsPrivate() && length%2 == 1 && length != UndefinedLength && t.Group() != d.creator:
		return appended
	case t.IsPrivate() && !announced, t.IsPrivateCreator() && length > maxUID, t.isPrivateMisplaced():
		return doubtful
	}
	return genuine
}

// isPrivateMisplaced tells whether t is a private element where none may be, below the
// creators' blocks (PS3.5 §7.8.1). Some scanners write such elements.
func (t Tag) isPrivateMisplaced() bool {
	return t.IsPrivate() && t.Element() < 0x1000 && !t.IsPrivateCreator() && !t.IsGroupLength()
}
