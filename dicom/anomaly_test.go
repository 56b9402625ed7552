package dicom_test

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"

	"cordon/dicom"
)

const (
	implicit = dicom.ImplicitVRLittleEndian
	explicit = dicom.ExplicitVRLittleEndian
	big      = dicom.ExplicitVRBigEndian
	deflated = dicom.DeflatedExplicitVRLittleEndian
)

// oddity is an input with something that a conformant encoder would not have written.
type oddity struct {
	name   string
	syntax dicom.UID // of a bare data set; empty: a file
	size   int64     // as told to the decoder
	limits dicom.Limits
	input  []byte
	want   []dicom.AnomalyCode // in their order
	end    string              // the last event but those that end sequences, in part
}

func id(w *dicom.Writer) { w.String(dicom.TagSOPInstanceUID, dicom.UI, "1.2.3") }

// inItem writes an item of a sequence around what content writes.
func inItem(sequence, item dicom.LengthForm, content func(w *dicom.Writer)) func(w *dicom.Writer) {
	return func(w *dicom.Writer) {
		id(w)
		w.BeginSequence(dicom.TagContentSequence, sequence)
		w.BeginItem(item)
		content(w)
		w.EndItem()
		w.EndSequence()
		w.String(dicom.NewTag(0x0042, 0x0010), dicom.ST, "title")
	}
}

func codes(c ...dicom.AnomalyCode) []dicom.AnomalyCode { return c }

const after = "begin (0042,0010) element ST" // reading went on after the sequence

func oddities(t testing.TB) []oddity {
	list := startOddities(t)
	list = append(list, headerOddities(t)...)
	list = append(list, lengthOddities(t)...)
	list = append(list, sequenceOddities(t)...)
	list = append(list, limitOddities(t)...)
	return append(list, deflateOddities(t)...)
}

// noMeta is what precedes a data set in a file whose group 0002 holds only what meta writes.
func withMeta(t testing.TB, meta func(w *dicom.Writer), dataSet []byte) []byte {
	p := append(make([]byte, 128), "DICM"...)
	return append(append(p, build(t, explicit, meta)...), dataSet...)
}

func startOddities(t testing.TB) []oddity {
	dataSet := build(t, explicit, id)
	padded := file(t, explicit, dataSet)
	padded[140] += 2 // the value of (0002,0000)
	return []oddity{
		{name: "empty", want: codes(dicom.AnomalyNotDICOM)},
		{name: "text", input: []byte(strings.Repeat("Lorem ipsum. ", 30)), want: codes(dicom.AnomalyNotDICOM), end: "end unparsed"},
		{name: "program", input: append([]byte("MZ\x90\x00\x03\x00\x00\x00\x04\x00"), make([]byte, 500)...), want: codes(dicom.AnomalyNotDICOM)},
		{name: "no preamble", input: file(t, explicit, dataSet)[128:], want: codes(dicom.AnomalyNoPreamble)},
		{name: "no preamble, no DICM", input: file(t, explicit, dataSet)[132:], want: codes(dicom.AnomalyNoPreamble)},
		{name: "bare explicit", input: dataSet, want: codes(dicom.AnomalyNoPreamble, dicom.AnomalyNoMeta)},
		{name: "bare implicit", input: build(t, implicit, id), want: codes(dicom.AnomalyNoPreamble, dicom.AnomalyNoMeta)},
		{name: "bare big endian", input: build(t, big, id), want: codes(dicom.AnomalyNoPreamble, dicom.AnomalyNoMeta)},
		{name: "no meta after DICM", input: withMeta(t, func(*dicom.Writer) {}, dataSet), want: codes(dicom.AnomalyNoMeta, dicom.AnomalyNoTransferSyntax)},
		{name: "no group length", input: withMeta(t, func(w *dicom.Writer) {
			w.String(dicom.TagTransferSyntaxUID, dicom.UI, string(explicit))
		}, dataSet), want: codes(dicom.AnomalyMetaLength)},
		{name: "wrong group length", input: padded, want: codes(dicom.AnomalyMetaLength)},
		{name: "no transfer syntax", input: file(t, "", build(t, big, id)), want: codes(dicom.AnomalyNoTransferSyntax)},
		{name: "unknown transfer syntax", input: file(t, "1.2.3.4", build(t, implicit, id)), want: codes(dicom.AnomalyUnknownTransferSyntax)},
		{name: "unknown transfer syntax of a message", syntax: "1.2.3.4", input: dataSet, want: codes(dicom.AnomalyUnknownTransferSyntax)},
		{name: "implicit named explicit", input: file(t, explicit, build(t, implicit, id)), want: codes(dicom.AnomalyEncodingMismatch)},
		{name: "explicit named implicit", syntax: implicit, input: dataSet, want: codes(dicom.AnomalyEncodingMismatch)},
		{name: "big endian named little", syntax: explicit, input: build(t, big, id), want: codes(dicom.AnomalyEncodingMismatch)},
		{name: "no data set where one is named", syntax: explicit, input: []byte("GET / HTTP/1.1\r\n\r\n"), want: codes(dicom.AnomalyInvalidHeader), end: "end unparsed"},
	}
}

