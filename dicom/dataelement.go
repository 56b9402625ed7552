package dicom

// dataElement begins the element whose header is complete.
func (d *Decoder) dataElement(h header) {
	s := d.scope()
	if s.element.Kind == KindSequence || s.element.Kind == KindEncapsulated {
		d.lose(AnomalyItemExpected, h.tag.String()+" found")
		return
	}
	if len(d.stack) == 0 {
		d.checkGroup(h.tag.Group())
	}
	e, enc := d.describe(h, s)
	if !d.withinLimits(&e) {
		return
	}
	last := s.last
	s.last, s.fresh = h.tag, false
	if len(d.stack) == 0 && h.tag.IsPrivateCreator() {
		d.creator = h.tag.Group()
	}
	e.parents = d.stack
	d.element = e
	d.visitor.Begin(&d.element)
	d.checkElement(h, s, last)
	d.enter(enc)
}

// enter goes on to the content of the element that has begun.
func (d *Decoder) enter(enc encoding) {
	e := &d.element
	d.captured.begin(d.wanted(e))
	switch {
	case e.Kind == KindSequence || e.Kind == KindEncapsulated || e.Kind == KindItem:
		d.open(*e, enc)
		d.boundary()
	case e.Length == 0:
		d.endValue()
	default:
		d.state = stateValue
		d.remaining = int64(e.Length)
	}
}

// describe is the element of h in s, and how its content is encoded if it is a sequence.
func (d *Decoder) describe(h header, s *frame) (Element, encoding) {
	e := Element{
		Kind: KindElement, Tag: h.tag, VR: h.vr, Length: h.length,
		Offset: h.offset, ValueOffset: h.offset + int64(h.size),
		Depth: d.depth, Meta: d.meta, Explicit: h.form != formImplicit,
		BigEndian: s.encoding.bigEndian, Inflated: d.inflated, Header: d.head[:h.size],
	}
	enc := s.encoding
	if h.form == formImplicit {
		e.VR = implicitVR(h.tag)
		enc.explicit = false
	}
	switch {
	case e.VR == SQ:
		e.Kind = KindSequence
	case h.length != UndefinedLength:
	case h.tag == TagPixelData || e.VR.IsBulk() && e.VR != UN:
		e.Kind = KindEncapsulated
	default: // items are what undefined length is for
		e.Kind = KindSequence
		if e.VR == UN {
			enc = encoding{} // PS3.5 §6.2.2 note 4
		}
	}
	return e, enc
}

// withinLimits counts the element and holds it against the limits; beyond one the rest is unparsed.
func (d *Decoder) withinLimits(e *Element) bool {
	d.elements++
	container := e.Kind != KindElement && e.Kind != KindFragment
	switch {
	case d.elements > d.limits.Elements:
		d.lose(AnomalyElementLimit, "more than "+count(d.limits.Elements)+" elements")
	case (e.Kind == KindSequence || e.Kind == KindEncapsulated) && d.depth >= d.limits.Depth:
		d.lose(AnomalyDepthLimit, e.Tag.String()+" is inside "+count(int64(d.depth))+" sequences")
	case e.Length == UndefinedLength:
		return true
	case !container && e.Length > d.limits.ValueLength:
		d.lose(AnomalyValueLength, e.Tag.String()+" has length "+count(int64(e.Length)))
	case container && e.Length > d.limits.ItemLength:
		d.lose(AnomalyItemLength, e.Tag.String()+" has length "+count(int64(e.Length)))
	default:
		return true
	}
	return false
}

// checkElement reports what is wrong with the header of the element that has begun; last
// is the tag before it in its data set.
func (d *Decoder) checkElement(h header, s *frame, last Tag) {
	e := &d.element
	switch {
	case h.tag == last:
		d.note(e, AnomalyDuplicateElement, h.tag.String())
	case h.tag < last:
		d.note(e, AnomalyTagOrder, h.tag.String()+" after "+last.String())
	}
	if h.tag.Group() == metaGroup && !d.meta {
		d.note(e, AnomalyMetaInDataSet, h.tag.String())
	}
	switch {
	case h.form == formImplicit && s.encoding.explicit:
		d.note(e, AnomalyImplicitInExplicit, h.tag.String())
	case h.form != formImplicit && !h.vr.IsKnown():
		d.note(e, AnomalyUnknownVR, h.tag.String()+" "+h.vr.String())
	case h.vr == UN && h.length != UndefinedLength && h.length > 0 && implicitVR(h.tag) == SQ:
		d.note(e, AnomalyUNSequence, h.tag.String())
	}
	if h.reserved != 0 {
		d.note(e, AnomalyReservedBytes, h.tag.String())
	}
	if e.Length == UndefinedLength && !d.mayBeUndefined(e) {
		d.note(e, AnomalyUndefinedLength, h.tag.String()+" "+e.VR.String())
	}
	if d.doubtful {
		d.note(e, AnomalyDoubtfulElement, h.tag.String())
	}
	d.checkLength(h, s)
}

// checkLength holds the declared length of the piece that has begun against what is around it.
func (d *Decoder) checkLength(h header, s *frame) {
	if h.length == UndefinedLength {
		return
	}
	if h.length%2 == 1 {
		d.note(&d.element, AnomalyOddLength, h.tag.String()+" has length "+count(int64(h.length)))
	}
	if h.end() > s.limit {
		d.note(&d.element, AnomalyLengthExceedsParent, count(h.end()-s.limit)+" bytes beyond the end of what encloses "+h.tag.String())
	}
	if size := d.options.Size; size > 0 && !d.inflated && h.end() > size {
		d.note(&d.element, AnomalyLengthExceedsRest, count(h.end()-size)+" bytes beyond the end of the input")
	}
}

// mayBeUndefined tells whether undefined length is the standard's for e: sequences, UN, and
// Pixel Data of an encapsulated transfer syntax or inside an item (PS3.5 §7.1.3, §A.4).
func (d *Decoder) mayBeUndefined(e *Element) bool {
	switch {
	case e.Tag == TagPixelData:
		return (e.VR == OB || e.VR == OW && d.syntax.Encapsulated) && e.Explicit && (d.syntax.Encapsulated || e.Depth > 0)
	case e.VR == SQ, e.VR == UN:
		return true
	}
	return false
}
