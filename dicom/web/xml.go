package web

import (
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"cordon/dicom"
)

// nativeModel is the namespace of the Native DICOM Model (PS3.19 §A.1).
const nativeModel = "http://dicom.nema.org/PS3.19/models/NativeDICOM"

// ReadXML reads a data set in the Native DICOM Model (PS3.19 §A.1). There are no entities
// but the five that XML itself has, and no document type. The error is a *[FormatError].
func ReadXML(r io.Reader, l Limits) (DataSet, error) {
	l = l.withDefaults()
	in := &io.LimitedReader{R: r, N: l.Bytes + 1}
	x := &xmlReader{xml: xml.NewDecoder(in), limits: l}
	d, err := x.document()
	switch {
	case err == nil:
		return d, nil
	case in.N == 0:
		return nil, &FormatError{"DICOM XML", fmt.Errorf("more than %d bytes", l.Bytes)}
	}
	var syntax *xml.SyntaxError
	if errors.As(err, &syntax) { // its text quotes the document
		err = fmt.Errorf("no XML in line %d", syntax.Line)
	}
	return nil, &FormatError{"DICOM XML", err}
}

type xmlReader struct {
	xml      *xml.Decoder
	limits   Limits
	elements int
	depth    int
}

func (x *xmlReader) document() (DataSet, error) {
	root, err := x.child()
	if err != nil {
		return nil, err
	}
	if root == nil || root.Name.Local != "NativeDicomModel" || root.Name.Space != "" && root.Name.Space != nativeModel {
		return nil, errors.New("the root is not NativeDicomModel (PS3.19 §A.1)")
	}
	d, err := x.dataSet()
	if err != nil {
		return nil, err
	}
	if more, err := x.child(); err != io.EOF || more != nil {
		return nil, errors.New("something follows the data set")
	}
	return d, nil
}

// child is the next element inside the one that is open, or nil at its end. Text
// between elements has to be white space.
func (x *xmlReader) child() (*xml.StartElement, error) {
	for {
		t, err := x.xml.Token()
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			t = t.Copy()
			return &t, nil
		case xml.EndElement:
			return nil, nil
		case xml.CharData:
			if strings.TrimSpace(string(t)) != "" {
				return nil, errors.New("text between elements")
			}
		case xml.Directive:
			return nil, errors.New("a document type, which is not allowed")
		}
	}
}

// text is what the open element holds, to its end.
func (x *xmlReader) text() (string, error) {
	var b strings.Builder
	for {
		t, err := x.xml.Token()
		if err != nil {
			return "", err
		}
		switch t := t.(type) {
		case xml.CharData:
			b.Write(t)
		case xml.EndElement:
			return b.String(), nil
		case xml.Comment:
		default:
			return "", errors.New("an element inside a value")
		}
	}
}

// children calls each for every element inside the open one.
func (x *xmlReader) children(each func(*xml.StartElement) error) error {
	for {
		e, err := x.child()
		if err != nil || e == nil {
			return err
		}
		if err := each(e); err != nil {
			return err
		}
	}
}

func attribute(e *xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name && a.Name.Space == "" {
			return a.Value
		}
	}
	return ""
}