func headerOddities(t testing.TB) []oddity {
	one := func(u dicom.UID, write func(w *dicom.Writer)) []byte {
		return build(t, u, func(w *dicom.Writer) { id(w); write(w) })
	}
	return []oddity{
		{name: "meta in data set", syntax: explicit, input: one(explicit, func(w *dicom.Writer) {
			w.BeginSequence(dicom.TagContentSequence, dicom.Defined)
			w.BeginItem(dicom.Defined)
			w.String(dicom.TagTransferSyntaxUID, dicom.UI, "1.2")
			w.EndItem()
			w.EndSequence()
		}), want: codes(dicom.AnomalyMetaInDataSet)},
		{name: "future VR", syntax: explicit, input: one(explicit, func(w *dicom.Writer) {
			w.Raw([]byte("\x10\x00\x20\x00ZZ\x00\x00\x02\x00\x00\x00ab"))
		}), want: codes(dicom.AnomalyUnknownVR), end: "begin (0010,0020) element ZZ 2 "},
		{name: "unknown VR of 16 bits", syntax: explicit, input: one(explicit, func(w *dicom.Writer) {
			w.Raw([]byte("\x10\x00\x20\x00ZZ\x02\x00ab"))
		}), want: codes(dicom.AnomalyUnknownVR), end: "begin (0010,0020) element ZZ 2 "},
		{name: "question marks for a VR", syntax: explicit, input: one(explicit, func(w *dicom.Writer) {
			w.Raw([]byte("\x10\x00\x20\x00??\x02\x00ab"))
		}), want: codes(dicom.AnomalyUnknownVR), end: "begin (0010,0020) element ?? 2 "},
		{name: "element without VR", syntax: explicit, input: one(explicit, func(w *dicom.Writer) {
			w.Raw([]byte("\x10\x00\x20\x00\x02\x00\x00\x00ab"))
		}), want: codes(dicom.AnomalyImplicitInExplicit), end: "begin (0010,0020) element LO 2 "},
		{name: "item without VRs", syntax: explicit, input: build(t, explicit, inItem(dicom.Undefined, dicom.Undefined, func(w *dicom.Writer) {
			w.Raw(build(t, implicit, id))
		})), want: codes(dicom.AnomalyImplicitInExplicit), end: after},
		{name: "item with VRs", syntax: implicit, input: build(t, implicit, inItem(dicom.Undefined, dicom.Defined, func(w *dicom.Writer) {
			w.Raw(build(t, explicit, id))
		})), want: codes(dicom.AnomalyExplicitInImplicit), end: after},
		{name: "reserved bytes", syntax: explicit, input: one(explicit, func(w *dicom.Writer) {
			w.Raw([]byte("\x10\x00\x20\x00UT\x01\x00\x02\x00\x00\x00ab"))
		}), want: codes(dicom.AnomalyReservedBytes)},
		{name: "order", syntax: explicit, input: build(t, explicit, func(w *dicom.Writer) {
			w.String(dicom.TagPatientID, dicom.LO, "1")
			id(w)
		}), want: codes(dicom.AnomalyTagOrder)},
		{name: "twice", syntax: implicit, input: build(t, implicit, func(w *dicom.Writer) { id(w); id(w) }), want: codes(dicom.AnomalyDuplicateElement)},
		{name: "group length", syntax: explicit, input: build(t, explicit, func(w *dicom.Writer) {
			w.Uint32(dicom.NewTag(0x0008, 0), 99)
			id(w)
			w.String(dicom.TagPatientID, dicom.LO, "1")
		}), want: codes(dicom.AnomalyGroupLength)},
		{name: "doubtful", syntax: implicit, input: one(implicit, func(w *dicom.Writer) {
			w.Element(dicom.NewTag(0x457F, 0x464C), dicom.UN, []byte("ELF?"))
		}), want: codes(dicom.AnomalyDoubtfulElement)},
		{name: "stray delimiter", syntax: explicit, input: one(explicit, func(w *dicom.Writer) {
			w.Header(dicom.TagSequenceDelimitationItem, 0, 0)
			w.String(dicom.TagPatientID, dicom.LO, "1")
		}), want: codes(dicom.AnomalyStrayDelimiter), end: "begin (0010,0020)"},
		{name: "private element in a sequence in a private sequence", syntax: implicit, input: one(implicit, func(w *dicom.Writer) {
			w.String(dicom.NewTag(9, 0x10), dicom.LO, "CORDON")
			w.BeginSequence(dicom.NewTag(9, 0x1001), dicom.Undefined)
			w.BeginItem(dicom.Undefined)
			w.BeginSequence(dicom.NewTag(9, 0x1002), dicom.Undefined)
			w.EndSequence()
			w.EndItem()
			w.EndSequence()
		}), end: "end (0009,1001) sequence"},
		{name: "UN of undefined length is an implicit sequence", syntax: big, input: one(big, func(w *dicom.Writer) {
			w.Header(dicom.NewTag(0x0040, 0xA730), dicom.UN, dicom.UndefinedLength)
			w.Raw(build(t, implicit, func(w *dicom.Writer) {
				w.BeginItem(dicom.Undefined)
				id(w)
				w.EndItem()
				w.Header(dicom.TagSequenceDelimitationItem, 0, 0)
			}))
			w.String(dicom.NewTag(0x0042, 0x0010), dicom.ST, "title")
		}), end: after},
		{name: "SQ as UN", syntax: explicit, input: one(explicit, func(w *dicom.Writer) {
			w.Element(dicom.TagContentSequence, dicom.UN, make([]byte, 8))
		}), want: codes(dicom.AnomalyUNSequence), end: "begin (0040,A730) element UN 8"},
	}
}

