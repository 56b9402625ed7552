package inspect_test

import (
	"bytes"
	"encoding/binary"

	"cordon/dicom"
	"cordon/inspect"
	"cordon/inspect/compose"
)

// raw is a small clean CT image with bytes in the place of an element of group 0029.
func raw(p ...byte) []byte {
	return ct(func(o *compose.Object) { o.SetFunc(0x00291000, func(w *dicom.Writer) { w.Raw(p) }) })
}

// explicit is an explicit VR little endian header with a 16-bit length, and a value.
func explicit(group, element uint16, vr string, length int, value string) []byte {
	le := binary.LittleEndian
	b := le.AppendUint16(le.AppendUint16(nil, group), element)
	b = append(b, vr...)
	return append(le.AppendUint16(b, uint16(length)), value...)
}

// header is an implicit VR little endian header, or that of an item or delimiter.
func header(t dicom.Tag, length uint32) []byte {
	le := binary.LittleEndian
	b := le.AppendUint16(le.AppendUint16(nil, t.Group()), t.Element())
	return le.AppendUint32(b, length)
}

// sequence is a sequence of undefined length with the given content.
func sequence(content ...[]byte) []byte {
	return append([]byte("\x29\x00\x00\x10SQ\x00\x00\xFF\xFF\xFF\xFF"), bytes.Join(content, nil)...)
}

// encodingVectors are those of what the decoder notices.
func encodingVectors() []vector {
	plain := compose.CT(16, 16)
	clean := plain.File()
	const dataSet = 132 // of a file without meta information
	changed := func(old, new string) []byte { return bytes.Replace(clean, []byte(old), []byte(new), 1) }
	explicitLE := "1.2.840.10008.1.2.1\x00"
	implicit := compose.CT(16, 16)
	implicit.TransferSyntax = dicom.ImplicitVRLittleEndian
	deflated := compose.CT(16, 16)
	deflated.TransferSyntax = dicom.DeflatedExplicitVRLittleEndian
	corrupt := deflated.File()
	corrupt[len(corrupt)-len(deflated.DataSet())] = 0x07 // a block of the type that there is none of
	item, itemEnd, sequenceEnd := header(dicom.TagItem, dicom.UndefinedLength), header(dicom.TagItemDelimitationItem, 0), header(dicom.TagSequenceDelimitationItem, 0)
	element := explicit(0x0029, 0x1001, "LO", 4, "text")
	proper := raw(sequence(item, element, itemEnd, sequenceEnd)...)
	implicitItem := func(content []byte) []byte {
		o := compose.CT(16, 16)
		o.TransferSyntax = dicom.ImplicitVRLittleEndian
		o.SetFunc(0x00400275, func(w *dicom.Writer) {
			w.BeginSequence(0x00400275, dicom.Undefined)
			w.BeginItem(dicom.Undefined)
			w.Raw(content)
			w.EndItem()
			w.EndSequence()
		})
		return o.File()
	}
	fragment := func(length uint32) []byte {
		o := compose.Photo(16, 16)
		o.SetFunc(dicom.TagPixelData, func(w *dicom.Writer) {
			w.BeginEncapsulated(dicom.TagPixelData)
			w.Fragment(nil)
			w.Raw(header(dicom.TagItem, length))
			w.Raw(compose.JPEG(16, 16)[:100])
			w.EndEncapsulated()
		})
		return o.File()
	}
	bare := compose.CT(16, 16).DataSet()
	groupLength := bytes.Clone(clean)
	groupLength[140]++
	noSyntax := bytes.Replace(clean, []byte("\x02\x00\x10\x00UI"), []byte("\x02\x00\x15\x00UI"), 1)
	withLength := func(n uint32) []byte {
		return ct(func(o *compose.Object) {
			o.Set(0x00100000, dicom.UL, binary.LittleEndian.AppendUint32(nil, n))
			for _, t := range []dicom.Tag{dicom.TagPatientName, dicom.TagPatientBirthDate, dicom.TagPatientSex} {
				o.Remove(t)
			}
			o.SetString(dicom.TagPatientID, dicom.LO, "1234")
		})
	}
	appended := func(p string) []byte { return append(bytes.Clone(clean), p...) }
	room := func(p []byte) []byte { // for an element of a listed group
		return ct(func(o *compose.Object) { o.SetFunc(0x00400007, func(w *dicom.Writer) { w.Raw(p) }) })
	}
	tail := func(parts ...[]byte) []byte { return append(implicit.File(), bytes.Join(parts, nil)...) }
	two := func(a, b uint16) []byte {
		return raw(append(explicit(0x0029, a, "LO", 4, "text"), explicit(0x0029, b, "LO", 4, "text")...)...)
	}
	return []vector{
		{id: "truncated", fires: clean[:len(clean)-10], spares: clean},
		{id: "length-exceeds-rest", fires: clean[:len(clean)-10], spares: clean},
		{id: "length-exceeds-parent",
			fires:  raw(sequence(header(dicom.TagItem, 12), explicit(0x0029, 0x1001, "LO", 6, "text"), []byte("xx"), sequenceEnd)...),
			spares: raw(sequence(header(dicom.TagItem, 12), element, sequenceEnd)...)},
		{id: "unexpected-item", fires: raw(sequence(header(dicom.TagItem, 12), header(dicom.TagItem, 4), []byte("text"), sequenceEnd)...), spares: proper},
		{id: "item-expected", fires: raw(sequence(element, sequenceEnd)...), spares: proper},
		{id: "invalid-header", fires: raw(sequence(item, header(0x00291001, 0x7FFF0201), itemEnd, sequenceEnd)...), spares: proper},
		{id: "fragment-length", fires: fragment(dicom.UndefinedLength), spares: fragment(100)},
		{id: "inflate", fires: corrupt, spares: deflated.File()},
		{id: "no-preamble", fires: bare, spares: clean},
		{id: "no-meta", fires: bare, spares: clean[dataSet:]},
		{id: "meta-length", fires: groupLength, spares: clean},
		{id: "meta-in-data-set", fires: raw(sequence(item, explicit(0x0002, 0x0016, "AE", 4, "PACS"), itemEnd, sequenceEnd)...), spares: clean},
		{id: "no-transfer-syntax", fires: noSyntax, spares: clean},
		{id: "unknown-transfer-syntax", fires: changed(explicitLE, "1.2.840.10008.1.9.9\x00"), spares: clean},
		{id: "encoding-mismatch", fires: append(clean[:len(clean)-len(plain.DataSet()):len(clean)-len(plain.DataSet())], implicit.DataSet()...), spares: implicit.File()},
		{id: "implicit-in-explicit", fires: room(append(header(0x00400007, 4), "text"...)), spares: room(explicit(0x0040, 0x0007, "LO", 4, "text"))},
		{id: "explicit-in-implicit", fires: implicitItem(explicit(0x0040, 0x0007, "LO", 4, "text")), spares: implicitItem(append(header(0x00400007, 4), "text"...))},
		{id: "unknown-vr", fires: raw(explicit(0x0029, 0x1001, "ZZ", 4, "text")...), spares: raw(element...)},
		{id: "reserved-bytes", fires: raw([]byte("\x29\x00\x01\x10OB\x01\x00\x02\x00\x00\x00xx")...), spares: raw([]byte("\x29\x00\x01\x10OB\x00\x00\x02\x00\x00\x00xx")...)},
		{id: "odd-length", fires: raw(explicit(0x0029, 0x1001, "LO", 3, "tex")...), spares: raw(element...)},
		{id: "undefined-length", fires: room(bytes.Join([][]byte{[]byte("\x42\x00\x11\x00OB\x00\x00\xFF\xFF\xFF\xFF"), header(dicom.TagItem, 0), sequenceEnd}, nil)), spares: proper},
		{id: "delimiter-length", fires: raw(sequence(item, element, header(dicom.TagItemDelimitationItem, 2), sequenceEnd)...), spares: proper},
		{id: "missing-delimiter", fires: raw(sequence(item, element, sequenceEnd)...), spares: proper},
		{id: "stray-delimiter", fires: raw(sequenceEnd...), spares: proper},
		{id: "un-sequence", fires: ct(func(o *compose.Object) { o.Set(0x00400275, dicom.UN, bytes.Join([][]byte{item, itemEnd}, nil)) }), spares: ct(func(o *compose.Object) { o.Set(0x00400007, dicom.UN, []byte("text")) })},
		{id: "group-length", fires: withLength(14), spares: withLength(12)},
		{id: "tag-order", fires: two(0x1002, 0x1001), spares: two(0x1001, 0x1002)},
		{id: "duplicate-element", fires: two(0x1001, 0x1001), spares: two(0x1001, 0x1002)},
		{id: "trailing-bytes", fires: appended("these bytes are no element"), spares: clean},
		{id: "doubtful-element", fires: tail(header(0x7FE11001, 4), []byte("text")), spares: tail(header(0x7FE10010, 4), []byte("MAKE"), header(0x7FE11001, 4), []byte("text"))},
	}
}

