package study

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"cordon/console/answer"
	"cordon/dicom"
	"cordon/dicom/charset"
	"cordon/dicom/dimse"
)

// Finder performs a C-FIND of ours with an archive: the identifier is in Explicit
// VR Little Endian, match is called with each match and its transfer syntax, and
// the final response is returned. The gateway is one.
type Finder interface {
	Find(ctx context.Context, archive string, calling dicom.AETitle, class dicom.UID, identifier []byte, match func(data []byte, ts dicom.UID) error) (dimse.Command, error)
}

// Reply is what an archive says.
type Reply struct {
	Archive string  `json:"archive"`
	Error   string  `json:"error,omitempty"` // why it did not answer
	Studies []Match `json:"studies,omitempty"`
	More    bool    `json:"more,omitempty"` // there are more than are listed
}

// Match is a study that an archive has, as it says.
type Match struct {
	UID         string `json:"study_instance_uid"`
	Date        string `json:"study_date,omitempty"`
	Description string `json:"description,omitempty"`
	Modalities  string `json:"modalities,omitempty"`
	PatientID   string `json:"patient_id,omitempty"`
	PatientName string `json:"patient_name,omitempty"`
	Accession   string `json:"accession,omitempty"`
	Series      int    `json:"series"`
	Instances   int    `json:"instances"` // -1: it does not say
}

const (
	patience = 8 * time.Second // for one archive
	matches  = 50              // of one archive
	asking   = 4               // archives asked at a time, for everybody
)

// Tags of package study alone (PS3.6).
const (
	tagModalitiesInStudy dicom.Tag = 0x00080061
	tagStudySeries       dicom.Tag = 0x00201206
	tagStudyInstances    dicom.Tag = 0x00201208
	tagSeriesInstances   dicom.Tag = 0x00201209
)

// identifier is what a C-FIND asks for at the STUDY level (PS3.4 §C.4.1.1.3,
// §C.6.2): elements in the order of their tags.
func (q Query) identifier() []byte {
	var out bytes.Buffer
	ts, _ := dicom.LookupTransferSyntax(dicom.ExplicitVRLittleEndian)
	w := dicom.NewWriter(&out, ts)
	w.String(dicom.TagSpecificCharacterSet, dicom.CS, "ISO_IR 192")
	w.String(dicom.TagStudyDate, dicom.DA)
	w.String(dicom.TagAccessionNumber, dicom.SH, q.Accession)
	w.String(dicom.TagQueryRetrieveLevel, dicom.CS, "STUDY")
	w.String(tagModalitiesInStudy, dicom.CS)
	w.String(dicom.TagStudyDescription, dicom.LO)
	w.String(dicom.TagPatientName, dicom.PN)
	w.String(dicom.TagPatientID, dicom.LO, q.PatientID)
	w.String(dicom.TagStudyInstanceUID, dicom.UI, q.Study)
	w.String(tagStudySeries, dicom.IS)
	w.String(tagStudyInstances, dicom.IS)
	w.Close() // to memory
	return out.Bytes()
}

// seriesOf asks for the series of a study.
func seriesOf(uid string) []byte {
	var out bytes.Buffer
	ts, _ := dicom.LookupTransferSyntax(dicom.ExplicitVRLittleEndian)
	w := dicom.NewWriter(&out, ts)
	w.String(dicom.TagQueryRetrieveLevel, dicom.CS, "SERIES")
	w.String(dicom.TagStudyInstanceUID, dicom.UI, uid)
	w.String(dicom.TagSeriesInstanceUID, dicom.UI)
	w.String(tagSeriesInstances, dicom.IS)
	w.Close() // to memory
	return out.Bytes()
}

// named reports whether a query names a study, a patient or a request.
func (q Query) named() bool { return q.Study != "" || q.PatientID != "" || q.Accession != "" }

// asks reports whether there is an archive that can be asked.
func (p Parts) asks() bool { return p.Find != nil && len(p.Archives) > 0 }

// askable is an error if an archive cannot be asked: by nothing that names a study or
// a patient, or by what would match others as well.
func (q Query) askable() error {
	if !q.named() {
		return fmt.Errorf("%w: archives are asked by study, patient ID or accession number", answer.ErrRequest)
	}
	if strings.ContainsAny(q.Study+q.PatientID+q.Accession, "*?\\") {
		return fmt.Errorf("%w: *, ? and \\ match others as well: give the whole of what is looked for", answer.ErrRequest)
	}
	return nil
}