func lengthOddities(t testing.TB) []oddity {
	one := func(u dicom.UID, raw string) []byte {
		return build(t, u, func(w *dicom.Writer) { id(w); w.Raw([]byte(raw)) })
	}
	return []oddity{
		{name: "odd", syntax: explicit, input: one(explicit, "\x10\x00\x20\x00LO\x03\x00abc"), want: codes(dicom.AnomalyOddLength)},
		{name: "undefined length of a text", syntax: explicit, input: one(explicit, "\x10\x00\x20\x00UT\x00\x00\xFF\xFF\xFF\xFFabcdefghij"),
			want: codes(dicom.AnomalyUndefinedLength, dicom.AnomalyItemExpected), end: "end (0010,0020).unparsed"},
		{name: "encapsulated in a native transfer syntax", syntax: explicit, input: build(t, explicit, func(w *dicom.Writer) {
			id(w)
			w.BeginEncapsulated(dicom.TagPixelData)
			w.Fragment(nil)
			w.EndEncapsulated()
		}), want: codes(dicom.AnomalyUndefinedLength), end: "end (7FE0,0010) encapsulated"},
		{name: "OW of undefined length", syntax: explicit, input: build(t, explicit, func(w *dicom.Writer) {
			id(w)
			w.Header(dicom.NewTag(0x0042, 0x0011), dicom.OW, dicom.UndefinedLength)
			w.Fragment([]byte("ab"))
			w.Header(dicom.TagSequenceDelimitationItem, 0, 0)
		}), want: codes(dicom.AnomalyUndefinedLength), end: "end (0042,0011) encapsulated"},
		{name: "beyond the parent", syntax: explicit, input: build(t, explicit, inItem(dicom.Undefined, dicom.Undefined, func(w *dicom.Writer) {
			w.Raw([]byte("\xFE\xFF\x0D\xE0\x00\x00\x00\x00\xFE\xFF\x00\xE0\x09\x00\x00\x00"))
			w.Raw([]byte("\x10\x00\x20\x00LO\x02\x00ab"))
			w.Header(dicom.TagItem, 0, dicom.UndefinedLength)
		})), want: codes(dicom.AnomalyOddLength, dicom.AnomalyLengthExceedsParent), end: after},
		{name: "beyond the input", syntax: explicit, size: 1000, input: one(explicit, "\x10\x00\x20\x00UT\x00\x00\xF0\xFF\xFF\xFFabcdefghij"),
			want: codes(dicom.AnomalyLengthExceedsRest, dicom.AnomalyTruncated), end: "end (0010,0020)"},
		{name: "cut off in a value", syntax: explicit, input: one(explicit, "\x10\x00\x20\x00LO\x04\x00ab"), want: codes(dicom.AnomalyTruncated)},
		{name: "cut off in a sequence", syntax: explicit, input: one(explicit, "\x40\x00\x30\xA7SQ\x00\x00\xFF\xFF\xFF\xFF"), want: codes(dicom.AnomalyTruncated)},
		{name: "cut off in a header in a sequence", syntax: explicit, input: one(explicit, "\x40\x00\x30\xA7SQ\x00\x00\xFF\xFF\xFF\xFF\xFE\xFF"), want: codes(dicom.AnomalyTruncated), end: "end (0040,A730).unparsed"},
		{name: "cut off in a long header", syntax: explicit, input: one(explicit, "\x40\x00\x30\xA7SQ\x00\x00\xFF\xFF"), want: codes(dicom.AnomalyTruncated)},
		{name: "too few bytes for a header", syntax: explicit, input: one(explicit, "\x40\x00\x30"), want: codes(dicom.AnomalyTrailingBytes), end: "end trailer"},
		{name: "delimiter with a length", syntax: explicit, input: build(t, explicit, inItem(dicom.Defined, dicom.Defined, func(w *dicom.Writer) {
			w.Header(dicom.TagContentSequence, dicom.SQ, dicom.UndefinedLength)
			w.Header(dicom.TagSequenceDelimitationItem, 0, 4)
		})), want: codes(dicom.AnomalyDelimiterLength), end: after},
	}
}

