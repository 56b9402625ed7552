package web_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"cordon/dicom"
	"cordon/dicom/web"
)

var (
	allStudies   = web.Resource{Kind: web.KindStudies}
	seriesOf     = web.Resource{Kind: web.KindSeriesList, Study: "1.2"}
	instancesOf  = web.Resource{Kind: web.KindInstances, Study: "1.2", Series: "1.3"}
	allInstances = web.Resource{Kind: web.KindInstances}
)

// The examples of PS3.18 §8.3.4 and what clients send, and as they are sent on.
func TestQueries(t *testing.T) {
	for in, want := range map[string]string{
		"":                   "",
		"PatientID=11235813": "00100020=11235813",
		"00100010=SMITH*&00101002.00100020=11235813&limit=25":        "00100010=SMITH*&00101002.00100020=11235813&limit=25",
		"OtherPatientIDsSequence.PatientID=1&offset=3":               "00101002.00100020=1&offset=3",
		"PatientID=11235813&includefield=00081048,00081049,00081060": "00100020=11235813&includefield=00081048&includefield=00081049&includefield=00081060",
		"includefield=all&includefield=StudyDescription":             "includefield=00081030&includefield=all",
		"StudyDate=20130509-20130510":                                "00080020=20130509-20130510",
		"StudyInstanceUID=1.2,1.3":                                   "0020000D=1.2,1.3",
		"StudyInstanceUID=1.2%5C1.3":                                 "0020000D=1.2,1.3",
		"PatientName=Doe,+John":                                      "00100010=Doe,%20John",
		"PatientName=%E7%8E%8B^*&fuzzymatching=true":                 "00100010=%E7%8E%8B%5E*&fuzzymatching=true",
		"Modality=CT,MR&multiplevaluematching=true":                  "00080060=CT,MR&multiplevaluematching=true",
		`PatientBirthDate=""&emptyvaluematching=true`:                `00100030=%22%22&emptyvaluematching=true`,
		"00091002=x&accept=application/dicom%2Bjson&charset=utf-8":   "00091002=x",
		"0020000d=1.2": "0020000D=1.2",
	} {
		q, err := web.ParseQuery(allStudies, in)
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if got := q.RawQuery(); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func TestHostileQueries(t *testing.T) {
	for in, status := range map[string]int{
		"NoSuchKeyword=x":            400,
		"=x":                         400,
		"PatientID=1&PatientID=2":    400,
		"PatientID=1&00100020=2":     400,
		"limit=-1":                   400,
		"limit=x":                    400,
		"limit=99999999999999999999": 400,
		"offset=1&offset=2":          400,
		"fuzzymatching=1":            400,
		"PatientID=%":                400,
		"PatientID=%00":              400,
		"PatientID=%0d%0a":           400,
		"PatientID=%ff":              400,
		"PatientID=%c2%85":           400,
		"PatientID.StudyDate=x":      400,
		"00020010=1.2":               400,
		"00000100=1":                 400,
		"FFFEE000=1":                 400,
		"00100000=1":                 400,
		"00101002.=x":                400,
		strings.Repeat("00101002.", 9) + "00100020=1":      400,
		strings.Repeat("a", 9000):                          414,
		"includefield=" + strings.Repeat("00100020,", 900): 400,
		"includefield=x":                                   400,
		"_format=json":                                     400,
	} {
		q, err := web.ParseQuery(allStudies, in)
		var refusal *web.Refusal
		if !errors.As(err, &refusal) || refusal.Status != status {
			t.Errorf("%.60q: got %v, %v, want status %d", in, q, err, status)
		}
	}
	if _, err := web.ParseQuery(web.Resource{Kind: web.KindInstance}, ""); err == nil {
		t.Error("an instance was searched")
	}
}

// What a search asks of an archive that has only DIMSE.
func TestIdentifiersOfQueries(t *testing.T) {
	for _, c := range []struct {
		in    web.Resource
		query string
		want  map[dicom.Tag]string
	}{
		{allStudies, "PatientName=B%C3%BCc*", map[dicom.Tag]string{
			dicom.TagQueryRetrieveLevel: "STUDY", dicom.TagPatientName: "Büc*", dicom.TagSpecificCharacterSet: "ISO_IR 192", dicom.TagStudyInstanceUID: "", 0x00201208: "",
		}},
		{seriesOf, "Modality=CT", map[dicom.Tag]string{
			dicom.TagQueryRetrieveLevel: "SERIES", dicom.TagModality: "CT", dicom.TagStudyInstanceUID: "1.2", dicom.TagSeriesInstanceUID: "", 0x00201209: "",
		}},
		{instancesOf, "Rows=512&SOPInstanceUID=1.4,1.5", map[dicom.Tag]string{
			dicom.TagQueryRetrieveLevel: "IMAGE", dicom.TagRows: "512", dicom.TagStudyInstanceUID: "1.2", dicom.TagSeriesInstanceUID: "1.3", dicom.TagSOPInstanceUID: `1.4\1.5`,
		}},
		{allInstances, "", map[dicom.Tag]string{
			dicom.TagQueryRetrieveLevel: "IMAGE", dicom.TagStudyInstanceUID: "", dicom.TagSeriesInstanceUID: "", dicom.TagPatientID: "", dicom.TagModality: "",
		}},
	} {
		q, err := web.ParseQuery(c.in, c.query)
		if err != nil {
			t.Fatal(err)
		}
		d, err := q.Identifier()
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := d.Encode(&b, dicom.ExplicitVRLittleEndian); err != nil {
			t.Fatal(err)
		}
		if _, err := dicom.ReadElements(b.Bytes(), syntax(t, dicom.ExplicitVRLittleEndian), 100); err != nil {
			t.Fatal(err)
		}
		for tag, want := range c.want {
			if d.Find(tag) == nil || d.String(tag) != want {
				t.Errorf("%s: %v: got %q, want %q", c.query, tag, d.String(tag), want)
			}
		}
	}
	q, _ := web.ParseQuery(allStudies, "Rows=many")
	if _, err := q.Identifier(); err == nil {
		t.Error("a number that is none was encoded")
	}
}

func syntax(t testing.TB, u dicom.UID) dicom.TransferSyntax {
	t.Helper()
	ts, ok := dicom.LookupTransferSyntax(u)
	if !ok {
		t.Fatal(u)
	}
	return ts
}

// encode is a data set of JSON in a transfer syntax.
func encode(t testing.TB, ts dicom.UID, s string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := dataSet(t, s).Encode(&b, ts); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// What a C-FIND asks of an archive that has only DICOMweb, where, and how the answer goes back.
func TestSearchesOfIdentifiers(t *testing.T) {
	for name, c := range map[string]struct {
		identifier, path, query, match, answer string
	}{
		"studies of a patient": {
			`{"00080052":{"vr":"CS","Value":["STUDY"]},"00080020":{"vr":"DA","Value":["20200101-"]},"00100010":{"vr":"PN","Value":[{"Alphabetic":"Doe*"}]},` +
				`"00100020":{"vr":"LO","Value":["*"]},"0020000D":{"vr":"UI"},"00201208":{"vr":"IS"}}`,
			"/studies", "00080020=20200101-&00100010=Doe*&includefield=00100020&includefield=0020000D&includefield=00201208",
			`{"00080005":{"vr":"CS","Value":["ISO_IR 192"]},"00080020":{"vr":"DA","Value":["20200102"]},"00081190":{"vr":"UR","Value":["http://x/"]},` +
				`"00100010":{"vr":"PN","Value":[{"Alphabetic":"Doe^Jörg"}]},"0020000D":{"vr":"UI","Value":["1.2"]},"00201208":{"vr":"IS","Value":[7]}}`,
			`{"00080005":{"vr":"CS","Value":["ISO_IR 192"]},"00080020":{"vr":"DA","Value":["20200102"]},"00080052":{"vr":"CS","Value":["STUDY"]},"00080054":{"vr":"AE","Value":["CLOUD"]},` +
				`"00100010":{"vr":"PN","Value":[{"Alphabetic":"Doe^Jörg"}]},"00100020":{"vr":"LO"},"0020000D":{"vr":"UI","Value":["1.2"]},"00201208":{"vr":"IS","Value":[7]}}`,
		},
		"series of a study": {
			`{"00080052":{"vr":"CS","Value":["SERIES"]},"0020000D":{"vr":"UI","Value":["1.2"]},"0020000E":{"vr":"UI"},"00400275":{"vr":"SQ","Value":[{"00400009":{"vr":"SH"}}]}}`,
			"/studies/1.2/series", "includefield=0020000E&includefield=00400275.00400009",
			`{"0020000E":{"vr":"UI","Value":["1.3"]},"00400275":{"vr":"SQ","Value":[{"00400009":{"vr":"SH","Value":["S1"]},"00401001":{"vr":"SH","Value":["R1"]}}]}}`,
			`{"00080052":{"vr":"CS","Value":["SERIES"]},"00080054":{"vr":"AE","Value":["CLOUD"]},"0020000D":{"vr":"UI","Value":["1.2"]},"0020000E":{"vr":"UI","Value":["1.3"]},` +
				`"00400275":{"vr":"SQ","Value":[{"00400009":{"vr":"SH","Value":["S1"]}}]}}`,
		},
		"instances of several series": {
			`{"00080018":{"vr":"UI"},"00080052":{"vr":"CS","Value":["IMAGE"]},"0020000D":{"vr":"UI","Value":["1.2"]},"0020000E":{"vr":"UI","Value":["1.3","1.4"]}}`,
			"/studies/1.2/instances", "0020000E=1.3,1.4&includefield=00080018",
			`{}`,
			`{"00080018":{"vr":"UI"},"00080052":{"vr":"CS","Value":["IMAGE"]},"00080054":{"vr":"AE","Value":["CLOUD"]},"0020000D":{"vr":"UI","Value":["1.2"]},"0020000E":{"vr":"UI"}}`,
		},
	} {
		for _, ts := range []dicom.UID{dicom.ImplicitVRLittleEndian, dicom.ExplicitVRLittleEndian} {
			q, err := web.ParseIdentifier(encode(t, ts, c.identifier), ts, web.Limits{})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if q.Resource().Path() != c.path || q.RawQuery() != c.query {
				t.Errorf("%s: got %s?%s, want %s?%s", name, q.Resource().Path(), q.RawQuery(), c.path, c.query)
			}
			if got := string(dataSet(t, c.match).Identifier(q, "CLOUD").AppendJSON(nil)); got != c.answer {
				t.Errorf("%s:\ngot  %s\nwant %s", name, got, c.answer)
			}
		}
	}
	for name, identifier := range map[string]string{
		"no level":      `{"00100020":{"vr":"LO","Value":["1"]}}`,
		"another level": `{"00080052":{"vr":"CS","Value":["FRAME"]}}`,
	} {
		if _, err := web.ParseIdentifier(encode(t, dicom.ImplicitVRLittleEndian, identifier), dicom.ImplicitVRLittleEndian, web.Limits{}); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

// The character sets of PS3.5 annexes H to K, in an identifier that an archive answers.
func TestRowsAreUTF8(t *testing.T) {
	for _, c := range []struct{ set, name, want string }{
		{"", "Doe^John", "Doe^John"},
		{"ISO_IR 100", "Buc^J\xe9r\xf4me", "Buc^Jérôme"},
		{"ISO_IR 144", "\xbb\xee\xda\xe1\xd5\xdc\xd1\xe3\xe0\xd3", "Люксембург"},
		{`\ISO 2022 IR 87`, "Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B", "Yamada^Tarou=山田^太郎"},
		{"GB18030", "Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab", "Wang^XiaoDong=王^小东"},
		{"ISO_IR 192", "Wang^XiaoDong=\u738b^\u5c0f\u4e1c", "Wang^XiaoDong=王^小东"},
	} {
		for _, ts := range []dicom.UID{dicom.ImplicitVRLittleEndian, dicom.ExplicitVRBigEndian} {
			var b bytes.Buffer
			w := dicom.NewWriter(&b, syntax(t, ts))
			w.String(dicom.TagSpecificCharacterSet, dicom.CS, c.set)
			w.String(dicom.TagQueryRetrieveLevel, dicom.CS, "STUDY")
			w.String(dicom.TagRetrieveAETitle, dicom.AE, "ARCHIVE")
			w.String(dicom.TagPatientName, dicom.PN, c.name)
			w.String(dicom.TagStudyInstanceUID, dicom.UI, "1.2")
			w.Uint16(dicom.TagRows, 512)
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			d, err := web.Row(web.LevelStudy, b.Bytes(), ts, web.Limits{}, func(r web.Resource) string { return "http://us" + r.Path() })
			if err != nil {
				t.Fatal(err)
			}
			if got := d.String(dicom.TagPatientName); got != c.want {
				t.Errorf("%s: got %q, want %q", c.set, got, c.want)
			}
			if d.String(dicom.TagSpecificCharacterSet) != web.UTF8 || d.Find(dicom.TagQueryRetrieveLevel) != nil || d.Find(dicom.TagRetrieveAETitle) != nil ||
				d.String(0x00081190) != "http://us/studies/1.2" || d.Int(dicom.TagRows) != 512 {
				t.Errorf("got %s", d.AppendJSON(nil))
			}
		}
	}
}

func TestRowsOfGarbage(t *testing.T) {
	for name, p := range map[string][]byte{
		"cut off":        encode(t, dicom.ImplicitVRLittleEndian, exampleJSON)[:100],
		"noise":          noise()[:1000],
		"trailing bytes": append(encode(t, dicom.ImplicitVRLittleEndian, exampleJSON), 1, 2, 3),
	} {
		if d, err := web.Row(web.LevelStudy, p, dicom.ImplicitVRLittleEndian, web.Limits{}, nil); err == nil {
			t.Errorf("%s: read as %s", name, d.AppendJSON(nil))
		}
	}
	if _, err := web.ReadDataSet(nil, "1.2.3", web.Limits{}); err == nil {
		t.Error("an unknown transfer syntax was read")
	}
	long := encode(t, dicom.ImplicitVRLittleEndian, exampleJSON)
	for _, l := range []web.Limits{{Bytes: 50}, {Elements: 5}} {
		if _, err := web.ReadDataSet(long, dicom.ImplicitVRLittleEndian, l); err == nil {
			t.Errorf("%+v: no limit", l)
		}
	}
}

// FuzzQuery: what is accepted, sent on, is accepted and the same, and can be asked by DIMSE.
func FuzzQuery(f *testing.F) {
	f.Add("PatientName=%E7%8E%8B*&includefield=all&OtherPatientIDsSequence.PatientID=1&limit=3&offset=1")
	f.Add(`Rows=1&PatientBirthDate=""&emptyvaluematching=true&Modality=CT,MR&multiplevaluematching=true`)
	f.Fuzz(func(t *testing.T, s string) {
		q, err := web.ParseQuery(allStudies, s)
		if err != nil {
			return
		}
		raw := q.RawQuery()
		if len(raw) > 8<<10 { // escapes may make it longer
			return
		}
		again, err := web.ParseQuery(allStudies, raw)
		if err != nil || again.RawQuery() != raw {
			t.Errorf("%q: sent as %q, read as %q, %v", s, raw, again.RawQuery(), err)
		}
		d, err := q.Identifier()
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := d.Encode(&b, dicom.ExplicitVRLittleEndian); err != nil {
			t.Fatal(err)
		}
		if _, err := web.ParseIdentifier(b.Bytes(), dicom.ExplicitVRLittleEndian, web.Limits{}); err != nil {
			t.Errorf("%q: as an identifier: %v", s, err)
		}
	})
}

// FuzzDataSet: what is read of a data set in any encoding can be written, and reads the same.
func TestSpecificCharacterSetOfAnotherVR(t *testing.T) {
	for _, vr := range []string{"CQ", "LO", "UI"} {
		p := []byte("\b\x00\x05\x00" + vr + "\n\x00ISO_IR 100\x10\x00\x10\x00PN\x04\x00M\xfcl ")
		d, err := web.ReadDataSet(p, dicom.ExplicitVRLittleEndian, web.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := string(d.AppendJSON(nil)), `{"00080005":{"vr":"CS","Value":["ISO_IR 192"]},"00100010":{"vr":"PN","Value":[{"Alphabetic":"Mül"}]}}`; got != want {
			t.Errorf("%s: got %s, want %s", vr, got, want)
		}
	}
}

func FuzzDataSet(f *testing.F) {
	syntaxes := []dicom.UID{dicom.ImplicitVRLittleEndian, dicom.ExplicitVRLittleEndian, dicom.ExplicitVRBigEndian, dicom.DeflatedExplicitVRLittleEndian}
	for i := range 2 {
		f.Add(encode(f, syntaxes[i], exampleJSON), uint8(i))
	}
	f.Fuzz(func(t *testing.T, p []byte, i uint8) {
		d, err := web.ReadDataSet(p, syntaxes[int(i)%len(syntaxes)], web.Limits{Bytes: 1 << 16, Elements: 1000, Depth: 4})
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := d.Encode(&b, dicom.ExplicitVRLittleEndian); err != nil {
			t.Fatal(err)
		}
		again, err := web.ReadDataSet(b.Bytes(), dicom.ExplicitVRLittleEndian, web.Limits{Elements: 2000})
		if err != nil {
			t.Fatalf("%v: %s", err, d.AppendJSON(nil))
		}
		if got, want := again.AppendJSON(nil), d.AppendJSON(nil); !bytes.Equal(got, want) && d.Find(dicom.TagSpecificCharacterSet) != nil {
			t.Errorf("read again %s\nbefore     %s", got, want)
		}
	})
}
