package web

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"cordon/dicom"
)

// ReadJSON reads the DICOM JSON Model (PS3.18 annex F): one data set, or an array of
// them, and passes each on as it has been read. An empty body holds none. The error is
// a *[FormatError], or that of each. Group 0002 and group lengths are left out. Attributes may come in any order, none twice.
func ReadJSON(r io.Reader, l Limits, each func(DataSet) error) error {
	l = l.withDefaults()
	in := &io.LimitedReader{R: r, N: l.Bytes + 1}
	x := &jsonReader{json: json.NewDecoder(in), limits: l}
	x.json.UseNumber()
	err := x.body(each)
	var given *eachError
	switch {
	case errors.As(err, &given):
		return given.err
	case err != nil && in.N == 0:
		return &FormatError{"DICOM JSON", fmt.Errorf("more than %d bytes", l.Bytes)}
	case err != nil:
		return &FormatError{"DICOM JSON", withoutText(err)}
	}
	return nil
}

// eachError is the caller's own error on its way back.
type eachError struct{ err error }

func (e *eachError) Error() string { return e.err.Error() }

// withoutText drops what the library's syntax errors quote.
func withoutText(err error) error {
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("no JSON at byte %d", syntax.Offset)
	case err == io.EOF:
		return io.ErrUnexpectedEOF
	}
	return err
}

type jsonReader struct {
	json     *json.Decoder
	limits   Limits
	elements int // of the data set under way
	depth    int
	held     int // values within each other that wait for their vr
}

func (x *jsonReader) body(each func(DataSet) error) error {
	first, err := x.json.Token()
	switch {
	case err == io.EOF:
		return nil
	case err != nil:
		return err
	case first == json.Delim('{'):
		if err := x.one(each); err != nil {
			return err
		}
	case first == json.Delim('['):
		if err := x.array(func() error { return x.one(each) }); err != nil {
			return err
		}
	default:
		return errors.New("neither a data set nor an array of data sets")
	}
	switch _, err := x.json.Token(); {
	case err == nil:
		return errors.New("something follows the data sets")
	case err != io.EOF:
		return err
	}
	return nil
}

// array reads the rest of an array of objects; each is called after the brace that opens one.
func (x *jsonReader) array(each func() error) error {
	for n := 0; ; n++ {
		t, err := x.json.Token()
		switch {
		case err != nil:
			return err
		case t == json.Delim(']'):
			return nil
		case t != json.Delim('{'):
			return errors.New("an array that holds something else than objects")
		case n == x.limits.DataSets:
			return fmt.Errorf("more than %d data sets or items", n)
		}
		if err := each(); err != nil {
			return err
		}
	}
}

func (x *jsonReader) one(each func(DataSet) error) error {
	x.elements = 0
	d, err := x.dataSet()
	if err != nil {
		return err
	}
	if err := each(d); err != nil {
		return &eachError{err}
	}
	return nil
}

// dataSet reads the rest of an object of attributes.
func (x *jsonReader) dataSet() (DataSet, error) {
	var d DataSet
	for {
		name, end, err := x.name()
		if err != nil || end {
			return d.sorted(err)
		}
		t, err := parseTag(name)
		if err != nil {
			return nil, err
		}
		if x.elements++; x.elements > x.limits.Elements {
			return nil, fmt.Errorf("more than %d attributes", x.limits.Elements)
		}
		e, err := x.element(t)
		if err != nil {
			return nil, fmt.Errorf("%v: %w", t, err)
		}
		if t.Group() != dicom.TagTransferSyntaxUID.Group() && !t.IsGroupLength() {
			d = append(d, e)
		}
	}
}

// sorted is d in the order of its tags, unless err or a tag that comes twice.
func (d DataSet) sorted(err error) (DataSet, error) {
	if err != nil {
		return nil, err
	}
	order := func(a, b Element) int { return int(int64(a.Tag) - int64(b.Tag)) }
	if !slices.IsSortedFunc(d, order) {
		slices.SortFunc(d, order)
	}
	for i := 1; i < len(d); i++ {
		if d[i].Tag == d[i-1].Tag {
			return nil, fmt.Errorf("%v comes twice", d[i].Tag)
		}
	}
	return d, nil
}

// name reads the next name of an object, or its end.
func (x *jsonReader) name() (name string, end bool, err error) {
	t, err := x.json.Token()
	if err != nil {
		return "", false, err
	}
	name, isName := t.(string)
	return name, !isName, nil
}

// element reads the object of one attribute. vr comes first in practice, and has to
// where there is a value, since what a value means depends on it.
func (x *jsonReader) element(t dicom.Tag) (Element, error) {
	e := Element{Tag: t}
	if err := x.expect('{'); err != nil {
		return e, err
	}
	values := 0
	for {
		name, end, err := x.name()
		switch {
		case err != nil:
			return e, err
		case end && e.VR == 0:
			return e, errors.New("no vr")
		case end:
			return e, nil
		case name == "vr":
			if e.VR != 0 {
				return e, errors.New("vr comes twice")
			}
			if e.VR, err = x.vr(); err != nil {
				return e, err
			}
			continue
		}
		if values++; values > 1 {
			return e, errors.New("more than one of Value, InlineBinary and BulkDataURI")
		}
		if e.VR == 0 {
			e.VR = standardVR(t)
			if name == "Value" && e.VR == dicom.UN {
				return e, x.heldBack(&e)
			}
			vr := e.VR
			if err = x.value(&e, name); err == nil {
				err = x.lateVR(&e, vr)
			}
			return e, err
		}
		if err := x.value(&e, name); err != nil {
			return e, err
		}
	}
}