func sequenceOddities(t testing.TB) []oddity {
	open := func(w *dicom.Writer) {
		w.Header(dicom.TagContentSequence, dicom.SQ, dicom.UndefinedLength)
		w.Header(dicom.TagItem, 0, dicom.UndefinedLength)
	}
	bare := func(write func(w *dicom.Writer)) []byte {
		return build(t, explicit, func(w *dicom.Writer) { id(w); write(w) })
	}
	return []oddity{
		{name: "no delimiters at the end of the parent", syntax: explicit, input: build(t, explicit, inItem(dicom.Undefined, dicom.Defined, open)),
			want: codes(dicom.AnomalyMissingDelimiter, dicom.AnomalyMissingDelimiter), end: after},
		{name: "no item delimiter before the next item", syntax: explicit, input: bare(func(w *dicom.Writer) {
			open(w)
			w.BeginItem(dicom.Defined)
			w.EndItem()
			w.Header(dicom.TagSequenceDelimitationItem, 0, 0)
			w.String(dicom.NewTag(0x0042, 0x0010), dicom.ST, "title")
		}), want: codes(dicom.AnomalyMissingDelimiter), end: after},
		{name: "no item delimiter before the sequence's", syntax: explicit, input: bare(func(w *dicom.Writer) {
			open(w)
			w.Header(dicom.TagSequenceDelimitationItem, 0, 0)
			w.String(dicom.NewTag(0x0042, 0x0010), dicom.ST, "title")
		}), want: codes(dicom.AnomalyMissingDelimiter), end: after},
		{name: "item delimiter after a defined length", syntax: explicit, input: bare(func(w *dicom.Writer) {
			w.BeginSequence(dicom.TagContentSequence, dicom.Undefined)
			w.BeginItem(dicom.Defined)
			w.EndItem()
			w.Header(dicom.TagItemDelimitationItem, 0, 0)
			w.EndSequence()
			w.String(dicom.NewTag(0x0042, 0x0010), dicom.ST, "title")
		}), want: codes(dicom.AnomalyStrayDelimiter), end: after},
		{name: "item in an item", syntax: explicit, input: bare(func(w *dicom.Writer) {
			w.BeginSequence(dicom.TagContentSequence, dicom.Undefined)
			w.BeginItem(dicom.Defined)
			w.Header(dicom.TagItem, 0, 0)
			w.EndItem()
			w.EndSequence()
		}), want: codes(dicom.AnomalyUnexpectedItem), end: "end (0040,A730)[0].unparsed"},
		{name: "element instead of an item", syntax: explicit, input: build(t, explicit, func(w *dicom.Writer) {
			w.BeginSequence(dicom.TagContentSequence, dicom.Undefined)
			id(w)
			w.EndSequence()
		}), want: codes(dicom.AnomalyItemExpected), end: "end (0040,A730).unparsed"},
		{name: "rubbish in an item", syntax: explicit, input: build(t, explicit, inItem(dicom.Undefined, dicom.Undefined, func(w *dicom.Writer) {
			w.Raw([]byte("#!/bin/sh\nexit 0\n"))
		})), want: codes(dicom.AnomalyInvalidHeader), end: "end (0040,A730)[0].unparsed"},
		{name: "fragment of undefined length", syntax: dicom.RLELossless, input: build(t, dicom.RLELossless, func(w *dicom.Writer) {
			w.BeginEncapsulated(dicom.TagPixelData)
			w.Header(dicom.TagItem, 0, dicom.UndefinedLength)
			w.EndEncapsulated()
		}), want: codes(dicom.AnomalyFragmentLength), end: "end (7FE0,0010).unparsed"},
	}
}

