package web

import (
	"fmt"
	"slices"
	"strings"

	"cordon/dicom"
)

// Tags that only one of the two sides has.
const (
	tagInstanceAvailability dicom.Tag = 0x00080056
	tagModalitiesInStudy    dicom.Tag = 0x00080061
	tagTimezoneOffset       dicom.Tag = 0x00080201
	tagStudySeries          dicom.Tag = 0x00201206 // Number of Study Related Series
	tagStudyInstances       dicom.Tag = 0x00201208
	tagSeriesInstances      dicom.Tag = 0x00201209
	tagStepStartDate        dicom.Tag = 0x00400244
	tagStepStartTime        dicom.Tag = 0x00400245
	tagScheduledStepID      dicom.Tag = 0x00400009
	tagRequestAttributes    dicom.Tag = 0x00400275
	tagRequestedProcedureID dicom.Tag = 0x00401001
)

// answered are the attributes that a search answers without being asked for them
// (PS3.18 tables 10.6.3-3, -4 and -5), but Retrieve URL.
var answered = map[Level][]Path{
	LevelStudy: {
		{dicom.TagStudyDate}, {dicom.TagStudyTime}, {dicom.TagAccessionNumber}, {tagInstanceAvailability}, {tagModalitiesInStudy},
		{dicom.TagReferringPhysicianName}, {tagTimezoneOffset}, {dicom.TagPatientName}, {dicom.TagPatientID}, {dicom.TagPatientBirthDate},
		{dicom.TagPatientSex}, {dicom.TagStudyInstanceUID}, {dicom.TagStudyID}, {tagStudySeries}, {tagStudyInstances},
	},
	LevelSeries: {
		{dicom.TagModality}, {tagTimezoneOffset}, {dicom.TagSeriesDescription}, {dicom.TagSeriesInstanceUID}, {dicom.TagSeriesNumber},
		{tagSeriesInstances}, {tagStepStartDate}, {tagStepStartTime},
		{tagRequestAttributes, tagScheduledStepID}, {tagRequestAttributes, tagRequestedProcedureID},
	},
	LevelInstance: {
		{dicom.TagSOPClassUID}, {dicom.TagSOPInstanceUID}, {tagInstanceAvailability}, {tagTimezoneOffset}, {dicom.TagInstanceNumber},
		{dicom.TagRows}, {dicom.TagColumns}, {dicom.TagBitsAllocated}, {dicom.TagNumberOfFrames},
	},
}

// all are what includefield=all adds where the archive has to be asked for each attribute.
var all = map[Level][]Path{
	LevelStudy:    {{dicom.TagStudyDescription}, {dicom.TagIssuerOfPatientID}},
	LevelSeries:   {{dicom.TagManufacturer}},
	LevelInstance: {{dicom.TagImageType}},
}

// Identifier is the query as the identifier of a C-FIND request (PS3.4 §C.4.1.1.3): its keys,
// and what a search answers in any case as keys without values. A search that names
// no study, or no series, asks for theirs as well; archives that do not match across
// levels (relational queries, PS3.4 §C.5.1) will not answer it. Limit, offset and fuzzy matching are
// not in it. A value that does not fit a number's VR is a *[Refusal].
func (q Query) Identifier() (DataSet, error) {
	var d DataSet
	d.SetString(dicom.TagQueryRetrieveLevel, dicom.CS, q.Level.String())
	for _, p := range q.keys() {
		d.setPath(p, nil)
	}
	for _, m := range q.Matches {
		vr := standardVR(m.Path[len(m.Path)-1])
		if vr == dicom.SQ && m.Value == "" {
			continue
		}
		b, err := encodeKey(vr, m.Value)
		if err != nil {
			return nil, bad("query: %v: %v", m.Path, err)
		}
		d.setPath(m.Path, b)
	}
	for _, u := range []struct {
		tag dicom.Tag
		uid dicom.UID
	}{{dicom.TagStudyInstanceUID, q.Study}, {dicom.TagSeriesInstanceUID, q.Series}} {
		if u.uid != "" {
			d.SetString(u.tag, dicom.UI, string(u.uid))
		}
	}
	return d.declared(), nil
}

// keys are what is asked for without a value.
func (q Query) keys() []Path {
	keys := slices.Clone(answered[q.Level])
	if q.Level > LevelStudy {
		keys = append(keys, Path{dicom.TagStudyInstanceUID})
		if q.Study == "" {
			keys = append(keys, answered[LevelStudy]...)
		}
	}
	if q.Level > LevelSeries {
		keys = append(keys, Path{dicom.TagSeriesInstanceUID})
		if q.Series == "" {
			keys = append(keys, answered[LevelSeries]...)
		}
	}
	if q.All {
		keys = append(keys, all[q.Level]...)
	}
	for _, m := range q.Matches {
		keys = append(keys, m.Path)
	}
	return append(keys, q.Include...)
}

