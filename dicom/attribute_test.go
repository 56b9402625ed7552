package dicom

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestLookupAttribute(t *testing.T) {
	for _, c := range []struct {
		tag     Tag
		vrs     []VR
		vm      string
		keyword string
		name    string
		retired bool
	}{
		{TagPatientName, []VR{PN}, "1", "PatientName", "Patient's Name", false},
		{TagPixelData, []VR{OB, OW}, "1", "PixelData", "Pixel Data", false},
		{TagLUTData, []VR{US, SS, OW}, "1-n", "LUTData", "LUT Data", false},
		{TagImageType, []VR{CS}, "2-n", "ImageType", "Image Type", false},
		{TagContentSequence, []VR{SQ}, "1", "ContentSequence", "Content Sequence", false},
		{TagItem, nil, "1", "Item", "Item", false},
		{NewTag(0x0000, 0x0110), []VR{US}, "1", "MessageID", "Message ID", false},
		{NewTag(0x6002, 0x3000), []VR{OB, OW}, "1", "OverlayData", "Overlay Data", false},
		{NewTag(0x5010, 0x3000), []VR{OB, OW}, "1", "CurveData", "Curve Data", true},
		{NewTag(0x0020, 0x3110), []VR{CS}, "1-n", "SourceImageIDs", "Source Image IDs", true},
	} {
		a, ok := LookupAttribute(c.tag)
		if !ok || a.Tag != c.tag || !slices.Equal(a.VRs, c.vrs) || a.VM != c.vm || a.Keyword != c.keyword || a.Retired != c.retired {
			t.Errorf("%v: %+v, %t", c.tag, a, ok)
		}
		if c.tag.Group() < 0x5000 && c.tag.Group() != 0x0020 && a.Name != c.name {
			t.Errorf("%v: name %q, want %q", c.tag, a.Name, c.name)
		}
	}
	for _, tag := range []Tag{0x00091001, 0x6001_3000, 0x0008_FFFF, 0xFFFFFFFF, 0} {
		if a, ok := LookupAttribute(tag); ok && tag != 0 {
			t.Errorf("%v: %+v", tag, a)
		}
	}
}

func TestDictionaryIsSorted(t *testing.T) {
	if len(attributes) < 4900 || len(uidNames) < 450 {
		t.Errorf("%d attributes, %d UIDs", len(attributes), len(uidNames))
	}
	for i := 1; i < len(attributes); i++ {
		if attributes[i-1].tag >= attributes[i].tag {
			t.Errorf("%v before %v", attributes[i-1].tag, attributes[i].tag)
		}
	}
	for i := 1; i < len(uidNames); i++ {
		if uidNames[i-1].UID >= uidNames[i].UID {
			t.Errorf("%s before %s", uidNames[i-1].UID, uidNames[i].UID)
		}
	}
}

// TestTransferSyntaxesAreTheDictionarys holds the hand-written table against the generated one.
func TestTransferSyntaxesAreTheDictionarys(t *testing.T) {
	for _, n := range uidNames {
		ts, ok := LookupTransferSyntax(n.UID)
		switch {
		case n.Type != "Transfer Syntax":
			if ok && n.Type != "" {
				t.Errorf("%s is a %s", n.UID, n.Type)
			}
		case n.Name == "RFC 2557 MIME encapsulation" || n.Name == "XML Encoding": // not encodings of data sets
		case !ok:
			t.Errorf("%s %s is missing", n.UID, n.Name)
		case !strings.EqualFold(strings.ReplaceAll(ts.Name, ":", ""), strings.ReplaceAll(n.Name, ":", "")):
			t.Errorf("%s: %q, the dictionary has %q", n.UID, ts.Name, n.Name)
		}
	}
}

