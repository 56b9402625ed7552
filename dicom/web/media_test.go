package web_test

import (
	"strings"
	"testing"

	"cordon/dicom"
	"cordon/dicom/web"
)

func TestMediaTypes(t *testing.T) {
	for in, want := range map[string]string{
		"application/dicom":                         `application/dicom`,
		" Application/DICOM ;":                      `application/dicom`,
		`multipart/related; type=application/dicom`: `multipart/related; type="application/dicom"`,
		`multipart/related;type="application/dicom";transfer-syntax=*;q=0.5`: `multipart/related; transfer-syntax="*"; type="application/dicom"; q=0.5`,
		`a/b; x="q\"\\q"`: `a/b; x="q\"\\q"`,
		`a/b; q=1.000`:    `a/b`,
	} {
		m, err := web.ParseMediaType(in)
		if err != nil || m.String() != want {
			t.Errorf("%q: got %q, %v, want %q", in, m.String(), err, want)
		}
	}
	for _, in := range []string{
		"", "a", "a/", "/b", "a/b/c", "a/b c", "a/b;x", "a/b;x=", "a/b;=y", `a/b;x="y`, "a/b;x=y;X=z", "a/b;q=2", "a/b;q=0.0001", "a/b;q=NaN", "a/b;q=1e0",
		"a/b, c/d", `a/b;x="y"z`, "a/b;x=\"\x00\"", "a/b" + strings.Repeat(" ", 5000), "ä/b",
	} {
		if m, err := web.ParseMediaType(in); err == nil {
			t.Errorf("%.40q: accepted as %v", in, m)
		}
	}
}

// What clients send (PS3.18 §8.7.5), and which of the offers they get.
func TestAccept(t *testing.T) {
	ct := web.Related(web.TypeDICOM, dicom.ExplicitVRLittleEndian)
	json, xml := web.Single(web.TypeJSON), web.Single(web.TypeXML)
	frame := web.Related(web.TypeOctetStream, dicom.ExplicitVRLittleEndian)
	jpeg := web.Related("image/jpeg", dicom.JPEGBaseline8Bit)
	for name, c := range map[string]struct {
		accept []string
		param  string
		offers []web.MediaType
		want   string // none: 406
	}{
		"nothing said":             {nil, "", []web.MediaType{json, xml}, web.TypeJSON},
		"anything":                 {[]string{"*/*"}, "", []web.MediaType{json, xml}, web.TypeJSON},
		"XML rather":               {[]string{"application/dicom+json;q=0.5, application/dicom+xml"}, "", []web.MediaType{json, xml}, web.TypeXML},
		"two headers":              {[]string{"text/html", "application/dicom+xml"}, "", []web.MediaType{json, xml}, web.TypeXML},
		"plain JSON":               {[]string{"application/json"}, "", []web.MediaType{json, xml}, web.TypeJSON},
		"not JSON":                 {[]string{"application/dicom+json;q=0, */*;q=0.1"}, "", []web.MediaType{json, xml}, web.TypeXML},
		"only text":                {[]string{"text/plain"}, "", []web.MediaType{json, xml}, ""},
		"the parameter goes first": {[]string{"application/dicom+json;q=0.9"}, "application/dicom+xml", []web.MediaType{json, xml}, web.TypeXML},
		"OHIF, frames":             {[]string{`multipart/related; type=application/octet-stream; transfer-syntax=*`}, "", []web.MediaType{frame}, web.TypeRelated},
		"any transfer syntax":      {[]string{`multipart/related; type="application/dicom"; transfer-syntax=*`}, "", []web.MediaType{ct}, web.TypeRelated},
		"no transfer syntax":       {[]string{`multipart/related; type="application/dicom"`}, "", []web.MediaType{ct}, web.TypeRelated},
		"another transfer syntax":  {[]string{`multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.50`}, "", []web.MediaType{ct}, ""},
		"any image":                {[]string{`multipart/related; type="image/*"`}, "", []web.MediaType{frame, jpeg}, web.TypeRelated},
		"images, but it is octets": {[]string{`multipart/related; type="image/jpeg"`}, "", []web.MediaType{frame}, ""},
		"any multipart":            {[]string{`multipart/*`}, "", []web.MediaType{ct}, web.TypeRelated},
		"multipart without a type": {[]string{`multipart/related`}, "", []web.MediaType{ct}, web.TypeRelated},
	} {
		a, err := web.ParseAccept(c.accept, c.param)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		best, ok := a.Best(c.offers...)
		if ok != (c.want != "") || best.Type != c.want {
			t.Errorf("%s: got %v, %v, want %q", name, best, ok, c.want)
		}
	}
	for _, in := range []string{"a", strings.Repeat("a/b,", 100), "a/b;q=x", strings.Repeat("x", 5000) + "/y"} {
		if a, err := web.ParseAccept([]string{in}, ""); err == nil {
			t.Errorf("%.40q: accepted as %v", in, a)
		}
	}
}

// FuzzMediaType: what is accepted is bounded, and reads the same when it is written.
func FuzzMediaType(f *testing.F) {
	f.Add(`multipart/related; type="application/dicom"; transfer-syntax=*; q=0.123, */*`)
	f.Add(`a/b;;; x="\\";y=/:`)
	f.Fuzz(func(t *testing.T, s string) {
		a, err := web.ParseAccept([]string{s}, "")
		if err != nil {
			return
		}
		again, err := web.ParseAccept([]string{a.String()}, "")
		if err != nil || again.String() != a.String() {
			t.Errorf("%q: written as %q, read as %q, %v", s, a.String(), again.String(), err)
		}
		a.Best(web.Single(web.TypeJSON), web.Related(web.TypeDICOM, "1.2"))
	})
}
