package dicom

// item acts on a header of group FFFE: items and delimitation items (PS3.5 §7.5).
func (d *Decoder) item(h header) {
	switch s := d.scope(); s.element.Kind {
	case KindSequence, KindEncapsulated:
		d.itemInSequence(h, s)
	case KindItem:
		d.itemInItem(h, s)
	default:
		if h.tag == TagItem || h.length != 0 || d.root.fresh {
			d.endDataSet(h.tag)
			return
		}
		d.stray(h)
	}
}

// itemInSequence is item directly inside a sequence or encapsulated Pixel Data.
func (d *Decoder) itemInSequence(h header, s *frame) {
	switch {
	case h.tag == TagSequenceDelimitationItem && s.end == noEnd:
		d.delimit(h)
	case h.tag == TagSequenceDelimitationItem || h.tag == TagItemDelimitationItem:
		d.stray(h)
	case h.tag != TagItem:
		d.lose(AnomalyItemExpected, h.tag.String()+" found")
	case s.element.Kind == KindEncapsulated && h.length == UndefinedLength:
		d.lose(AnomalyFragmentLength, "fragment "+count(int64(s.items))+" has undefined length")
	case s.items >= d.limits.Items:
		d.lose(AnomalyItemLimit, "more than "+count(int64(d.limits.Items))+" items")
	default:
		d.beginItem(h, s)
	}
}

// itemInItem is item where a data element could be. An undefined length that lacks its
// delimiter is ended by what can only come after it.
func (d *Decoder) itemInItem(h header, s *frame) {
	undefined := s.end == noEnd
	switch {
	case h.tag == TagItemDelimitationItem && undefined:
		d.delimit(h)
	case h.tag == TagItem && undefined, h.tag == TagSequenceDelimitationItem && undefined:
		d.noteFrame(AnomalyMissingDelimiter, "ended by "+h.tag.String())
		d.closeFrame(nil)
		d.itemInSequence(h, d.scope())
	case h.tag == TagItemDelimitationItem, h.tag == TagSequenceDelimitationItem:
		d.stray(h)
	default:
		d.lose(AnomalyUnexpectedItem, h.tag.String()+" where a data element was expected")
	}
}

// beginItem begins an item of the sequence, or a fragment of the Pixel Data, s.
func (d *Decoder) beginItem(h header, s *frame) {
	e := d.describeItem(h, s)
	e.Kind = KindItem
	if s.element.Kind == KindEncapsulated {
		e.Kind = KindFragment
	}
	e.Index = s.items
	if !d.withinLimits(&e) {
		return
	}
	s.items++
	d.element = e
	d.visitor.Begin(&d.element)
	d.checkLength(h, s)
	d.enter(s.encoding)
}

// stray passes on a delimitation item that ends nothing, as an element without value.
func (d *Decoder) stray(h header) {
	length := h.length
	h.length = 0
	e := d.describeItem(h, d.scope())
	e.Kind = KindElement
	if !d.withinLimits(&e) {
		return
	}
	d.element = e
	d.visitor.Begin(&d.element)
	d.note(&d.element, AnomalyStrayDelimiter, h.tag.String())
	if length != 0 {
		d.note(&d.element, AnomalyDelimiterLength, h.tag.String()+" has length "+count(int64(length)))
	}
	d.endValue()
}

func (d *Decoder) describeItem(h header, s *frame) Element {
	return Element{
		Tag: h.tag, Length: h.length, Offset: h.offset, ValueOffset: h.offset + int64(h.size),
		Depth: d.depth, Meta: d.meta, BigEndian: s.encoding.bigEndian, Inflated: d.inflated,
		Header: d.head[:h.size], parents: d.stack,
	}
}

// delimit ends the innermost frame with the delimitation item h.
func (d *Decoder) delimit(h header) {
	if h.length != 0 {
		d.noteFrame(AnomalyDelimiterLength, h.tag.String()+" has length "+count(int64(h.length)))
	}
	d.closeFrame(d.head[:h.size])
	d.boundary()
}
