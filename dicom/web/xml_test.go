package web_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"cordon/dicom"
	"cordon/dicom/web"
)

// exampleXML has one of each kind of value of PS3.19 table A.1.5-2.
const exampleXML = `<?xml version="1.0" encoding="UTF-8" xml:space="preserve" ?>
<NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM">
  <!-- a comment -->
  <DicomAttribute tag="00080020" vr="DA" keyword="StudyDate"><Value number="1">20130409</Value></DicomAttribute>
  <DicomAttribute tag="00080061" vr="CS" keyword="ModalitiesInStudy"><Value number="1">CT</Value><Value number="2">PET</Value></DicomAttribute>
  <DicomAttribute tag="00090010" vr="LO"><Value number="1">Vendor &lt;A&gt;</Value></DicomAttribute>
  <DicomAttribute tag="00091002" vr="UN" privateCreator="Vendor &lt;A&gt;"><InlineBinary>z0x9
    c8v7</InlineBinary></DicomAttribute>
  <DicomAttribute tag="00100010" vr="PN" keyword="PatientName">
    <PersonName number="1">
      <Alphabetic><FamilyName>Wang</FamilyName><GivenName>XiaoDong</GivenName></Alphabetic>
      <Ideographic><FamilyName>王</FamilyName><NameSuffix>小東</NameSuffix></Ideographic>
    </PersonName>
  </DicomAttribute>
  <DicomAttribute tag="00101002" vr="SQ" keyword="OtherPatientIDsSequence">
    <Item number="1"><DicomAttribute tag="00100020" vr="LO" keyword="PatientID"><Value number="1">54321</Value></DicomAttribute></Item>
    <Item number="2"/>
  </DicomAttribute>
  <DicomAttribute tag="00280010" vr="US" keyword="Rows"><Value number="1">512</Value></DicomAttribute>
  <DicomAttribute tag="7FE00010" vr="OW" keyword="PixelData"><BulkData uri="http://x/studies/1.2?a&amp;b"/></DicomAttribute>
</NativeDicomModel>
`

const exampleXMLAsJSON = `{"00080020":{"vr":"DA","Value":["20130409"]},"00080061":{"vr":"CS","Value":["CT","PET"]},` +
	`"00090010":{"vr":"LO","Value":["Vendor \u003cA\u003e"]},"00091002":{"vr":"UN","InlineBinary":"z0x9c8v7"},` +
	`"00100010":{"vr":"PN","Value":[{"Alphabetic":"Wang^XiaoDong","Ideographic":"王^^^^小東"}]},` +
	`"00101002":{"vr":"SQ","Value":[{"00100020":{"vr":"LO","Value":["54321"]}},{}]},"00280010":{"vr":"US","Value":[512]},` +
	`"7FE00010":{"vr":"OW","BulkDataURI":"http://x/studies/1.2?a\u0026b"}}`

func TestExampleOfTheNativeModel(t *testing.T) {
	d, err := web.ReadXML(strings.NewReader(exampleXML), web.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(d.AppendJSON(nil)); got != exampleXMLAsJSON {
		t.Errorf("got  %s\nwant %s", got, exampleXMLAsJSON)
	}
	var b bytes.Buffer
	d.WriteXML(&b)
	again, err := web.ReadXML(&b, web.Limits{})
	if got := string(again.AppendJSON(nil)); err != nil || got != exampleXMLAsJSON {
		t.Errorf("again: got %s, %v", got, err)
	}
	for _, want := range []string{`tag="00100010" vr="PN" keyword="PatientName"`, `privateCreator="Vendor &lt;A&gt;"`, `<NameSuffix>小東</NameSuffix>`} {
		d.WriteXML(&b)
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %s in %s", want, b.String())
		}
	}
}