func limitOddities(t testing.TB) []oddity {
	nested := func(depth int) []byte {
		return build(t, explicit, func(w *dicom.Writer) {
			for range depth {
				w.BeginSequence(dicom.TagContentSequence, dicom.Undefined)
				w.BeginItem(dicom.Undefined)
			}
			for range depth {
				w.EndItem()
				w.EndSequence()
			}
		})
	}
	long := build(t, explicit, func(w *dicom.Writer) { w.Header(dicom.TagPixelData, dicom.OW, 101) })
	item := build(t, explicit, inItem(dicom.Defined, dicom.Defined, func(w *dicom.Writer) { w.String(dicom.TagPatientID, dicom.LO, strings.Repeat("x", 100)) }))
	items := build(t, explicit, func(w *dicom.Writer) {
		w.BeginSequence(dicom.TagContentSequence, dicom.Undefined)
		for range 5 {
			w.BeginItem(dicom.Undefined)
			w.EndItem()
		}
		w.EndSequence()
	})
	return []oddity{
		{name: "64 sequences", syntax: explicit, input: nested(64)},
		{name: "65 sequences", syntax: explicit, input: nested(65), want: codes(dicom.AnomalyDepthLimit)},
		{name: "depth", syntax: explicit, limits: dicom.Limits{Depth: 2}, input: nested(3), want: codes(dicom.AnomalyDepthLimit), end: "end (0040,A730)[0].(0040,A730)[0].unparsed"},
		{name: "elements", syntax: explicit, limits: dicom.Limits{Elements: 10}, input: nested(6), want: codes(dicom.AnomalyElementLimit)},
		{name: "items", syntax: explicit, limits: dicom.Limits{Items: 4}, input: items, want: codes(dicom.AnomalyItemLimit)},
		{name: "items, just enough", syntax: explicit, limits: dicom.Limits{Items: 5}, input: items},
		{name: "value length", syntax: explicit, limits: dicom.Limits{ValueLength: 100}, input: long, want: codes(dicom.AnomalyValueLength), end: "end unparsed"},
		{name: "item length", syntax: explicit, limits: dicom.Limits{ItemLength: 100}, input: item, want: codes(dicom.AnomalyItemLength), end: "end unparsed"},
		{name: "inflate bytes", syntax: deflated, limits: dicom.Limits{InflateBytes: 100_000}, input: build(t, deflated, func(w *dicom.Writer) {
			w.Element(dicom.TagPixelData, dicom.OW, make([]byte, 200_000))
		}), want: codes(dicom.AnomalyInflateLimit)},
		{name: "inflate ratio", syntax: deflated, limits: dicom.Limits{InflateRatio: 50, InflateFree: 100_000}, input: build(t, deflated, func(w *dicom.Writer) {
			w.Element(dicom.TagPixelData, dicom.OW, make([]byte, 1_000_000))
		}), want: codes(dicom.AnomalyInflateRatio)},
	}
}