func limitVectors() []vector {
	nested := func(depth int) []byte {
		return ct(func(o *compose.Object) {
			o.SetFunc(0x00400275, func(w *dicom.Writer) {
				for range depth {
					w.BeginSequence(0x00400275, dicom.Undefined)
					w.BeginItem(dicom.Undefined)
				}
				for range depth {
					w.EndItem()
					w.EndSequence()
				}
			})
		})
	}
	items := func(n int) []byte {
		return ct(func(o *compose.Object) {
			o.SetFunc(0x00400275, func(w *dicom.Writer) {
				w.BeginSequence(0x00400275, dicom.Defined)
				for range n {
					w.BeginItem(dicom.Defined)
					w.EndItem()
				}
				w.EndSequence()
			})
		})
	}
	value := func(n int) []byte {
		return ct(func(o *compose.Object) { o.Set(0x00291001, dicom.OB, make([]byte, n)) })
	}
	deflated := func(n int) []byte {
		return ct(func(o *compose.Object) {
			o.TransferSyntax = dicom.DeflatedExplicitVRLittleEndian
			o.Set(0x00291001, dicom.OB, make([]byte, n))
		})
	}
	limited := func(l dicom.Limits) inspect.Options { return inspect.Options{Decoder: dicom.Options{Limits: l}} }
	return []vector{
		{id: "depth-limit", fires: nested(65), spares: nested(64)},
		{id: "element-limit", fires: items(200), spares: items(20), options: limited(dicom.Limits{Elements: 150})},
		{id: "item-limit", fires: items(11), spares: items(10), options: limited(dicom.Limits{Items: 10})},
		{id: "value-length", fires: value(2000), spares: value(1000), options: limited(dicom.Limits{ValueLength: 1000})},
		{id: "item-length", fires: items(200), spares: items(100), options: limited(dicom.Limits{ItemLength: 1000})},
		{id: "inflate-limit", fires: deflated(20000), spares: deflated(1000), options: limited(dicom.Limits{InflateBytes: 10000})},
		{id: "inflate-ratio", fires: deflated(1 << 20), spares: deflated(1000), options: limited(dicom.Limits{InflateFree: 1000, InflateRatio: 100})},
	}
}