// Private elements are named by creator and without block, or with it.
func TestPrivateElementsOfTheNativeModel(t *testing.T) {
	private := func(tag, creator, value string) string {
		return `<DicomAttribute tag="` + tag + `" vr="LO" privateCreator="` + creator + `"><Value number="1">` + value + `</Value></DicomAttribute>`
	}
	const a = `<DicomAttribute tag="00090011" vr="LO"><Value number="1">A</Value></DicomAttribute>`
	for in, want := range map[string]string{
		a + private("00090002", "A", "x"): `{"00090011":{"vr":"LO","Value":["A"]},"00091102":{"vr":"LO","Value":["x"]}}`,
		private("00090011", "A", "x") + a: `{"00090011":{"vr":"LO","Value":["A"]},"00091111":{"vr":"LO","Value":["x"]}}`,
		a + private("00091102", "A", "x"): `{"00090011":{"vr":"LO","Value":["A"]},"00091102":{"vr":"LO","Value":["x"]}}`,
		private("00090002", "B", "x") + a: `{"00090010":{"vr":"LO","Value":["B"]},"00090011":{"vr":"LO","Value":["A"]},"00091002":{"vr":"LO","Value":["x"]}}`,
	} {
		d, err := web.ReadXML(strings.NewReader("<NativeDicomModel>"+in+"</NativeDicomModel>"), web.Limits{})
		if got := string(d.AppendJSON(nil)); err != nil || got != want {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
		var b bytes.Buffer
		d.WriteXML(&b)
		again, err := web.ReadXML(&b, web.Limits{})
		if got := string(again.AppendJSON(nil)); err != nil || got != want {
			t.Errorf("again: got %s, %v, want %s", got, err, want)
		}
	}
	creators := ""
	for n := range 241 {
		creators += private("00090001", fmt.Sprint("creator ", n), "x")
	}
	if _, err := web.ReadXML(strings.NewReader("<NativeDicomModel>"+creators+"</NativeDicomModel>"), web.Limits{}); err == nil {
		t.Error("more creators than blocks")
	}
}

func TestHostileXML(t *testing.T) {
	model := func(s string) string { return "<NativeDicomModel>" + s + "</NativeDicomModel>" }
	attr := func(vr, s string) string {
		return model(`<DicomAttribute tag="00100020" vr="` + vr + `">` + s + `</DicomAttribute>`)
	}
	deep := strings.Repeat(`<DicomAttribute tag="00081199" vr="SQ"><Item number="1">`, 10_000)
	bomb := `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;">]>`
	small := web.Limits{Bytes: 1 << 20, Elements: 100, Depth: 8}
	for name, in := range map[string]string{
		"nothing":                   "",
		"JSON":                      "{}",
		"HTML":                      "<html></html>",
		"another namespace":         `<NativeDicomModel xmlns="http://example.com/"></NativeDicomModel>`,
		"cut off":                   exampleXML[:700],
		"two roots":                 model("") + model(""),
		"text after":                model("") + "x",
		"text between":              model("x"),
		"entities":                  bomb + attr("LO", `<Value number="1">&c;</Value>`),
		"an entity without DTD":     attr("LO", `<Value number="1">&c;</Value>`),
		"an external entity":        `<!DOCTYPE x SYSTEM "file:///etc/passwd">` + model(""),
		"deep":                      model(deep),
		"deep elements":             strings.Repeat("<a>", 100_000),
		"many attributes":           model(strings.Repeat(`<DicomAttribute tag="00100020" vr="LO"/>`, 101)),
		"many items":                model(`<DicomAttribute tag="00081199" vr="SQ">` + strings.Repeat("<Item/>", 101) + `</DicomAttribute>`),
		"long":                      attr("LO", "<Value>"+strings.Repeat("x", 1<<20)+"</Value>"),
		"another encoding":          `<?xml version="1.0" encoding="UTF-7"?>` + model(""),
		"no tag":                    model(`<DicomAttribute vr="LO"/>`),
		"no vr":                     model(`<DicomAttribute tag="00100020"/>`),
		"a tag twice":               model(strings.Repeat(`<DicomAttribute tag="00100020" vr="LO"/>`, 2)),
		"another element":           model(`<script/>`),
		"another kind of value":     attr("LO", "<Script/>"),
		"two kinds of value":        attr("LO", "<Value>x</Value><InlineBinary/>"),
		"values out of order":       attr("LO", `<Value number="2">x</Value>`),
		"a value with an element":   attr("LO", `<Value><b/></Value>`),
		"a value of a sequence":     attr("SQ", `<Value>x</Value>`),
		"an item of a text":         attr("LO", `<Item/>`),
		"inline text":               attr("LO", `<InlineBinary>AA==</InlineBinary>`),
		"a name as a text":          attr("PN", `<Value>x</Value>`),
		"a text as a name":          attr("LO", `<PersonName/>`),
		"no base64":                 attr("OB", `<InlineBinary>!</InlineBinary>`),
		"no number":                 attr("US", `<Value>x</Value>`),
		"two bulk data":             attr("OB", `<BulkData uri="a"/><BulkData uri="b"/>`),
		"bulk data without address": attr("OB", `<BulkData/>`),
		"a delimiter in a name":     attr("PN", `<PersonName><Alphabetic><FamilyName>a^b</FamilyName></Alphabetic></PersonName>`),
		"a backslash":               attr("LO", `<Value>a\b</Value>`),
	} {
		d, err := web.ReadXML(strings.NewReader(in), small)
		var format *web.FormatError
		if !errors.As(err, &format) {
			t.Errorf("%s: got %v, %v", name, d, err)
		}
	}
}

// FuzzXML: what is accepted reads the same when it is written.
func FuzzXML(f *testing.F) {
	f.Add([]byte(exampleXML))
	f.Add([]byte(`<NativeDicomModel><DicomAttribute tag="00280009" vr="AT"><Value number="1">00181063</Value></DicomAttribute></NativeDicomModel>`))
	f.Fuzz(func(t *testing.T, p []byte) {
		d, err := web.ReadXML(bytes.NewReader(p), web.Limits{Bytes: 1 << 16, Depth: 4, Elements: 1000})
		if err != nil {
			return
		}
		checkAgain(t, d)
		var b bytes.Buffer
		d.WriteXML(&b)
		again, err := web.ReadXML(&b, web.Limits{})
		if err != nil || !bytes.Equal(again.AppendJSON(nil), d.AppendJSON(nil)) {
			t.Errorf("read again %s, %v\nbefore     %s", again.AppendJSON(nil), err, d.AppendJSON(nil))
		}
		if d.Find(dicom.TagTransferSyntaxUID) != nil {
			t.Error("an element of the file meta information was read")
		}
	})
}