func TestTransferSyntaxEncodings(t *testing.T) {
	for _, c := range []struct {
		uid                                      UID
		explicit, bigEndian, deflated, encapsule bool
	}{
		{ImplicitVRLittleEndian, false, false, false, false},
		{ExplicitVRLittleEndian, true, false, false, false},
		{ExplicitVRBigEndian, true, true, false, false},
		{DeflatedExplicitVRLittleEndian, true, false, true, false},
		{JPIPReferencedDeflate, true, false, true, false},
		{JPIPHTJ2KReferencedDeflate, true, false, true, false},
		{EncapsulatedUncompressedExplicitVRLittleEndian, true, false, false, true},
		{DeflatedImageFrameCompression, true, false, false, true},
		{JPEGBaseline8Bit, true, false, false, true},
		{HTJ2K, true, false, false, true},
		{RLELossless, true, false, false, true},
		{MPEG2MPML, true, false, false, true},
	} {
		ts, ok := LookupTransferSyntax(c.uid)
		if !ok || ts.Explicit != c.explicit || ts.BigEndian != c.bigEndian || ts.Deflated != c.deflated || ts.Encapsulated != c.encapsule {
			t.Errorf("%s: %+v, %t", c.uid, ts, ok)
		}
	}
	if _, ok := LookupTransferSyntax("1.2.3"); ok {
		t.Error("1.2.3 is a transfer syntax")
	}
}

func TestLookupAttributeKeyword(t *testing.T) {
	if a, ok := LookupAttributeKeyword("PatientName"); !ok || a.Tag != TagPatientName {
		t.Errorf("PatientName is %v", a.Tag)
	}
	for _, keyword := range []string{"", "patientname", "Patient Name"} {
		if a, ok := LookupAttributeKeyword(keyword); ok {
			t.Errorf("%q is %v", keyword, a.Tag)
		}
	}
}

func TestUIDNamesAreInOrder(t *testing.T) {
	all := UIDNames()
	if len(all) != len(uidNames)+len(laterUIDs) || all[0].UID != Verification {
		t.Fatalf("%d, first %v", len(all), all[0])
	}
	at := func(u UID) int { return slices.IndexFunc(all, func(n UIDName) bool { return n.UID == u }) }
	if !(at(JPEGBaseline8Bit) < at(MPEG2MPML) && at(CTImageStorage) < at(EnhancedCTImageStorage) && at(EnhancedCTImageStorage) < at(XRayAngiographicImageStorage)) {
		t.Error("not in the order of their numbers")
	}
}

// TestLaterUIDsAreLater finds the UIDs that a newer edition of the generated dictionary makes superfluous.
func TestLaterUIDsAreLater(t *testing.T) {
	if !slices.IsSortedFunc(laterUIDs[:], func(a, b UIDName) int { return strings.Compare(string(a.UID), string(b.UID)) }) {
		t.Error("not in order: some will not be found")
	}
	for _, n := range laterUIDs {
		if slices.ContainsFunc(uidNames[:], func(m UIDName) bool { return m.UID == n.UID }) {
			t.Errorf("%s is in the generated dictionary", n.UID)
		}
	}
}

// TestConstantsAreTheDictionarys holds the names of the constants in tag.go, uid_gen.go and uidlater.go against the
// keywords of what they stand for; those of tags may be cut short.
func TestConstantsAreTheDictionarys(t *testing.T) {
	checked := 0
	for name, value := range constants(t, "tag.go") {
		keyword, ok := strings.CutPrefix(name, "Tag")
		if !ok {
			continue
		}
		tag, err := strconv.ParseUint(value, 0, 32)
		if err != nil {
			t.Fatal(err)
		}
		checked++
		if a, ok := LookupAttribute(Tag(tag)); !ok || !strings.HasPrefix(a.Keyword, keyword) {
			t.Errorf("%s is %s", name, a.Keyword)
		}
	}
	for _, file := range []string{"uid_gen.go", "uidlater.go"} {
		for name, value := range constants(t, file) {
			uid, err := strconv.Unquote(value)
			if err != nil {
				t.Fatal(err)
			}
			checked++
			if n, ok := LookupUID(UID(uid)); !ok || n.Keyword != name {
				t.Errorf("%s is %q", name, n.Keyword)
			}
		}
	}
	if checked < 400 {
		t.Errorf("%d constants checked", checked)
	}
}

// constants are the constants of a source file of this package and their values as written.
func constants(t *testing.T, file string) map[string]string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	values := make(map[string]string)
	ast.Inspect(f, func(n ast.Node) bool {
		if s, ok := n.(*ast.ValueSpec); ok && len(s.Names) == 1 && len(s.Values) == 1 {
			if v, ok := s.Values[0].(*ast.BasicLit); ok {
				values[s.Names[0].Name] = v.Value
			}
		}
		return true
	})
	return values
}
