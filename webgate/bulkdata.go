package webgate

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"cordon/dicom"
	"cordon/dicom/web"
)

// bulkData is WADO-RS of bulk data (PS3.18 §10.4.1.1.4), at the addresses that our
// metadata has: the value is cut from the judged instance. Compressed pixel data is
// given frame by frame.
func (rq *request) bulkData(ctx context.Context) error {
	path, ok := strings.CutPrefix(rq.resource.Bulk, "bulkdata/")
	if !ok || rq.resource.Instance == "" {
		return errNoBulk
	}
	o, parsed, err := rq.parsed(ctx)
	if err != nil {
		return err
	}
	bulk, far := parsed.Bulk(path)
	if far && bulk.Encapsulated {
		numbers := make([]int, min(maxFrames, max(parsed.DataSet.Int(dicom.TagNumberOfFrames), 1)))
		for i := range numbers {
			numbers[i] = i + 1
		}
		return rq.giveFrames(ctx, o, parsed, numbers)
	}
	near, known := valueAt(parsed.DataSet, path)
	if !far && !known {
		return errNoBulk
	}
	ts := dicom.ExplicitVRLittleEndian
	media, ok := rq.accept.Best(web.Related(web.TypeOctetStream, ts), partType(web.Related(web.TypeOctetStream, ts)))
	if !ok {
		return refused(http.StatusNotAcceptable, "bulk data is given as application/octet-stream")
	}
	rq.accessed(rq.resource.Study)
	switch {
	case !far:
		return rq.giveValue(media, near)
	case media.Type == web.TypeRelated:
		return rq.giveParts(ctx, o, media, [][]web.Piece{bulk.Pieces})
	}
	return rq.giveOne(o, media, bulk.Pieces)
}

var errNoBulk = refused(http.StatusNotFound, "no such bulk data: it is where the metadata says")

// maxFrames is how many frames one answer of bulk data has; viewers ask for frames.
const maxFrames = 10_000

// giveOne answers with pieces of the instance as one body.
func (rq *request) giveOne(o *object, media web.MediaType, pieces []web.Piece) error {
	c := &cutter{o: o}
	defer c.close()
	rq.begin(http.StatusOK, media.String())
	for _, p := range pieces {
		if err := c.copy(rq.w, p); err != nil {
			return err
		}
	}
	return rq.end(nil)
}

// giveValue answers with a value that is short enough to be in the metadata.
func (rq *request) giveValue(media web.MediaType, value []byte) error {
	if media.Type != web.TypeRelated {
		rq.begin(http.StatusOK, media.String())
		_, err := rq.w.Write(value)
		return rq.end(err)
	}
	w := web.NewMultipartWriter(rq.w, media)
	rq.begin(http.StatusOK, w.ContentType())
	part, err := w.Part(partType(media), "")
	if err == nil {
		_, err = part.Write(value)
	}
	if err != nil {
		return err
	}
	return rq.end(w.Close())
}

// valueAt finds a value by its path: tags, with the numbers of items from 1 in between.
func valueAt(d web.DataSet, path string) ([]byte, bool) {
	first, rest, nested := strings.Cut(path, "/")
	tag, err := strconv.ParseUint(first, 16, 32)
	e := d.Find(dicom.Tag(tag))
	if err != nil || len(first) != 8 || e == nil {
		return nil, false
	}
	if !nested {
		return e.Value, e.VR != dicom.SQ && e.BulkDataURI == ""
	}
	number, rest, ok := strings.Cut(rest, "/")
	n, err := strconv.Atoi(number)
	if err != nil || !ok || n < 1 || n > len(e.Items) {
		return nil, false
	}
	return valueAt(e.Items[n-1], rest)
}