func deflateOddities(t testing.TB) []oddity {
	sound := bytes.TrimSuffix(build(t, deflated, sample(syntax(t, deflated))), []byte{0})
	plain := build(t, explicit, sample(syntax(t, deflated)))
	sum := binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(plain))
	sum = binary.LittleEndian.AppendUint32(sum, uint32(len(plain)))
	var stored bytes.Buffer
	z, err := flate.NewWriter(&stored, flate.NoCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(build(t, explicit, id)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	disguised := append([]byte("\x02\x00\x0E\x00\xF1\xFF"), build(t, explicit, id)...) // an empty block, a stored one
	disguised = append(disguised, 0x03, 0x00)
	syntaxOnly := func(w *dicom.Writer) { w.String(dicom.TagTransferSyntaxUID, dicom.UI, string(deflated)) }
	return []oddity{
		{name: "a stream that starts like group 0002", input: file(t, deflated, disguised), end: "begin (0008,0018) element UI 6 at 0 "},
		{name: "a stream shorter than a header", input: withMeta(t, syntaxOnly, []byte{0x03, 0x00}), want: codes(dicom.AnomalyMetaLength)},
		{name: "stored", syntax: deflated, input: stored.Bytes()},
		{name: "corrupt", syntax: deflated, input: append(build(t, deflated, id)[:0:0], 0x07, 1, 2, 3, 4), want: codes(dicom.AnomalyInflate), end: "end unparsed"},
		{name: "cut off", syntax: deflated, input: sound[:len(sound)-6], want: codes(dicom.AnomalyTruncated)},
		{name: "bytes after the stream", syntax: deflated, input: append(slices.Clone(sound), "X5O!P%@AP"...), want: codes(dicom.AnomalyTrailingBytes),
			end: fmt.Sprintf("begin trailer trailer  0 at %d value %d ", len(sound), len(sound))},
		{name: "one null after the stream", syntax: deflated, input: append(slices.Clone(sound), 0), end: "end trailer"},
		{name: "gzip trailer", syntax: deflated, input: append(slices.Clone(sound), sum...), end: "end trailer"},
		{name: "gzip trailer, padded", syntax: deflated, input: append(append(slices.Clone(sound), sum...), 0), end: "end trailer"},
		{name: "half a gzip trailer", syntax: deflated, input: append(slices.Clone(sound), sum[:5]...), want: codes(dicom.AnomalyTrailingBytes), end: "end trailer"},
		{name: "more than a gzip trailer", syntax: deflated, input: append(append(slices.Clone(sound), sum...), 0, 0), want: codes(dicom.AnomalyTrailingBytes), end: "end trailer"},
		{name: "empty", syntax: deflated, input: nil, want: codes(dicom.AnomalyTruncated)},
		{name: "trailer inside the stream", syntax: deflated, input: build(t, deflated, func(w *dicom.Writer) {
			id(w)
			w.Raw([]byte("X5O!P%@AP[4"))
		}), want: codes(dicom.AnomalyTrailingBytes)},
	}
}

func TestAnomalies(t *testing.T) {
	seen := make(map[dicom.AnomalyCode]bool)
	for _, o := range oddities(t) {
		r := decode(t, dicom.Options{TransferSyntax: o.syntax, Size: o.size, Limits: o.limits}, o.input, 1<<20)
		var got []dicom.AnomalyCode
		for _, a := range r.anomalies {
			got = append(got, a.Code)
			seen[a.Code] = true
			checkAnomaly(t, o.name, a)
		}
		events := strings.Join(r.events, "\n")
		if !slices.Equal(got, o.want) || !strings.Contains(events, o.end) {
			t.Errorf("%s: %v, want %v and an event %q in\n%s", o.name, got, o.want, o.end, events)
		}
		if !r.deflated && !bytes.Equal(r.bytes.Bytes(), o.input) {
			t.Errorf("%s: %d bytes in, %d visited", o.name, len(o.input), r.bytes.Len())
		}
	}
	for _, c := range dicom.Codes() {
		if !seen[c] {
			t.Errorf("no input provokes %s", c)
		}
	}
	if len(seen) != len(dicom.Codes()) {
		t.Errorf("%d codes seen, %d listed", len(seen), len(dicom.Codes()))
	}
}

// fatal are the codes that the documentation calls fatal.
var fatal = codes(dicom.AnomalyNotDICOM, dicom.AnomalyInvalidHeader, dicom.AnomalyUnexpectedItem, dicom.AnomalyItemExpected,
	dicom.AnomalyFragmentLength, dicom.AnomalyTruncated, dicom.AnomalyInflate, dicom.AnomalyInflateLimit, dicom.AnomalyInflateRatio,
	dicom.AnomalyDepthLimit, dicom.AnomalyElementLimit, dicom.AnomalyItemLimit, dicom.AnomalyValueLength, dicom.AnomalyItemLength)

func checkAnomaly(t *testing.T, name string, a dicom.Anomaly) {
	t.Helper()
	if a.Fatal != slices.Contains(fatal, a.Code) {
		t.Errorf("%s: %s: fatal %t", name, a.Code, a.Fatal)
	}
	for _, value := range []string{"1.2.3", "X5O", "title", "4711", "ELF"} {
		if strings.Contains(a.Detail, value) {
			t.Errorf("%s: %s: detail %q holds a value", name, a.Code, a.Detail)
		}
	}
}