// encodeKey is a key's value. Several values are separated by backslashes.
func encodeKey(vr dicom.VR, value string) ([]byte, error) {
	switch {
	case value == "":
		return nil, nil
	case vr.IsString():
		return []byte(value), nil
	}
	return encodeValues(vr, strings.Split(value, `\`))
}

// setPath sets an element, inside the first item of sequences if p says so. What is
// there stays if value is empty.
func (d *DataSet) setPath(p Path, value []byte) {
	t := p[0]
	e := d.Find(t)
	if e == nil {
		d.Set(Element{Tag: t, VR: standardVR(t)})
		e = d.Find(t)
	}
	if len(p) == 1 {
		if len(value) > 0 {
			e.Value = value
		}
		return
	}
	e.VR = dicom.SQ
	if len(e.Items) == 0 {
		e.Items = make([]DataSet, 1)
	}
	e.Items[0].setPath(p[1:], value)
}

// ParseIdentifier reads the identifier of a C-FIND request of the Patient Root or Study Root
// model as a search. Keys without value, or with "*" alone, are to be included. Of the patient level,
// the search is for studies: see [Level].
func ParseIdentifier(identifier []byte, ts dicom.UID, l Limits) (Query, error) {
	d, err := ReadDataSet(identifier, ts, l)
	if err != nil {
		return Query{}, err
	}
	level := slices.Index(levelNames[:], strings.TrimSpace(d.String(dicom.TagQueryRetrieveLevel)))
	if level <= 0 {
		return Query{}, fmt.Errorf("reading an identifier: %v is not PATIENT, STUDY, SERIES or IMAGE", dicom.TagQueryRetrieveLevel)
	}
	q := Query{Level: Level(level)}
	q.Study = d.single(q.Level > LevelStudy, dicom.TagStudyInstanceUID)
	q.Series = d.single(q.Level > LevelSeries && q.Study != "", dicom.TagSeriesInstanceUID)
	q.addKeys(nil, d)
	return q, nil
}

// single is the one UID of a key that goes into the path, if it does.
func (d DataSet) single(path bool, t dicom.Tag) dicom.UID {
	if u := d.UID(t); path && u.Validate() == nil {
		return u
	}
	return ""
}

// notKeys are attributes of an identifier that are not asked of the archive.
var notKeys = []dicom.Tag{dicom.TagQueryRetrieveLevel, dicom.TagRetrieveAETitle, dicom.TagSpecificCharacterSet}

func (q *Query) addKeys(parent Path, d DataSet) {
	for i := range d {
		e := &d[i]
		p := append(slices.Clone(parent), e.Tag)
		inPath := len(p) == 1 && (e.Tag == dicom.TagStudyInstanceUID && q.Study != "" || e.Tag == dicom.TagSeriesInstanceUID && q.Series != "")
		value := d.String(e.Tag)
		switch {
		case slices.Contains(notKeys, e.Tag) || inPath:
		case len(e.Items) > 0 && len(e.Items[0]) > 0 && len(p) < maxPathDepth:
			q.addKeys(p, e.Items[0])
		case value == "" || value == "*" || e.VR == dicom.SQ:
			q.Include = append(q.Include, p)
		default:
			q.Matches = append(q.Matches, Match{p, value})
		}
	}
}

// Row is a match of a C-FIND as a search answers it: without what only DIMSE has, text in UTF-8, and with
// where to retrieve it, if retrieveURL is not nil and the match names what its level needs.
func Row(level Level, identifier []byte, ts dicom.UID, l Limits, retrieveURL func(Resource) string) (DataSet, error) {
	d, err := ReadDataSet(identifier, ts, l)
	if err != nil {
		return nil, err
	}
	d.Delete(dicom.TagQueryRetrieveLevel)
	d.Delete(dicom.TagRetrieveAETitle)
	if r, ok := d.resource(level); ok && retrieveURL != nil {
		d.SetString(tagRetrieveURL, dicom.UR, retrieveURL(r))
	}
	return d, nil
}

// resource is what a match is about.
func (d DataSet) resource(level Level) (Resource, bool) {
	r := Resource{Kind: KindStudy, Study: d.UID(dicom.TagStudyInstanceUID)}
	ok := r.Study.Validate() == nil && level >= LevelStudy
	if level >= LevelSeries {
		r.Kind, r.Series = KindSeries, d.UID(dicom.TagSeriesInstanceUID)
		ok = ok && r.Series.Validate() == nil
	}
	if level >= LevelInstance {
		r.Kind, r.Instance = KindInstance, d.UID(dicom.TagSOPInstanceUID)
		ok = ok && r.Instance.Validate() == nil
	}
	return r, ok
}

// Identifier is a match of the search q, made for an identifier of C-FIND, as
// that of a C-FIND response (PS3.4 §C.4.1.1.3.2): exactly the attributes that were asked for,
// empty where the archive has no value, and the level. retrieve is the Retrieve AE Title (0008,0054), if not empty.
func (d DataSet) Identifier(q Query, retrieve dicom.AETitle) DataSet {
	var out DataSet
	out.SetString(dicom.TagQueryRetrieveLevel, dicom.CS, q.Level.String())
	if retrieve != "" {
		out.SetString(dicom.TagRetrieveAETitle, dicom.AE, string(retrieve))
	}
	keys := slices.Clone(q.Include)
	for _, m := range q.Matches {
		keys = append(keys, m.Path)
	}
	for _, p := range keys {
		out.take(d, p)
	}
	for _, u := range []struct {
		tag dicom.Tag
		uid dicom.UID
	}{{dicom.TagStudyInstanceUID, q.Study}, {dicom.TagSeriesInstanceUID, q.Series}} {
		if u.uid != "" {
			out.SetString(u.tag, dicom.UI, string(u.uid))
		}
	}
	return out.declared()
}

// take copies the element at p, all items of a sequence on its way, or sets it empty.
func (out *DataSet) take(d DataSet, p Path) {
	t := p[0]
	from := d.Find(t)
	if len(p) == 1 {
		e := Element{Tag: t, VR: standardVR(t)}
		if from != nil && from.BulkDataURI == "" {
			e = *from
		}
		out.Set(e)
		return
	}
	to := out.Find(t)
	if to == nil {
		out.Set(Element{Tag: t, VR: dicom.SQ})
		to = out.Find(t)
	}
	for i := range d.Items(t) {
		if i == len(to.Items) {
			to.Items = append(to.Items, nil)
		}
		to.Items[i].take(from.Items[i], p[1:])
	}
}
