package web

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"

	"cordon/dicom"
)

// FormatError says why a body is not what it is said to be. Its text holds no value.
type FormatError struct {
	Format string // DICOM JSON, DICOM XML
	Err    error
}

func (e *FormatError) Error() string { return fmt.Sprintf("reading %s: %v", e.Format, e.Err) }

func (e *FormatError) Unwrap() error { return e.Err }

// Problem is the answer to a request that fails as a whole: a status, and a body which
// says why in Error Comment (0000,0902), with a Failure Reason (0008,1197) if there is one.
type Problem struct {
	Status int
	Why    string
	Reason uint16 // 0: none
}

// DataSet is the body of the problem. A text too long for Error Comment is whole
// in Text Value (0040,A160).
func (p Problem) DataSet() DataSet {
	var d DataSet
	d.SetString(tagErrorComment, dicom.LO, cut(p.Why, maxErrorComment))
	if p.Reason != 0 {
		d.SetUint16(dicom.TagFailureReason, p.Reason)
	}
	if cut(p.Why, maxErrorComment) != p.Why {
		d.SetString(tagTextValue, dicom.UT, p.Why)
	}
	return d
}

const tagTextValue dicom.Tag = 0x0040A160

// Write answers the request: in DICOM JSON, XML, or plain text if the client takes only that.
func (p Problem) Write(w http.ResponseWriter, a Accept) error {
	media, ok := a.Best(Single(TypeJSON), Single(TypeXML), Single("text/plain"))
	if !ok {
		media = Single(TypeJSON) // better than no reason at all (RFC 9110 §15.5.7)
	}
	if media.Type == "text/plain" {
		return writeBody(w, p.Status, "text/plain; charset=utf-8", []byte(p.Why+"\n"))
	}
	return WriteDataSet(w, p.Status, media, p.DataSet())
}

// WriteDataSet answers with one data set, in XML if media says so, else in JSON.
func WriteDataSet(w http.ResponseWriter, status int, media MediaType, d DataSet) error {
	if media.isXML() {
		var b bytes.Buffer
		if err := d.WriteXML(&b); err != nil {
			return err
		}
		return writeBody(w, status, TypeXML, b.Bytes())
	}
	kind := TypeJSON
	if media.Type == TypePlainJSON {
		kind = TypePlainJSON
	}
	return writeBody(w, status, kind, d.AppendJSON(nil))
}

func writeBody(w http.ResponseWriter, status int, kind string, body []byte) error {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, err := w.Write(body)
	return err
}
