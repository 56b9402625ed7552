package dicom_test

import (
	"strings"
	"testing"

	"cordon/dicom"
)

// appendix is something that was found, or could be, behind a data set.
var appendices = map[string]string{
	"EICAR":      `X5O!P%@AP[4\PZX54(P^)7CC)7}$`,
	"script":     "#!/bin/sh\necho harmless\n",
	"batch":      "@echo off\r\ndir\r\n",
	"HTML":       "<html><body></body></html>",
	"prose":      "THE ISSUE IS THAT LETTERS MAY SPELL A VR",
	"PDF":        "%PDF-1.4\n%\xE2\xE3\xCF\xD3\n",
	"PE":         "MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xFF\xFF\x00\x00\xB8\x00\x00\x00",
	"ELF32":      "\x7FELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x03\x00",
	"Mach-O":     "\xCF\xFA\xED\xFE\x07\x00\x00\x01\x03\x00\x00\x80\x02\x00\x00\x00",
	"fat Mach-O": "\xCA\xFE\xBA\xBE\x00\x00\x00\x02\x01\x00\x00\x07",
	"ZIP":        "PK\x03\x04\x14\x00\x00\x00\x08\x00",
	"OLE2":       "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1\x00\x00\x00\x00",
	"LNK":        "L\x00\x00\x00\x01\x14\x02\x00\x00\x00\x00\x00\xC0\x00\x00\x00",
	"JPEG":       "\xFF\xD8\xFF\xE0\x00\x10JFIF\x00\x01",
	"gzip":       "\x1F\x8B\x08\x00\x00\x00\x00\x00\x00\x03",
	"zeros":      strings.Repeat("\x00", 40),
	"ones":       strings.Repeat("\xFF", 40),
	"one byte":   "M",
	"item":       "\xFE\xFF\x00\xE0\x00\x00\x00\x00",
}

// TestTrailerIsWhole: what is appended reaches the visitor in one piece, from its first byte,
// whatever the encoding and however short the data set, whether the size is known or not.
func TestTrailerIsWhole(t *testing.T) {
	short := func(w *dicom.Writer) { w.String(dicom.TagPatientID, dicom.LO, "4711") }
	for _, u := range []dicom.UID{implicit, explicit, big, dicom.JPEGBaseline8Bit} {
		for name, text := range appendices {
			if u == big && name == "item" {
				continue // not an item in this byte order
			}
			for _, write := range []func(w *dicom.Writer){short, sample(syntax(t, u))} {
				p := append(build(t, u, write), text...)
				for _, size := range []int64{0, int64(len(p))} {
					v := new(trailer)
					d := dicom.NewDecoder(v, dicom.Options{TransferSyntax: u, Size: size})
					if _, err := d.Write(p); err != nil {
						t.Fatal(err)
					}
					if err := d.Close(); err != nil {
						t.Fatal(err)
					}
					if string(v.bytes) != text {
						t.Errorf("%s behind %s, size %d: trailer %q", name, u, size, v.bytes)
					}
				}
			}
		}
	}
}

// trailer is a visitor that keeps the trailer.
type trailer struct{ bytes []byte }

func (v *trailer) Begin(*dicom.Element) {}
func (v *trailer) Value(e *dicom.Element, p []byte) {
	if e.Kind == dicom.KindTrailer {
		v.bytes = append(v.bytes, p...)
	}
}
func (v *trailer) End(*dicom.Element)                    {}
func (v *trailer) Anomaly(*dicom.Element, dicom.Anomaly) {}

// TestTrailerMayLookLikeAnElement: an ELF64 magic is also the header of a private element of
// 65,794 bytes. In implicit VRs that cannot be told apart; it is marked.
func TestTrailerMayLookLikeAnElement(t *testing.T) {
	elf := "\x7FELF\x02\x01\x01\x00" + strings.Repeat("\x00", 70000)
	p := build(t, implicit, func(w *dicom.Writer) {
		w.String(dicom.TagPatientID, dicom.LO, "4711")
		w.Raw([]byte(elf))
	})
	r := decode(t, dicom.Options{TransferSyntax: implicit, Size: int64(len(p))}, p, len(p))
	if len(r.anomalies) == 0 || r.anomalies[0].Code != dicom.AnomalyDoubtfulElement {
		t.Errorf("%v", r.anomalies)
	}
}

// TestForeignElementsAreNoTrailer: what real objects hold at their root stays an element.
func TestForeignElementsAreNoTrailer(t *testing.T) {
	private := dicom.NewTag(0x0033, 0x1010)
	for _, u := range []dicom.UID{implicit, explicit, big} {
		p := build(t, u, func(w *dicom.Writer) {
			w.String(dicom.TagPatientID, dicom.LO, "4711")
			w.Element(dicom.NewTag(0x0028, 0x9FFE), dicom.LO, []byte("of a later edition")) // not in the dictionary
			w.String(dicom.NewTag(0x0033, 0x0010), dicom.LO, "CORDON TEST")
			w.Element(private, dicom.UN, []byte("announced"))
			w.Element(dicom.NewTag(0x0035, 0x1010), dicom.UN, []byte("not announced"))
			w.Element(dicom.NewTag(0x6002, 0x3000), dicom.OW, []byte{1, 2})
			w.Element(dicom.TagPixelData, dicom.OW, []byte{1, 2})
			w.Element(dicom.TagDataSetTrailingPadding, dicom.OB, make([]byte, 10))
		})
		r := decode(t, dicom.Options{TransferSyntax: u}, p, len(p))
		if events := strings.Join(r.events, "\n"); strings.Contains(events, "trailer") || strings.Contains(events, "unparsed") {
			t.Errorf("%s:\n%s", u, events)
		}
	}
}

// TestMisplacedPrivateElementsEndNothing: real CT scanners write private elements where none
// may be, before the pixel data, some of them empty.
func TestMisplacedPrivateElementsEndNothing(t *testing.T) {
	p := build(t, implicit, func(w *dicom.Writer) {
		w.String(dicom.TagPatientID, dicom.LO, "4711")
		w.Element(dicom.NewTag(0x3109, 0x000D), dicom.UN, nil)
		w.Element(dicom.NewTag(0x3109, 0x0020), dicom.LO, nil)
		w.Element(dicom.NewTag(0x310B, 0x000D), dicom.UN, []byte("1234"))
		w.Element(dicom.TagPixelData, dicom.OW, make([]byte, 512))
	})
	v := new(trailer)
	d := dicom.NewDecoder(v, dicom.Options{TransferSyntax: implicit})
	if _, err := d.Write(p); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if len(v.bytes) != 0 {
		t.Errorf("%d bytes were taken for a trailer", len(v.bytes))
	}
}