func (x *xmlReader) dataSet() (DataSet, error) {
	var d DataSet
	var blockless []private
	err := x.children(func(s *xml.StartElement) error {
		if s.Name.Local != "DicomAttribute" {
			return errors.New("something else than DicomAttribute in a data set")
		}
		if x.elements++; x.elements > x.limits.Elements {
			return fmt.Errorf("more than %d attributes", x.limits.Elements)
		}
		t, err := parseTag(attribute(s, "tag"))
		if err != nil {
			return err
		}
		vr, known := parseVR(attribute(s, "vr"))
		if !known {
			return fmt.Errorf("%v: a vr that PS3.5 does not know", t)
		}
		e := Element{Tag: t, VR: vr}
		if err := x.attribute(&e); err != nil {
			return fmt.Errorf("%v: %w", t, err)
		}
		creator := attribute(s, "privateCreator")
		switch {
		case t.IsPrivate() && creator != "" && t.Element() <= lastBlock:
			blockless = append(blockless, private{creator, e})
		case t.Group() != dicom.TagTransferSyntaxUID.Group() && !t.IsGroupLength():
			d = append(d, e)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	d, err = d.addPrivate(blockless)
	return d.sorted(err)
}

// attribute reads the values of one DicomAttribute (PS3.19 table A.1.5-2).
func (x *xmlReader) attribute(e *Element) error {
	var values []string
	kind := ""
	err := x.children(func(s *xml.StartElement) (err error) {
		name := s.Name.Local
		if kind != "" && (kind != name || name == "InlineBinary" || name == "BulkData") {
			return errors.New("values of more than one kind")
		}
		kind = name
		number := len(values) + len(e.Items) + 1
		if n := attribute(s, "number"); n != "" && n != strconv.Itoa(number) {
			return errors.New("values that are not numbered in their order")
		}
		switch name {
		case "Value":
			var text string
			text, err = x.text()
			values = append(values, text)
		case "PersonName":
			var text string
			text, err = x.personName()
			values = append(values, text)
		case "Item":
			err = x.item(e)
		case "InlineBinary":
			err = x.inline(e)
		case "BulkData":
			err = x.bulkData(e, s)
		default:
			err = errors.New("a value of a kind that PS3.19 table A.1.5-2 does not have")
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case kind == "PersonName" != (e.VR == dicom.PN && kind != "" && kind != "BulkData"),
		kind == "Item" && e.VR != dicom.SQ,
		kind == "InlineBinary" && !e.VR.IsBulk(),
		kind == "Value" && (e.VR == dicom.SQ || e.VR.IsBulk()):
		return fmt.Errorf("%s of VR %v", kind, e.VR)
	case len(values) > 0:
		return e.setTexts(values)
	}
	return nil
}

func (x *xmlReader) item(e *Element) error {
	x.elements++
	if x.depth == x.limits.Depth || x.elements > x.limits.Elements {
		return fmt.Errorf("more than %d sequences inside each other or %d attributes", x.limits.Depth, x.limits.Elements)
	}
	x.depth++
	item, err := x.dataSet()
	x.depth--
	e.Items = append(e.Items, item)
	return err
}

func (x *xmlReader) inline(e *Element) error {
	s, err := x.text()
	if err != nil {
		return err
	}
	e.Value, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		return errors.New("InlineBinary is not base64")
	}
	return nil
}

func (x *xmlReader) bulkData(e *Element, s *xml.StartElement) error {
	e.BulkDataURI = attribute(s, "uri")
	if e.BulkDataURI == "" && attribute(s, "uuid") != "" {
		e.BulkDataURI = "urn:uuid:" + attribute(s, "uuid")
	}
	if e.BulkDataURI == "" || len(e.BulkDataURI) > maxPath || !isClean(e.BulkDataURI) {
		return errors.New("BulkData whose uri is missing, too long or holds control characters")
	}
	text, err := x.text()
	if err == nil && strings.TrimSpace(text) != "" {
		err = errors.New("text in BulkData")
	}
	return err
}

// nameComponents are those of a component group, in their order (PS3.19 table A.1.5-2).
var nameComponents = [...]string{"FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix"}

func (x *xmlReader) personName() (string, error) {
	var groups [len(nameGroups)]string
	err := x.children(func(s *xml.StartElement) error {
		i := slices.Index(nameGroups[:], s.Name.Local)
		if i < 0 || groups[i] != "" {
			return errors.New("a component group of a person name that is unknown or comes twice")
		}
		var parts [len(nameComponents)]string
		err := x.children(func(s *xml.StartElement) (err error) {
			j := slices.Index(nameComponents[:], s.Name.Local)
			if j < 0 || parts[j] != "" {
				return errors.New("a component of a person name that is unknown or comes twice")
			}
			if parts[j], err = x.text(); err == nil && strings.ContainsAny(parts[j], `^=\`) {
				err = errors.New("a delimiter in a component of a person name")
			}
			return err
		})
		groups[i] = strings.TrimRight(strings.Join(parts[:], "^"), "^")
		return err
	})
	return strings.TrimRight(strings.Join(groups[:], "="), "="), err
}

// WriteXML writes the data set in the Native DICOM Model, with its declaration, in one Write.
func (d DataSet) WriteXML(w io.Writer) error {
	b := []byte(xml.Header + `<NativeDicomModel xmlns="` + nativeModel + `" xml:space="preserve">`)
	b = d.appendXML(b)
	_, err := w.Write(append(b, "</NativeDicomModel>\n"...))
	return err
}

func (d DataSet) appendXML(b []byte) []byte {
	for i := range d {
		e := &d[i]
		if e.Tag.IsGroupLength() {
			continue
		}
		creator, t := d.creator(e.Tag), e.Tag
		if creator != "" {
			t = d.withoutBlock(t, creator)
		}
		b = append(b, `<DicomAttribute tag="`+tagText(t)+`" vr="`+e.VR.String()+`"`...)
		if a, known := dicom.LookupAttribute(e.Tag); known && a.Keyword != "" {
			b = append(b, ` keyword="`+a.Keyword+`"`...)
		} else if creator != "" {
			b = append(b, ` privateCreator="`...)
			b = append(appendEscaped(b, creator), '"')
		}
		b = append(b, '>')
		b = e.appendXML(b)
		b = append(b, "</DicomAttribute>"...)
	}
	return b
}

func (e *Element) appendXML(b []byte) []byte {
	switch {
	case e.BulkDataURI != "":
		b = append(b, `<BulkData uri="`...)
		return append(appendEscaped(b, e.BulkDataURI), `"/>`...)
	case e.VR == dicom.SQ:
		for i, item := range e.Items {
			b = append(b, `<Item number="`+strconv.Itoa(i+1)+`">`...)
			b = append(item.appendXML(b), "</Item>"...)
		}
		return b
	case len(e.Value) == 0:
		return b
	case e.VR.IsBulk():
		b = append(b, "<InlineBinary>"...)
		b = base64.StdEncoding.AppendEncode(b, e.Value)
		return append(b, "</InlineBinary>"...)
	}
	values := e.numbers()
	if e.VR.IsString() {
		values = e.texts()
	}
	for i, s := range values {
		number := ` number="` + strconv.Itoa(i+1) + `">`
		if e.VR == dicom.PN {
			b = append(b, "<PersonName"+number...)
			b = append(appendNameXML(b, s), "</PersonName>"...)
			continue
		}
		b = append(b, "<Value"+number...)
		b = append(appendEscaped(b, s), "</Value>"...)
	}
	return b
}

func appendNameXML(b []byte, s string) []byte {
	for i, group := range nameParts(s, "=", len(nameGroups)) {
		if group == "" {
			continue
		}
		b = append(b, "<"+nameGroups[i]+">"...)
		for j, part := range nameParts(group, "^", len(nameComponents)) {
			if part == "" {
				continue
			}
			b = append(b, "<"+nameComponents[j]+">"...)
			b = append(appendEscaped(b, part), "</"+nameComponents[j]+">"...)
		}
		b = append(b, "</"+nameGroups[i]+">"...)
	}
	return b
}

// appendEscaped appends text or an attribute's value. What XML cannot carry becomes U+FFFD.
func appendEscaped(b []byte, s string) []byte {
	w := appender{b}
	xml.EscapeText(&w, []byte(s)) // the appender takes everything
	return w.b
}

type appender struct{ b []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}
