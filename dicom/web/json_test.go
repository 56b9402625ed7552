package web_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"cordon/dicom"
	"cordon/dicom/web"
)

// exampleJSON is the example of PS3.18 §F.4, of one study.
const exampleJSON = `{
  "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]},
  "00080020": {"vr": "DA", "Value": ["20130409"]},
  "00080030": {"vr": "TM", "Value": ["131600.0000"]},
  "00080050": {"vr": "SH", "Value": ["11235813"]},
  "00080056": {"vr": "CS", "Value": ["ONLINE"]},
  "00080061": {"vr": "CS", "Value": ["CT", "PET"]},
  "00080090": {"vr": "PN", "Value": [{"Alphabetic": "^Bob^^Dr."}]},
  "00081190": {"vr": "UR", "Value": ["http://wado.nema.org/studies/1.2.392.200036.9116.2.2.2.1762893313.1029997326.945873"]},
  "00090010": {"vr": "LO", "Value": ["Vendor A"]},
  "00091002": {"vr": "UN", "InlineBinary": "z0x9c8v7"},
  "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Wang^XiaoDong", "Ideographic": "王^小東"}]},
  "00100020": {"vr": "LO", "Value": ["12345"]},
  "00100030": {"vr": "DA", "Value": ["19670701"]},
  "00100040": {"vr": "CS", "Value": ["M"]},
  "00101002": {"vr": "SQ", "Value": [
    {"00100020": {"vr": "LO", "Value": ["54321"]}, "00100021": {"vr": "LO", "Value": ["Hospital B"]}},
    {"00100020": {"vr": "LO", "Value": ["24680"]}, "00100021": {"vr": "LO", "Value": ["Hospital C"]}}
  ]},
  "0020000D": {"vr": "UI", "Value": ["1.2.392.200036.9116.2.2.2.1762893313.1029997326.945873"]},
  "00200010": {"vr": "SH", "Value": ["11235813"]},
  "00201206": {"vr": "IS", "Value": [4]},
  "00201208": {"vr": "IS", "Value": [942]}
}`