// ask asks all archives, each for as long as it is given.
func (p Parts) ask(ctx context.Context, q Query) []Reply {
	out := make([]Reply, len(p.Archives))
	var wg sync.WaitGroup
	for i, name := range p.Archives {
		wg.Add(1)
		go func() { // ends with its time
			defer wg.Done()
			out[i] = p.askOne(ctx, name, q)
		}()
	}
	wg.Wait()
	return out
}

func (p Parts) askOne(ctx context.Context, archive string, q Query) Reply {
	out := Reply{Archive: archive}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(p.Patience, patience))
	defer cancel()
	select {
	case p.asking <- struct{}{}:
		defer func() { <-p.asking }()
	case <-ctx.Done():
		out.Error = "others are asking just now: try again in a moment"
		return out
	}
	found, more, err := p.studies(ctx, archive, q)
	out.Studies, out.More = found, more
	if err == nil && q.Study != "" && len(found) == 1 && found[0].Instances < 0 {
		out.Studies[0].Series, out.Studies[0].Instances, err = p.count(ctx, archive, q.Study)
	}
	if err != nil {
		out.Error = why(ctx, err)
	}
	return out
}

// why says in words why an archive did not answer.
func why(ctx context.Context, err error) string {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return "no answer in time"
	case errors.Is(err, dimse.ErrNotAccepted):
		return "it does not take queries"
	}
	return err.Error()
}

var errEnough = errors.New("more matches than are listed")

func (p Parts) studies(ctx context.Context, archive string, q Query) (found []Match, more bool, err error) {
	rsp, err := p.Find.Find(ctx, archive, p.Calling, dicom.StudyRootQueryRetrieveInformationModelFind, q.identifier(), func(data []byte, ts dicom.UID) error {
		if len(found) == matches {
			return errEnough
		}
		v, err := read(data, ts)
		if err == nil {
			found = append(found, v.match())
		}
		return err
	})
	if errors.Is(err, errEnough) {
		return found, true, nil
	}
	if err == nil && rsp.Status != dimse.Success {
		err = fmt.Errorf("it answers with status %04X", uint16(rsp.Status))
	}
	return found, false, err
}

// count adds up the series of a study, if an archive says how many instances each
// has; else -1.
func (p Parts) count(ctx context.Context, archive, uid string) (series, instances int, err error) {
	rsp, err := p.Find.Find(ctx, archive, p.Calling, dicom.StudyRootQueryRetrieveInformationModelFind, seriesOf(uid), func(data []byte, ts dicom.UID) error {
		v, err := read(data, ts)
		if err != nil {
			return err
		}
		series++
		n, ok := v.number(tagSeriesInstances)
		if !ok || instances < 0 {
			instances = -1
		} else {
			instances += n
		}
		return nil
	})
	if err == nil && (rsp.Status != dimse.Success || series == 0) {
		instances = -1
	}
	return series, instances, err
}

// values are the elements of one match.
type values struct {
	elements []dicom.DataElement
	set      charset.Set
}

// maxElements bounds one match.
const maxElements = 1000

func read(data []byte, syntax dicom.UID) (values, error) {
	ts, ok := dicom.LookupTransferSyntax(syntax)
	if !ok {
		return values{}, fmt.Errorf("a match in transfer syntax %.64q", syntax)
	}
	all, err := dicom.ReadElements(data, ts, maxElements)
	v := values{elements: all}
	v.set = charset.Parse(string(v.raw(dicom.TagSpecificCharacterSet)))
	return v, err
}

func (v values) raw(t dicom.Tag) []byte {
	i := slices.IndexFunc(v.elements, func(e dicom.DataElement) bool { return e.Tag == t && e.Depth == 0 })
	if i < 0 {
		return nil
	}
	return v.elements[i].Value
}

// maxText bounds what is kept of one value, in bytes.
const maxText = 200

func (v values) text(t dicom.Tag) string {
	s := v.set.Decode(v.raw(t))
	return strings.ToValidUTF8(s[:min(len(s), maxText)], "")
}

func (v values) number(t dicom.Tag) (int, bool) {
	n, err := strconv.Atoi(strings.TrimSpace(v.text(t)))
	return n, err == nil && n >= 0
}

func (v values) match() Match {
	m := Match{
		UID: string(dicom.TrimUID(v.raw(dicom.TagStudyInstanceUID))), Date: v.text(dicom.TagStudyDate), Description: v.text(dicom.TagStudyDescription),
		Modalities: v.text(tagModalitiesInStudy), PatientID: v.text(dicom.TagPatientID), PatientName: v.text(dicom.TagPatientName), Accession: v.text(dicom.TagAccessionNumber),
	}
	m.Series, _ = v.number(tagStudySeries)
	var ok bool
	if m.Instances, ok = v.number(tagStudyInstances); !ok {
		m.Instances = -1
	}
	return m
}
