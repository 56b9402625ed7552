package bridge

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/web"
)

// instance is one object that a retrieve is to send.
type instance struct {
	at     web.Resource // where it is retrieved by itself
	class  dicom.UID    // as the search names it
	state  state
	syntax dicom.UID // the one it came in, if the other side does not take it
}

// state is what became of a sub-operation (PS3.4 §C.4.2.3, §C.4.3.2).
type state uint8

const (
	remaining state = iota
	completed
	warned
	failed
)

// plan is what a retrieve is about: the instances, and the resources that have
// them all, the fewest first asked for.
type plan struct {
	instances []*instance
	byUID     map[dicom.UID]*instance
	whole     []web.Resource
}

var (
	errIdentifier = errors.New("identifier names nothing by unique keys")
	errTooMany    = errors.New("more instances than one retrieve may have")
)

// lay finds out what an identifier of C-MOVE or C-GET names (PS3.4 §C.4.2.1.4): the
// unique keys of its level and of those above, of its own level several.
func (b *Bridge) lay(ctx context.Context, m *dimse.Message, identifier []byte) (*plan, error) {
	d, err := web.ReadDataSet(identifier, m.Context.TransferSyntax, web.Limits{Bytes: maxIdentifier})
	if err != nil {
		return nil, errIdentifier
	}
	keys := keysOf(d)
	p := &plan{byUID: map[dicom.UID]*instance{}}
	switch level := d.String(dicom.TagQueryRetrieveLevel); {
	case level == "PATIENT" && models[m.Context.AbstractSyntax] == "PATIENT" && d.String(dicom.TagPatientID) != "":
		err = b.layPatient(ctx, p, d.String(dicom.TagPatientID))
	case level == "STUDY" && len(keys.studies) > 0:
		for _, study := range keys.studies {
			err = errors.Join(err, b.layAll(ctx, p, web.Resource{Kind: web.KindStudy, Study: study}))
		}
	case level == "SERIES" && len(keys.studies) == 1 && len(keys.series) > 0:
		for _, series := range keys.series {
			err = errors.Join(err, b.layAll(ctx, p, web.Resource{Kind: web.KindSeries, Study: keys.studies[0], Series: series}))
		}
	case level == "IMAGE" && len(keys.studies) == 1 && len(keys.series) <= 1 && len(keys.instances) > 0:
		err = b.layInstances(ctx, p, keys)
	default:
		err = errIdentifier
	}
	return p, err
}

// uniqueKeys are the unique keys of an identifier.
type uniqueKeys struct{ studies, series, instances []dicom.UID }

func keysOf(d web.DataSet) uniqueKeys {
	list := func(t dicom.Tag) (out []dicom.UID) {
		for s := range strings.SplitSeq(d.String(t), `\`) {
			if u := dicom.TrimUID([]byte(s)); u != "" && !slices.Contains(out, u) {
				out = append(out, u)
			}
		}
		return out
	}
	return uniqueKeys{list(dicom.TagStudyInstanceUID), list(dicom.TagSeriesInstanceUID), list(dicom.TagSOPInstanceUID)}
}

// layPatient adds all studies of a patient.
func (b *Bridge) layPatient(ctx context.Context, p *plan, id string) error {
	var studies []dicom.UID
	err := b.search(ctx, web.Query{Level: web.LevelStudy, Matches: []web.Match{{Path: web.Path{dicom.TagPatientID}, Value: id}}}, func(row web.DataSet) error {
		if row.String(dicom.TagPatientID) == id { // and not what the archive takes for a pattern
			studies = append(studies, row.UID(dicom.TagStudyInstanceUID))
		}
		return nil
	})
	for _, study := range studies {
		err = errors.Join(err, b.layAll(ctx, p, web.Resource{Kind: web.KindStudy, Study: study}))
	}
	return err
}

// wanted is asked of each instance besides what a search answers anyway.
var wanted = []web.Path{{dicom.TagSOPClassUID}, {dicom.TagStudyInstanceUID}, {dicom.TagSeriesInstanceUID}}

// layAll adds all instances of a study or a series.
func (b *Bridge) layAll(ctx context.Context, p *plan, r web.Resource) error {
	if r.Study.Validate() != nil || r.Kind == web.KindSeries && r.Series.Validate() != nil {
		return errIdentifier
	}
	p.whole = append(p.whole, r)
	err := b.search(ctx, web.Query{Level: web.LevelInstance, Study: r.Study, Series: r.Series, Include: wanted}, func(row web.DataSet) error {
		return b.add(p, r.Study, r.Series, row)
	})
	var answered *web.AnswerError
	if errors.As(err, &answered) && answered.Status == http.StatusNotFound {
		return nil // the archive has no such study
	}
	return err
}

// layInstances adds the instances named.
func (b *Bridge) layInstances(ctx context.Context, p *plan, keys uniqueKeys) error {
	q := web.Query{Level: web.LevelInstance, Study: keys.studies[0], Include: wanted}
	if len(keys.series) == 1 {
		q.Series = keys.series[0]
	}
	if q.Study.Validate() != nil || q.Series != "" && q.Series.Validate() != nil {
		return errIdentifier
	}
	for _, u := range keys.instances {
		q.Matches = []web.Match{{Path: web.Path{dicom.TagSOPInstanceUID}, Value: string(u)}}
		err := b.search(ctx, q, func(row web.DataSet) error {
			if row.UID(dicom.TagSOPInstanceUID) != u {
				return nil
			}
			return b.add(p, q.Study, q.Series, row)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// add adds the instance of a row of a search in a study, or a series.
func (b *Bridge) add(p *plan, study, series dicom.UID, row web.DataSet) error {
	i := &instance{
		at:    web.Resource{Kind: web.KindInstance, Study: study, Series: row.UID(dicom.TagSeriesInstanceUID), Instance: row.UID(dicom.TagSOPInstanceUID)},
		class: row.UID(dicom.TagSOPClassUID),
	}
	if series != "" {
		i.at.Series = series
	}
	switch {
	case i.at.Instance.Validate() != nil || i.at.Series.Validate() != nil || p.byUID[i.at.Instance] != nil:
		return nil // it could not be retrieved under this name
	case len(p.instances) == b.config.MaxInstances:
		return errTooMany
	}
	p.instances = append(p.instances, i)
	p.byUID[i.at.Instance] = i
	return nil
}

// classes are the SOP classes of the instances, each once.
func (p *plan) classes() (out []dicom.UID) {
	for _, i := range p.instances {
		if i.class != "" && !slices.Contains(out, i.class) {
			out = append(out, i.class)
		}
	}
	return out
}

// counts are how many sub-operations are in each state.
func (p *plan) counts() (n [failed + 1]int) {
	for _, i := range p.instances {
		n[i.state]++
	}
	return n
}

// counted is a response with the counts.
func (p *plan) counted(status dimse.Status) dimse.Command {
	n := p.counts()
	rsp := dimse.Command{
		Status:                         status,
		NumberOfCompletedSuboperations: number(n[completed]),
		NumberOfFailedSuboperations:    number(n[failed]),
		NumberOfWarningSuboperations:   number(n[warned]),
	}
	if c := status.Class(); c == dimse.ClassPending || c == dimse.ClassCancel {
		rsp.NumberOfRemainingSuboperations = number(n[remaining])
	}
	return rsp
}

func number(n int) *uint16 {
	v := uint16(min(n, 0xFFFF))
	return &v
}