func compact(t *testing.T, s string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(s)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestExampleOfTheJSONModel(t *testing.T) {
	d := dataSet(t, exampleJSON)
	if got, want := string(d.AppendJSON(nil)), compact(t, exampleJSON); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for tag, want := range map[dicom.Tag]string{
		dicom.TagPatientName: "Wang^XiaoDong=王^小東", 0x00080061: `CT\PET`, 0x00201208: "942", 0x00091002: "",
	} {
		if got := d.String(tag); got != want {
			t.Errorf("%v: got %q, want %q", tag, got, want)
		}
	}
	if d.Int(0x00201208) != 942 || len(d.Items(0x00101002)) != 2 {
		t.Errorf("got %d, %d items", d.Int(0x00201208), len(d.Items(0x00101002)))
	}
}

// One attribute of each kind, as it is read and as it is written.
func TestJSONValues(t *testing.T) {
	for in, want := range map[string]string{
		`"00280010":{"vr":"US","Value":[512]}`:                                                                 "",
		`"00280010":{"vr":"US","Value":["512"]}`:                                                               `"00280010":{"vr":"US","Value":[512]}`,
		`"00189219":{"vr":"SS","Value":[-3,4]}`:                                                                "",
		`"00280009":{"vr":"AT","Value":["00181063"]}`:                                                          "",
		`"00181063":{"vr":"DS","Value":[33.30,"+1.5","007",1e3]}`:                                              `"00181063":{"vr":"DS","Value":[33.30,1.5,7,1e3]}`,
		`"00181063":{"vr":"DS","Value":[".5","5.","-.5e3","+","-","+-1","1,5","0","-0","000",".","1x","1 2"]}`: `"00181063":{"vr":"DS","Value":[0.5,5,-0.5e3,"+","-","+-1","1,5",0,-0,0,".","1x","1 2"]}`,
		`"00201208":{"vr":"IS","Value":["12",null,-3]}`:                                                        `"00201208":{"vr":"IS","Value":[12,null,-3]}`,
		`"00189302":{"vr":"FD","Value":[0.1,"NaN","Infinity","-Infinity"]}`:                                    "",
		`"00720074":{"vr":"FD","Value":["inf",-0.0]}`:                                                          `"00720074":{"vr":"FD","Value":["Infinity",-0]}`,
		`"00720076":{"vr":"FL","Value":[0.1]}`:                                                                 "",
		`"00720082":{"vr":"SV","Value":[-9007199254740992,"-9223372036854775808"]}`:                            "",
		`"00720083":{"vr":"UV","Value":["18446744073709551615",1]}`:                                            "",
		`"00080005":{"vr":"CS"}`:                                                                               "",
		`"00080005":{"vr":"CS","Value":[]}`:                                                                    `"00080005":{"vr":"CS"}`,
		`"00080060":{"vr":"CS","Value":[""]}`:                                                                  `"00080060":{"vr":"CS"}`,
		`"00080008":{"vr":"CS","Value":["ORIGINAL",null,"AXIAL"]}`:                                             "",
		`"00100010":{"vr":"PN","Value":[{"Phonetic":"x"},{}]}`:                                                 `"00100010":{"vr":"PN","Value":[{"Phonetic":"x"},null]}`,
		`"00100010":{"vr":"PN","Value":["Doe^J=x"]}`:                                                           `"00100010":{"vr":"PN","Value":[{"Alphabetic":"Doe^J","Ideographic":"x"}]}`,
		`"00081199":{"vr":"SQ","Value":[{},{}]}`:                                                               "",
		`"00081199":{"vr":"SQ"}`:                                                                               "",
		`"00324000":{"vr":"LT","Value":["a\\b\r\nc"]}`:                                                         "",
		`"7FE00010":{"vr":"OW","BulkDataURI":"http://x/y"}`:                                                    "",
		`"7FE00010":{"vr":"OW","InlineBinary":"AAE="}`:                                                         "",
		`"7FE00010":{"BulkDataURI":"x","vr":"OB"}`:                                                             `"7FE00010":{"vr":"OB","BulkDataURI":"x"}`,
		`"00280010":{"Value":[512],"vr":"US"}`:                                                                 `"00280010":{"vr":"US","Value":[512]}`,
		`"00100020":{"vr":"LO","Value":["1"]},"00080060":{"vr":"CS","Value":["CT"]}`:                           `"00080060":{"vr":"CS","Value":["CT"]},"00100020":{"vr":"LO","Value":["1"]}`,
		`"00020010":{"vr":"UI","Value":["1.2"]},"00080000":{"vr":"UL","Value":[1]}`:                            ``,
	} {
		if want == "" && !strings.Contains(in, "00020010") {
			want = in
		}
		got := string(dataSet(t, "{"+in+"}").AppendJSON(nil))
		if got != "{"+want+"}" {
			t.Errorf("%s:\ngot  %s\nwant {%s}", in, got, want)
		}
	}
}

func TestHostileJSON(t *testing.T) {
	deep := func(n int) string {
		return strings.Repeat(`{"00081199":{"vr":"SQ","Value":[`, n) + "{}" + strings.Repeat("]}}", n)
	}
	small := web.Limits{Bytes: 1 << 20, Elements: 100, Depth: 8, DataSets: 10}
	for name, in := range map[string]string{
		"no JSON":                  `<html>`,
		"a string":                 `"x"`,
		"null":                     `null`,
		"cut off":                  exampleJSON[:500],
		"something after":          `{} {}`,
		"an array of strings":      `["x"]`,
		"a null item":              `{"00081199":{"vr":"SQ","Value":[null]}}`,
		"deep":                     deep(9),
		"very deep":                deep(10_000),
		"deep arrays":              strings.Repeat("[", 100_000),
		"deep in a value":          `{"00080060":{"vr":"CS","Value":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}}`,
		"many data sets":           "[" + strings.Repeat("{},", 10) + "{}]",
		"many items":               `{"00081199":{"vr":"SQ","Value":[` + strings.Repeat("{},", 100) + `{}]}}`,
		"long":                     `{"00080060":{"vr":"LT","Value":["` + strings.Repeat("x", 1<<20) + `"]}}`,
		"a keyword":                `{"PatientID":{"vr":"LO"}}`,
		"a short tag":              `{"0010020":{"vr":"LO"}}`,
		"a tag twice":              `{"00100020":{"vr":"LO"},"00100020":{"vr":"LO"}}`,
		"a tag twice in cases":     `{"0020000d":{"vr":"UI"},"0020000D":{"vr":"UI"}}`,
		"no vr":                    `{"00100020":{}}`,
		"no vr, a value":           `{"00100020":{"Value":["x"]}}`,
		"vr twice":                 `{"00100020":{"vr":"LO","vr":"SH"}}`,
		"an unknown vr":            `{"00100020":{"vr":"ZZ"}}`,
		"a vr that is no string":   `{"00100020":{"vr":3}}`,
		"a late vr that differs":   `{"00100020":{"Value":["x"],"vr":"US"}}`,
		"value and bulk data":      `{"7FE00010":{"vr":"OB","InlineBinary":"AA==","BulkDataURI":"x"}}`,
		"an unknown member":        `{"00100020":{"vr":"LO","value":["x"]}}`,
		"a value that is no array": `{"00100020":{"vr":"LO","Value":"x"}}`,
		"true":                     `{"00100020":{"vr":"LO","Value":[true]}}`,
		"an object as a text":      `{"00100020":{"vr":"LO","Value":[{}]}}`,
		"a backslash in a value":   `{"00100020":{"vr":"LO","Value":["a\\b"]}}`,
		"two texts":                `{"00324000":{"vr":"LT","Value":["a","b"]}}`,
		"a number too large":       `{"00280010":{"vr":"US","Value":[65536]}}`,
		"a fraction":               `{"00280010":{"vr":"US","Value":[1.5]}}`,
		"inline text":              `{"00100020":{"vr":"LO","InlineBinary":"AA=="}}`,
		"no base64":                `{"7FE00010":{"vr":"OB","InlineBinary":"!"}}`,
		"a bulk value":             `{"7FE00010":{"vr":"OB","Value":[1]}}`,
		"a delimiter in a name":    `{"00100010":{"vr":"PN","Value":[{"Alphabetic":"a=b"}]}}`,
		"an unknown name group":    `{"00100010":{"vr":"PN","Value":[{"Secret":"a"}]}}`,
		"an empty bulk data URI":   `{"7FE00010":{"vr":"OB","BulkDataURI":""}}`,
		"a line break in a URI":    `{"7FE00010":{"vr":"OB","BulkDataURI":"a\nb"}}`,
	} {
		err := web.ReadJSON(strings.NewReader(in), small, func(web.DataSet) error { return nil })
		var format *web.FormatError
		if !errors.As(err, &format) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestJSONPassesEachDataSetAsItComes(t *testing.T) {
	pr, pw := io.Pipe()
	seen := make(chan string)
	go func() {
		defer close(seen)
		err := web.ReadJSON(pr, web.Limits{}, func(d web.DataSet) error {
			seen <- d.String(dicom.TagPatientID)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}()
	fmt.Fprint(pw, `[{"00100020":{"vr":"LO","Value":["1"]}},`)
	if got := <-seen; got != "1" {
		t.Errorf("got %q", got)
	}
	fmt.Fprint(pw, `{"00100020":{"vr":"LO","Value":["2"]}}]`)
	pw.Close()
	if got := <-seen; got != "2" {
		t.Errorf("got %q", got)
	}
	<-seen
}

func TestJSONReturnsTheErrorOfItsCaller(t *testing.T) {
	mine := errors.New("enough")
	err := web.ReadJSON(strings.NewReader("[{},{}]"), web.Limits{}, func(web.DataSet) error { return mine })
	if err != mine {
		t.Errorf("got %v", err)
	}
	if err := web.ReadJSON(strings.NewReader(""), web.Limits{}, nil); err != nil {
		t.Errorf("an empty body: %v", err)
	}
}

func TestJSONWriterWritesAnArray(t *testing.T) {
	var b bytes.Buffer
	w := web.NewJSONWriter(&b)
	w.Close()
	w = web.NewJSONWriter(&b)
	w.Write(dataSet(t, `{"00100020":{"vr":"LO","Value":["1"]}}`))
	w.Write(nil)
	w.Close()
	if got, want := b.String(), `[][{"00100020":{"vr":"LO","Value":["1"]}},{}]`; got != want {
		t.Errorf("got %s", got)
	}
}

// FuzzJSON: what is accepted is written as valid JSON, which reads the same, and survives XML and PS3.5.
func FuzzJSON(f *testing.F) {
	f.Add([]byte(exampleJSON))
	f.Add([]byte(`[{"00100010":{"vr":"PN","Value":[{"Alphabetic":"a^b","Phonetic":"c"},null]},"00189302":{"vr":"FD","Value":[1e300,"NaN"]}}]`))
	f.Add([]byte(`{"00081199":{"vr":"SQ","Value":[{"00081150":{"vr":"UI","Value":["1.2"]}},{}]},"7FE00010":{"vr":"OW","InlineBinary":"AAE="}}`))
	f.Fuzz(func(t *testing.T, p []byte) {
		limits := web.Limits{Bytes: 1 << 16, Depth: 4, Elements: 1000}
		err := web.ReadJSON(bytes.NewReader(p), limits, func(d web.DataSet) error {
			checkAgain(t, d)
			return nil
		})
		var format *web.FormatError
		if err != nil && !errors.As(err, &format) {
			t.Errorf("got %v", err)
		}
	})
}

// checkAgain holds what is read of d, written as JSON and as XML, against d.
func checkAgain(t *testing.T, d web.DataSet) {
	t.Helper()
	written := d.AppendJSON(nil)
	if !json.Valid(written) {
		t.Fatalf("not JSON: %s", written)
	}
	again := dataSet(t, string(written)).AppendJSON(nil)
	if !bytes.Equal(again, written) {
		t.Fatalf("read again %s\nbefore     %s", again, written)
	}
	var b bytes.Buffer
	if err := d.WriteXML(&b); err != nil {
		t.Fatal(err)
	}
	if _, err := web.ReadXML(&b, web.Limits{}); err != nil {
		t.Fatalf("as XML: %v\n%s", err, written)
	}
}

func TestNameWithMoreThanThereIs(t *testing.T) {
	d := web.DataSet{{Tag: dicom.TagPatientName, VR: dicom.PN, Value: []byte("A^B^C^D^E^F^G=I==P=Q\\=J=====")}}
	if got, want := string(d.AppendJSON(nil)), `{"00100010":{"vr":"PN","Value":[{"Alphabetic":"A^B^C^D^E^F^G","Ideographic":"I"},{"Ideographic":"J"}]}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	checkAgain(t, d)
}

func BenchmarkJSON(b *testing.B) {
	body := "[" + strings.Repeat(exampleJSON+",", 999) + exampleJSON + "]"
	var d web.DataSet
	b.Run("read", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			if err := web.ReadJSON(strings.NewReader(body), web.Limits{}, func(x web.DataSet) error { d = x; return nil }); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("write", func(b *testing.B) {
		buffer := d.AppendJSON(nil)
		b.SetBytes(int64(len(buffer)))
		for b.Loop() {
			buffer = d.AppendJSON(buffer[:0])
		}
	})
}