// maxHeldBack bounds how many copies of a value there are while sequences whose vr
// comes late are nested in each other.
const maxHeldBack = 4

// heldBack reads the Value of an attribute that no dictionary knows, such as a private
// one, before its vr: it is kept as text until the vr has come.
func (x *jsonReader) heldBack(e *Element) error {
	if x.held++; x.held > maxHeldBack {
		return errors.New("Value before vr in too many sequences within each other")
	}
	defer func() { x.held-- }()
	var raw json.RawMessage
	if err := x.json.Decode(&raw); err != nil {
		return err
	}
	name, end, err := x.name()
	if err != nil || end || name != "vr" {
		return errors.Join(err, errors.New("no vr"))
	}
	if e.VR, err = x.vr(); err != nil {
		return err
	}
	rest := x.json
	x.json = json.NewDecoder(bytes.NewReader(raw))
	x.json.UseNumber()
	err = x.value(e, "Value")
	x.json = rest
	if err != nil {
		return err
	}
	return x.expect('}')
}

// lateVR reads the end of an attribute whose value came before its vr: it was read as
// the dictionary says, which vr has to confirm. What has no value of its own may have any.
func (x *jsonReader) lateVR(e *Element, assumed dicom.VR) error {
	name, end, err := x.name()
	if err != nil || end || name != "vr" {
		return errors.Join(err, errors.New("no vr"))
	}
	if e.VR, err = x.vr(); err != nil {
		return err
	}
	if e.VR != assumed && (len(e.Value) > 0 || len(e.Items) > 0) && !(assumed.IsBulk() && e.VR.IsBulk()) {
		return errors.New("Value before a vr that is not the dictionary's")
	}
	return x.expect('}')
}

func (x *jsonReader) vr() (dicom.VR, error) {
	t, err := x.json.Token()
	if err != nil {
		return 0, err
	}
	s, _ := t.(string)
	vr, known := parseVR(s)
	if !known {
		return 0, errors.New("a vr that PS3.5 does not know")
	}
	return vr, nil
}

func (x *jsonReader) value(e *Element, name string) error {
	switch name {
	case "Value":
		if err := x.expect('['); err != nil {
			return err
		}
		return x.values(e)
	case "InlineBinary":
		s, err := x.text()
		if err != nil {
			return err
		}
		if !e.VR.IsBulk() {
			return fmt.Errorf("InlineBinary of VR %v", e.VR)
		}
		e.Value, err = base64.StdEncoding.DecodeString(s)
		if err != nil {
			return errors.New("InlineBinary is not base64")
		}
		return nil
	case "BulkDataURI":
		s, err := x.text()
		if err == nil && (s == "" || !isClean(s) || len(s) > maxPath) {
			err = errors.New("BulkDataURI is empty, too long or holds control characters")
		}
		e.BulkDataURI = s
		return err
	}
	return errors.New("a member that is none of vr, Value, InlineBinary and BulkDataURI")
}

func (x *jsonReader) text() (string, error) {
	t, err := x.json.Token()
	if err != nil {
		return "", err
	}
	s, ok := t.(string)
	if !ok {
		return "", errors.New("something else than a string")
	}
	return s, nil
}

func (x *jsonReader) expect(d json.Delim) error {
	t, err := x.json.Token()
	if err != nil {
		return err
	}
	if t != d {
		return fmt.Errorf("%q expected", rune(d))
	}
	return nil
}

// values reads the rest of the array Value.
func (x *jsonReader) values(e *Element) error {
	switch {
	case e.VR == dicom.SQ:
		return x.items(e)
	case e.VR == dicom.PN:
		return x.names(e)
	case e.VR.IsBulk():
		return fmt.Errorf("Value of VR %v", e.VR)
	}
	var values []string
	for {
		t, err := x.json.Token()
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case nil:
			values = append(values, "")
		case string:
			values = append(values, t)
		case json.Number:
			values = append(values, t.String())
		case json.Delim:
			if t != ']' {
				return fmt.Errorf("an object or array as the value of VR %v", e.VR)
			}
			return e.setTexts(values)
		default:
			return fmt.Errorf("true or false as the value of VR %v", e.VR)
		}
	}
}

// setTexts is the value of several texts or numbers. None of several texts may
// hold a backslash; it would be two.
func (e *Element) setTexts(values []string) (err error) {
	if e.VR.IsString() && !isSingle(e.VR) && slices.ContainsFunc(values, func(s string) bool { return strings.Contains(s, `\`) }) {
		return errors.New("a backslash in a value")
	}
	if isSingle(e.VR) && len(values) > 1 {
		return fmt.Errorf("more than one value of VR %v", e.VR)
	}
	e.Value, err = encodeValues(e.VR, values)
	return err
}

func (x *jsonReader) items(e *Element) error {
	if x.depth == x.limits.Depth {
		return fmt.Errorf("more than %d sequences inside each other", x.limits.Depth)
	}
	x.depth++
	defer func() { x.depth-- }()
	return x.array(func() error {
		if x.elements++; x.elements > x.limits.Elements {
			return fmt.Errorf("more than %d attributes", x.limits.Elements)
		}
		item, err := x.dataSet()
		e.Items = append(e.Items, item)
		return err
	})
}
