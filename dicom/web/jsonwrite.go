package web

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"strconv"
	"strings"

	"cordon/dicom"
)

// AppendJSON appends the data set in the DICOM JSON Model.
func (d DataSet) AppendJSON(b []byte) []byte {
	b = append(b, '{')
	first := true
	for i := range d {
		e := &d[i]
		if e.Tag.IsGroupLength() {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(b, '"')
		b = append(b, tagText(e.Tag)...)
		b = append(b, `":{"vr":"`...)
		b = append(b, e.VR.String()...)
		b = append(b, '"')
		b = e.appendValue(b)
		b = append(b, '}')
	}
	return append(b, '}')
}

func (e *Element) appendValue(b []byte) []byte {
	switch {
	case e.BulkDataURI != "":
		b = append(b, `,"BulkDataURI":`...)
		return appendString(b, e.BulkDataURI)
	case e.VR == dicom.SQ && len(e.Items) > 0:
		return appendValues(b, len(e.Items), func(b []byte, i int) []byte { return e.Items[i].AppendJSON(b) })
	case len(e.Value) == 0:
		return b
	case e.VR.IsBulk():
		b = append(b, `,"InlineBinary":"`...)
		b = base64.StdEncoding.AppendEncode(b, e.Value)
		return append(b, '"')
	case e.VR.IsString():
		texts := e.texts()
		return appendValues(b, len(texts), func(b []byte, i int) []byte { return e.appendText(b, texts[i]) })
	}
	numbers := e.numbers()
	return appendValues(b, len(numbers), func(b []byte, i int) []byte { return e.appendNumber(b, numbers[i]) })
}

func appendValues(b []byte, n int, value func([]byte, int) []byte) []byte {
	b = append(b, `,"Value":[`...)
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = value(b, i)
	}
	return append(b, ']')
}

// appendText appends one value of characters. An empty one of several is null (PS3.18 §F.2.5).
func (e *Element) appendText(b []byte, s string) []byte {
	switch {
	case s == "":
		return append(b, "null"...)
	case e.VR == dicom.PN:
		return appendName(b, s)
	case e.VR == dicom.IS || e.VR == dicom.DS:
		if n, ok := jsonNumber(s); ok {
			return append(b, n...)
		}
	}
	return appendString(b, s)
}

// jsonNumber is a DS or IS as a number of JSON (RFC 8259 §6), which has no plus sign, no leading zeros and
// digits on both sides of the point; ok is false if it is none at all, and stays a string (PS3.18 table F.2.3-1).
func jsonNumber(s string) (n string, ok bool) {
	s, positive := strings.CutPrefix(strings.Trim(s, " "), "+")
	s, negative := strings.CutPrefix(s, "-")
	if positive && negative {
		return "", false
	}
	end := len(s)
	if i := strings.IndexAny(s, ".eE"); i >= 0 {
		end = i
	}
	whole, rest := strings.TrimLeft(s[:end], "0"), s[end:]
	if whole == "" && len(s) > 0 && strings.Trim(s, ".") != "" {
		whole = "0"
	}
	if rest == "." {
		rest = ""
	}
	n = whole + rest
	if negative {
		n = "-" + n
	}
	return n, whole != "" && whole[0] >= '0' && whole[0] <= '9' && json.Valid([]byte(n))
}

func appendName(b []byte, s string) []byte {
	b = append(b, '{')
	first := true
	for i, group := range nameParts(s, "=", len(nameGroups)) {
		if group == "" {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(b, '"')
		b = append(b, nameGroups[i]...)
		b = append(b, `":`...)
		b = appendString(b, group)
	}
	return append(b, '}')
}

// nameParts cuts a person name, or a component group of one. What is behind the last
// that the standard knows (PS3.5 §6.2.1) is left out: no model has a place for it.
func nameParts(s, delimiter string, n int) []string {
	all := strings.Split(s, delimiter)
	return all[:min(n, len(all))]
}

// maxExact is the greatest whole number that every reader of JSON keeps exactly.
const maxExact = 1 << 53

func (e *Element) appendNumber(b []byte, s string) []byte {
	quote := e.VR == dicom.AT || s == "NaN" || strings.HasSuffix(s, "Infinity")
	if e.VR == dicom.SV || e.VR == dicom.UV {
		f, err := strconv.ParseFloat(s, 64)
		quote = err != nil || f > maxExact || f < -maxExact
	}
	if quote {
		return appendString(b, s)
	}
	return append(b, s...)
}

func appendString(b []byte, s string) []byte {
	q, err := json.Marshal(s)
	if err != nil {
		return append(b, `""`...) // cannot be: a string always marshals
	}
	return append(b, q...)
}

// JSONWriter writes data sets as an array in the DICOM JSON Model, each as it comes.
type JSONWriter struct {
	w      io.Writer
	buffer []byte
	begun  bool
}

// NewJSONWriter writes to w.
func NewJSONWriter(w io.Writer) *JSONWriter { return &JSONWriter{w: w} }

// Write writes one data set.
func (x *JSONWriter) Write(d DataSet) error {
	x.buffer = append(x.buffer[:0], ',')
	if !x.begun {
		x.buffer[0] = '['
	}
	x.begun = true
	x.buffer = d.AppendJSON(x.buffer)
	_, err := x.w.Write(x.buffer)
	return err
}

// Close ends the array. It does not close what is written to.
func (x *JSONWriter) Close() error {
	end := "]"
	if !x.begun {
		end = "[]"
	}
	_, err := io.WriteString(x.w, end)
	return err
}
