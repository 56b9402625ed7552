package dicom

import "encoding/binary"

// maxGuess bounds a length that nothing else bounds where a header is only guessed at:
// without a known size, 256 MiB.
const maxGuess = 1 << 28

// classify settles how the header whose first 8 bytes are gathered is laid out. It answers
// false where they are no header, and has then acted on that.
func (d *Decoder) classify() bool {
	if d.meta && len(d.stack) == 0 && binary.LittleEndian.Uint16(d.head[:]) != metaGroup {
		d.leaveMeta()
		if d.inflater != nil {
			return false
		}
	}
	s := d.scope()
	if s.fresh {
		d.settle(s)
	}
	t := s.encoding.tag(d.head[:])
	d.form, d.doubtful = formImplicit, false
	if t.Group() == TagItem.Group() || s.element.Kind == KindSequence || s.element.Kind == KindEncapsulated {
		return true
	}
	if s.encoding.explicit {
		f, ok := d.explicitForm(t, s)
		if !ok {
			d.endDataSet(t)
			return false
		}
		d.form = f
	}
	if d.afterDataSet() {
		switch d.appended(t) {
		case appended:
			d.endDataSet(t)
			return false
		case doubtful:
			d.doubtful = true
		}
	}
	return true
}

// explicitForm is the layout of a header in s, where VRs are explicit. VRs that the standard
// lacks are taken as DCMTK does: letters are a future VR, whose length has 32 bits
// (PS3.5 §6.2), unless the bytes that would be reserved are not zero; what some writers put
// in place of an unknown VR has 16 bits. Without any VR the header is taken as implicit, if that fits.
func (d *Decoder) explicitForm(t Tag, s *frame) (form, bool) {
	vr := vrOf(d.head[4:])
	switch {
	case vr.IsKnown():
		if vr.HasLongLength() {
			return formLong, true
		}
		return formShort, true
	case vr.isLetters():
		if d.head[6] == 0 && d.head[7] == 0 {
			return formLong, true
		}
		return formShort, true
	case t > s.last && (vr == 0 || !isPlaceholder(vr)) && d.implicitFits(t, s):
		return formImplicit, true
	case t > s.last && isPlaceholder(vr) && d.isExpected(t):
		return formShort, true
	}
	return formImplicit, false
}

// isPlaceholder tells whether v is what some writers put where they know no VR.
func isPlaceholder(v VR) bool {
	switch v {
	case 0, '?'<<8 | '?', ' '<<8 | ' ', '-'<<8 | '-':
		return true
	}
	return false
}

// isExpected tells whether t is likely enough here to believe in a header without a VR: at
// the root, where something may be appended, private tags are not.
func (d *Decoder) isExpected(t Tag) bool {
	return isListed(t) || len(d.stack) > 0 && t.IsPrivate()
}

// implicitFits tells whether the gathered bytes make sense as a header without VR.
func (d *Decoder) implicitFits(t Tag, s *frame) bool {
	if !d.isExpected(t) {
		return false
	}
	length := s.encoding.uint32(d.head[4:])
	if length == UndefinedLength {
		vr := implicitVR(t)
		return vr == SQ || vr == UN
	}
	return int64(length) <= d.room(s)
}

// room is how many bytes a value that starts here can have at most, as far as that is known.
func (d *Decoder) room(s *frame) int64 {
	room := int64(maxGuess)
	if s.limit != noEnd {
		room = s.limit - d.offset
	}
	if size := d.options.Size; size > 0 && !d.inflated {
		room = min(room, size-d.offset)
	}
	return room
}

// settle finds out at its first header how a data set or item is really encoded.
func (d *Decoder) settle(s *frame) {
	if len(d.stack) > 0 {
		if s.element.Kind == KindItem {
			d.settleItem(s)
		}
		return
	}
	if d.meta {
		return
	}
	ts, ok := guessSyntax(d.head[:shortHeader], d.options.Size)
	switch {
	case d.guess:
		if !ok {
			ts = assumeSyntax(d.head[:shortHeader])
		}
		d.guess = false
		d.use(ts)
	case ok && !isPlausible(d.head[:shortHeader], d.root.encoding):
		d.note(nil, AnomalyEncodingMismatch, "named "+d.syntax.Name+", found "+ts.Name)
		d.root.encoding = encoding{explicit: ts.Explicit, bigEndian: ts.BigEndian}
	}
}

// settleItem is settle for an item: writers mix the encodings. The item is read as it is
// encoded, and so is all inside it.
func (d *Decoder) settleItem(s *frame) {
	t, vr := s.encoding.tag(d.head[:]), vrOf(d.head[4:])
	switch {
	case t.Group() == TagItem.Group():
	case s.encoding.explicit && !vr.isLetters() && !isPlaceholder(vr) && d.implicitFits(t, s):
		s.encoding.explicit = false
		d.note(d.innermost(), AnomalyImplicitInExplicit, "item")
	case !s.encoding.explicit && mayHaveVR(t, vr):
		s.encoding.explicit = true
		d.note(d.innermost(), AnomalyExplicitInImplicit, "item")
	}
}

// isPlausible tells whether the 8 bytes of head, the first of a data set, make sense in enc.
func isPlausible(head []byte, enc encoding) bool {
	t, vr := enc.tag(head), vrOf(head[4:])
	if !isListed(t) && !t.IsPrivate() {
		return false
	}
	if enc.explicit {
		return vr.isLetters() || isPlaceholder(vr)
	}
	return !mayHaveVR(t, vr)
}

// assumeSyntax is the best guess for a data set whose first header guessSyntax does not recognise.
func assumeSyntax(head []byte) TransferSyntax {
	u := ImplicitVRLittleEndian
	if vrOf(head[4:]).isLetters() {
		u = ExplicitVRLittleEndian
	}
	ts, _ := LookupTransferSyntax(u)
	return ts
}

// guessSyntax recognises a data set by its first header: an element of the dictionary, with
// the VR that it may have or with a length that fits into size bytes, if that is known.
// Rather than see a data set where there is none it misses one.
func guessSyntax(p []byte, size int64) (TransferSyntax, bool) {
	if len(p) < shortHeader {
		return TransferSyntax{}, false
	}
	for _, u := range []UID{ExplicitVRLittleEndian, ExplicitVRBigEndian} {
		ts, _ := LookupTransferSyntax(u)
		t := encoding{bigEndian: ts.BigEndian}.tag(p)
		if isListed(t) && t.Group() > metaGroup && mayHaveVR(t, vrOf(p[4:])) {
			return ts, true
		}
	}
	ts, _ := LookupTransferSyntax(ImplicitVRLittleEndian)
	t, length := encoding{}.tag(p), encoding{}.uint32(p[4:])
	room := int64(maxGuess)
	if size > 0 {
		room = size - shortHeader
	}
	switch {
	case !isListed(t) || t.Group() <= metaGroup:
		return TransferSyntax{}, false
	case t.IsGroupLength():
		return ts, length == 4
	case length == UndefinedLength:
		return ts, implicitVR(t) == SQ
	}
	return ts, int64(length) <= room
}
