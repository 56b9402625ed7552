package webgate

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"

	"cordon/dicom"
	"cordon/dicom/web"
)

// frames is WADO-RS of frames (PS3.18 §10.4.1.1.5): they are cut from the judged
// instance, as they are stored. Whoever takes them in no form that they are stored in
// gets them as the archive can give them, if it speaks DICOMweb.
func (rq *request) frames(ctx context.Context) error {
	o, parsed, err := rq.parsed(ctx)
	if err != nil {
		return err
	}
	return rq.giveFrames(ctx, o, parsed, rq.resource.Frames)
}

// reading is what a judged instance is made of, read once.
type reading struct {
	once   sync.Once
	object *web.Object
	err    error
}

// parsed is the judged instance, and where its values are.
func (rq *request) parsed(ctx context.Context) (*object, *web.Object, error) {
	it, err := rq.shelved(ctx)
	if err != nil {
		return nil, nil, err
	}
	o := it.object
	o.reading.once.Do(func() {
		if o.reading.object, o.reading.err = o.parse(func(path string) string { return path }); o.reading.err == nil {
			rq.s.shelf.weigh(it, o.reading.object.Weight())
		}
	})
	return o, o.reading.object, o.reading.err
}

// parse reads the metadata of an instance; bulk gives the addresses of the rest.
func (o *object) parse(bulk func(path string) string) (*web.Object, error) {
	data, err := o.buffer.Open()
	if err != nil {
		return nil, errors.Join(errBuffer, err)
	}
	defer data.Close()
	return web.ReadObject(data, web.Limits{}, bulk)
}

// giveFrames answers with frames.
func (rq *request) giveFrames(ctx context.Context, o *object, parsed *web.Object, numbers []int) error {
	media, ok := rq.accept.Best(frameTypes(o.file.TransferSyntaxUID)...)
	if !ok {
		return rq.transcoded(ctx, parsed.DataSet, numbers)
	}
	all := make([][]web.Piece, len(numbers))
	for i, n := range numbers {
		var err error
		if all[i], err = parsed.Frame(n); err != nil {
			return refused(http.StatusNotFound, err.Error())
		}
	}
	rq.accessed(rq.resource.Study)
	return rq.giveParts(ctx, o, media, all)
}

// frameTypes are the media types under which a stored frame can go: that of its
// compression, or bytes whose transfer syntax is named, as viewers ask for them
// (PS3.18 §8.7.3.3).
func frameTypes(ts dicom.UID) []web.MediaType {
	m := web.FrameMedia(ts)
	types := []web.MediaType{web.Related(m.Type, m.TransferSyntax())}
	if m.Type != web.TypeOctetStream {
		types = append(types, web.Related(web.TypeOctetStream, m.TransferSyntax()))
	}
	return types
}

// giveParts answers with pieces of the instance, a part for each list of them.
func (rq *request) giveParts(ctx context.Context, o *object, media web.MediaType, parts [][]web.Piece) error {
	c := &cutter{o: o}
	defer c.close()
	w := web.NewMultipartWriter(rq.w, media)
	kind := partType(media)
	rq.begin(http.StatusOK, w.ContentType())
	for _, pieces := range parts {
		part, err := w.Part(kind, "")
		if err != nil {
			return err
		}
		for _, p := range pieces {
			if err := c.copy(part, p); err != nil {
				return err
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return rq.end(w.Close())
}

// partType is the type of the parts of a multipart type.
func partType(media web.MediaType) web.MediaType {
	m := web.Single(media.Part())
	if ts := media.TransferSyntax(); ts != "" {
		m.Params = map[string]string{"transfer-syntax": string(ts)}
	}
	return m
}

// end counts an answer that was written to its end.
func (rq *request) end(err error) error {
	if err == nil {
		rq.count(answered)
	}
	return err
}

// cutter copies pieces of a judged instance. It reads forwards, and begins again for
// what lies behind.
type cutter struct {
	o    *object
	data io.ReadCloser // nil: not begun
	at   int64
}

func (c *cutter) copy(w io.Writer, p web.Piece) error {
	if c.data == nil || p.Offset < c.at {
		c.close()
		data, err := c.o.buffer.Open()
		if err != nil {
			return errors.Join(errBuffer, err)
		}
		c.data, c.at = data, 0
	}
	err := web.CopyPieces(w, c.data, []web.Piece{{Offset: p.Offset - c.at, Length: p.Length}})
	c.at = p.Offset + p.Length
	return err
}

func (c *cutter) close() {
	if c.data != nil {
		c.data.Close()
	}
	c.data = nil
}

// transcoded asks the archive for frames that it has to decode: of an instance that
// was judged, uncompressed, and exactly as long as its attributes say, so that there is
// room for nothing but pixels.
func (rq *request) transcoded(ctx context.Context, d web.DataSet, numbers []int) error {
	plain := web.Related(web.TypeOctetStream, dicom.ExplicitVRLittleEndian)
	length, sized := frameLength(d)
	if _, ok := rq.accept.Best(plain); !ok || rq.up.Web == nil || !sized {
		return refused(http.StatusNotAcceptable, "frames are given as they are stored: ask for transfer-syntax=*")
	}
	if length*int64(len(numbers)) > rq.s.config.MaxAhead {
		return refused(http.StatusRequestEntityTooLarge, "the frames are longer than is given at once: ask for fewer")
	}
	p := &pile{custody: rq.s.parts.Custody}
	defer p.discard()
	r := rq.resource
	r.Kind, r.Frames = web.KindFrames, numbers
	err := rq.up.Web.Retrieve(ctx, r, web.Accept{plain}, func(part *web.Part) error {
		if part.Type.Part() != web.TypeOctetStream || len(p.entries) == len(numbers) {
			return errOther
		}
		b := rq.s.parts.Custody.NewBuffer()
		n, err := io.Copy(b, io.LimitReader(part, length+2))
		if err == nil && n != length && n != length+length%2 {
			err = errOther
		}
		if err != nil {
			b.Discard()
			return err
		}
		return p.add(b, nil)
	})
	rq.up.asked(err)
	switch {
	case err != nil:
		return err
	case len(p.entries) != len(numbers):
		return errOther
	}
	rq.accessed(rq.resource.Study)
	w := web.NewMultipartWriter(rq.w, plain)
	rq.begin(http.StatusOK, w.ContentType())
	err = p.each(func(data io.Reader, _ entry) error {
		part, err := w.Part(partType(plain), "")
		if err == nil {
			_, err = io.Copy(part, data)
		}
		return err
	})
	if err != nil {
		return err
	}
	return rq.end(w.Close())
}

// frameLength is how many bytes a decoded frame has, by its attributes.
func frameLength(d web.DataSet) (int64, bool) {
	bits := int64(1)
	for _, t := range []dicom.Tag{dicom.TagRows, dicom.TagColumns, dicom.TagSamplesPerPixel, dicom.TagBitsAllocated} {
		n := int64(d.Int(t))
		if n < 1 || n > 1<<16 {
			return 0, false
		}
		bits *= n // at most 2^64 of four, and 2^53 of what dicom's limits let through
		if bits > 1<<43 {
			return 0, false
		}
	}
	return bits / 8, bits%8 == 0
}
