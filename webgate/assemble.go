package webgate

import (
	"context"
	"errors"
	"io"
	"net/http"

	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/web"
)

// loose is what a request has sent apart from whole files: metadata, and the bulk data
// that it names (PS3.18 §10.5.1). It is put together when all is here.
type loose struct {
	metadata []web.DataSet
	bulk     map[string][]web.BulkPart // by Content-Location, in their order
	buffers  []*custody.Buffer
	bytes    int64 // of metadata, as it came
}

// Limits of one request that sends metadata and bulk data.
const (
	maxLooseBytes = 64 << 20 // of metadata, in all parts together
	maxLoose      = 1024     // instances, and parts of bulk data
)

// maxLooseAll is how many bytes of metadata all requests together may have sent, since
// it stays in memory until its request has come to its end.
const maxLooseAll = 256 << 20

// metadata reads a part that is metadata, as far as there is room for it.
type metadata struct {
	st   *storing
	part io.Reader
}

func (m *metadata) Read(p []byte) (int, error) {
	n, err := m.part.Read(p)
	l := &m.st.loose
	l.bytes += int64(n)
	switch all := m.st.rq.s.loose.Add(int64(n)); {
	case l.bytes > maxLooseBytes:
		return n, errTooMuch
	case all > maxLooseAll:
		return n, errBusy
	}
	return n, err
}

var errTooMuch = refused(http.StatusRequestEntityTooLarge, "more metadata than is taken: send several requests")

// takeOther receives a part that is no whole file.
func (st *storing) takeOther(ctx context.Context, m *web.MultipartReader, part *web.Part) error {
	switch kind := m.Type().Part(); {
	case kind == web.TypeDICOM, kind == "": // and nothing else may be in it
		st.other(statusWrongPart, "a part that is no application/dicom")
		return nil
	case part.Type.IsJSON():
		return st.addMetadata(web.ReadJSON(&metadata{st, part}, web.Limits{Bytes: maxLooseBytes, DataSets: maxLoose}, func(d web.DataSet) error {
			st.loose.metadata = append(st.loose.metadata, d)
			return nil
		}))
	case part.Type.Type == web.TypeXML:
		d, err := web.ReadXML(&metadata{st, part}, web.Limits{Bytes: maxLooseBytes})
		if err == nil {
			st.loose.metadata = append(st.loose.metadata, d)
		}
		return st.addMetadata(err)
	case part.Location == "":
		st.other(statusWrongPart, "a part that is neither metadata nor has a Content-Location")
		return nil
	}
	return st.addBulk(ctx, part)
}

// other notes a part that names no instance, and is not stored.
func (st *storing) other(status dimse.Status, why string) {
	st.refuse(st.expect(), status, why)
}

// addMetadata checks metadata that was read.
func (st *storing) addMetadata(err error) error {
	var format *web.FormatError
	switch {
	case errors.Is(err, errTooMuch):
		return errTooMuch
	case errors.Is(err, errBusy):
		return errBusy
	case errors.As(err, &format) && !errors.Is(err, errStalled) && !errors.Is(err, errTooLong):
		st.other(statusNoObject, "metadata that cannot be read")
		return nil
	case err != nil:
		return err
	case len(st.loose.metadata) > maxLoose:
		return refused(413, "more instances than are taken as metadata: send several requests")
	}
	return nil
}

// addBulk receives bulk data. It is judged as part of its instance.
func (st *storing) addBulk(ctx context.Context, part *web.Part) error {
	if len(st.loose.buffers) == maxLoose {
		return refused(413, "more parts of bulk data than are taken: send several requests")
	}
	b := st.rq.s.parts.Custody.NewSpill()
	st.loose.buffers = append(st.loose.buffers, b)
	n, err := io.Copy(b, io.LimitReader(part, st.rq.s.config.MaxObject+1))
	switch {
	case err != nil && b.Len() < n: // our own disk
		return errors.Join(errBuffer, err)
	case err != nil:
		return err
	case n > st.rq.s.config.MaxObject:
		return errTooLong
	}
	if st.loose.bulk == nil {
		st.loose.bulk = map[string][]web.BulkPart{}
	}
	st.loose.bulk[part.Location] = append(st.loose.bulk[part.Location], web.BulkPart{Type: part.Type, Size: n, Open: b.Open})
	return ctx.Err()
}

// assemble makes files of what came in pieces, and judges each as any other.
func (st *storing) assemble(ctx context.Context) error {
	for _, d := range st.loose.metadata {
		r := st.expect()
		r.class, r.instance = named(d, dicom.TagSOPClassUID), named(d, dicom.TagSOPInstanceUID)
		r.study, r.series = named(d, dicom.TagStudyInstanceUID), named(d, dicom.TagSeriesInstanceUID)
		whole, err := web.Assemble(d, st.loose.bulk)
		if err != nil {
			_, why := answerOf(err)
			st.refuse(r, statusIncomplete, why)
			continue
		}
		o, err := st.rq.receiveFrom(ctx, whole.Write, st.rq.origin())
		switch {
		case errors.Is(err, errTooLong):
			st.refuse(r, statusTooLong, "longer than is taken")
		case err != nil:
			return errors.Join(errBuffer, err)
		default:
			st.settle(ctx, r, o)
		}
	}
	return nil
}

func named(d web.DataSet, t dicom.Tag) dicom.UID { return dicom.UID(clip(string(d.UID(t)), maxUID)) }
