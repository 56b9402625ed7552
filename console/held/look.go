package held

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"cordon/console/answer"
	"cordon/custody"
	"cordon/preview"
)

func (p *pages) texts(ctx context.Context, o custody.Object) (all []preview.Text, err error) {
	blob, err := p.Custody.OpenBlob(ctx, o.ID)
	if err != nil {
		return nil, err
	}
	defer blob.Close()
	return p.Previews.Texts(ctx, blob, objectOf(o))
}

func (p *pages) frame(ctx context.Context, o custody.Object, n int) (preview.Frame, error) {
	if f, ok := p.shelf.get(o.ID, n); ok {
		return f, nil
	}
	blob, err := p.Custody.OpenBlob(ctx, o.ID)
	if err != nil {
		return preview.Frame{}, err
	}
	defer blob.Close()
	f, err := p.Previews.Frame(ctx, blob, objectOf(o), n)
	if err == nil {
		p.shelf.put(o.ID, f)
	}
	return f, err
}

// hexView is a window of an object's bytes as people read them.
type hexView struct {
	preview.Window
	Finding  int
	Rows     []hexRow
	Earlier  string // address of the window before; "" if this is the first
	Later    string
	ThePlace string // address of the window that holds the finding
}

// hexRow is 16 bytes.
type hexRow struct {
	Offset int64
	Hex    string
	Text   string // what is no printable ASCII is a full stop
	Marked bool   // the finding is here
	Inside bool   // it is of the piece in which the finding is
}

func (p *pages) bytes(ctx context.Context, o custody.Object, number int, from int64) (v hexView, err error) {
	if number < 0 || number >= len(o.Findings) {
		return v, fmt.Errorf("%w: the object has %d findings, counted from 0", answer.ErrRequest, len(o.Findings))
	}
	blob, err := p.Custody.OpenBlob(ctx, o.ID)
	if err != nil {
		return v, err
	}
	defer blob.Close()
	at := placeOf(o.Findings[number])
	w, err := p.Previews.Bytes(ctx, blob, objectOf(o), at, from)
	if err != nil {
		return v, err
	}
	v = hexView{Window: w, Finding: number, ThePlace: bytesLink(o.ID, number, -1)}
	if w.From > 0 {
		v.Earlier = bytesLink(o.ID, number, max(0, w.From-preview.WindowBytes))
	}
	if w.More {
		v.Later = bytesLink(o.ID, number, w.From+int64(len(w.Data)))
	}
	v.Rows = rowsOf(w)
	return v, nil
}

func bytesLink(id string, finding int, from int64) string {
	link := "?finding=" + strconv.Itoa(finding)
	if from >= 0 {
		link += "&from=" + strconv.FormatInt(from, 10)
	}
	return link
}

const perRow = 16

func rowsOf(w preview.Window) (rows []hexRow) {
	for i := 0; i < len(w.Data); i += perRow {
		p := w.Data[i:min(i+perRow, len(w.Data))]
		at := w.From + int64(i)
		rows = append(rows, hexRow{
			Offset: at, Hex: spaced(p), Text: printable(p),
			Marked: w.At >= at && w.At < at+perRow,
			Inside: w.Path != "" && at+perRow > w.Start && (w.Length < 0 || at < w.Start+w.Length),
		})
	}
	return rows
}

// spaced is hexadecimal with a space between bytes, and two in the middle.
func spaced(p []byte) string {
	var b strings.Builder
	for i := range p {
		if i > 0 {
			b.WriteByte(' ')
		}
		if i == perRow/2 {
			b.WriteByte(' ')
		}
		b.WriteString(hex.EncodeToString(p[i : i+1]))
	}
	return b.String()
}

func printable(p []byte) string {
	out := make([]byte, len(p))
	for i, c := range p {
		if out[i] = c; c < 0x20 || c > 0x7E {
			out[i] = '.'
		}
	}
	return string(out)
}

// showBytes answers with the part of the page that shows bytes.
func (p *pages) showBytes(w http.ResponseWriter, r *http.Request) {
	o, err := p.Custody.Get(r.Context(), r.PathValue("id"))
	if err == nil {
		err = p.seen(r, o, "bytes")
	}
	if err != nil {
		p.refused(w, r, err)
		return
	}
	i := item{Object: o}
	v, err := p.bytes(r.Context(), o, lookedAt(r, o), from(r))
	if i.Hex = &v; err != nil {
		i.Hex, i.NoHex = nil, err.Error()
	}
	p.item.Part(w, r, "bytes", i)
}

// Bytes is a window of an object's bytes for the interface.
type Bytes struct {
	Path     string `json:"path"` // of the piece that the finding is in
	Name     string `json:"name,omitempty"`
	VR       string `json:"vr,omitempty"`
	Start    int64  `json:"start"`  // of the piece
	Length   int64  `json:"length"` // of the piece; -1: to the end
	At       int64  `json:"at"`     // the finding
	From     int64  `json:"from"`
	Hex      string `json:"hex"`
	More     bool   `json:"more,omitempty"`
	Inflated bool   `json:"inflated,omitempty"` // offsets count the inflated stream
}

func (p *pages) apiBytes(w http.ResponseWriter, r *http.Request) {
	o, err := p.Custody.Get(r.Context(), r.PathValue("id"))
	if err == nil {
		err = p.seen(r, o, "bytes")
	}
	var v hexView
	if err == nil {
		v, err = p.bytes(r.Context(), o, lookedAt(r, o), from(r))
	}
	if err != nil {
		refusePreview(w, err)
		return
	}
	answer.JSON(w, Bytes{v.Path, v.Name, v.VR, v.Start, v.Length, v.At, v.From, hex.EncodeToString(v.Data), v.More, v.Inflated})
}

// refusePreview answers that there is none with 404, and that others are being made
// with 503.
func refusePreview(w http.ResponseWriter, err error) {
	var none *preview.None
	switch {
	case errors.As(err, &none):
		answer.Say(w, http.StatusNotFound, err.Error())
	case errors.Is(err, preview.ErrBusy):
		answer.Say(w, http.StatusServiceUnavailable, err.Error())
	default:
		answer.Refuse(w, err)
	}
}

// showFrame answers with a picture that was rendered here. It is given as nothing
// else, and may do nothing.
func (p *pages) showFrame(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.URL.Query().Get("frame"))
	if err != nil {
		n = 0
	}
	o, err := p.Custody.Get(r.Context(), r.PathValue("id"))
	if err == nil {
		err = p.seen(r, o, "frame "+strconv.Itoa(n))
	}
	var f preview.Frame
	if err == nil {
		f, err = p.frame(r.Context(), o, n)
	}
	if err != nil {
		refusePreview(w, err)
		return
	}
	head := w.Header()
	head.Set("Content-Type", "image/png")
	head.Set("Content-Length", strconv.Itoa(len(f.PNG)))
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	head.Set("Cache-Control", "no-store")
	w.Write(f.PNG)
}
