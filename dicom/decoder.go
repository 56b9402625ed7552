package dicom

import "errors"

// ErrClosed is the error of a Write after Close.
var ErrClosed = errors.New("dicom: write to a closed decoder")

// Visitor is told what a decoder reads, in the order of the input. Elements and bytes are
// valid only during the call.
type Visitor interface {
	// Begin comes with the header.
	Begin(e *Element)
	// Value comes with successive pieces of the value, none for an empty one.
	// Sequences, items and encapsulated Pixel Data have none: their content has its own events.
	Value(e *Element, p []byte)
	// End comes once for each Begin, innermost first.
	End(e *Element)
	// Anomaly comes after the Begin and before the End of the element it concerns.
	// Where it concerns none, e is nil.
	Anomaly(e *Element, a Anomaly)
}

// Options tell a decoder what to expect.
type Options struct {
	// TransferSyntax is that of a bare data set, as in a DIMSE message. Empty means a Part 10
	// file, or what can be recognised without preamble or meta information.
	TransferSyntax UID
	// Size is how many bytes will come, if that is known, else 0. Declared lengths are held against it.
	Size int64
	// Limits bound what is followed.
	Limits Limits
}

// Decoder is a push tokenizer: what is written to it comes out as calls of a [Visitor].
//
// Life of an input: a file's first 132 bytes are gathered and show whether there is a
// preamble; the meta information names the transfer syntax; the data set follows, through
// an inflater if it is deflated; a header that cannot be one makes the rest a trailer, at
// the root, or unparsed, elsewhere; Close ends whatever is still open.
//
// The memory it holds depends on [Limits].Depth, not on the input. It is not safe for
// concurrent use.
type Decoder struct {
	visitor Visitor
	options Options
	limits  Limits

	syntax TransferSyntax // of the data set; the zero value until it is known
	state  state
	closed bool

	prefix [prefixSize]byte // stateStart: the first bytes
	head   [longHeader]byte // stateHeader: the bytes of a header so far
	have   int              // how many bytes of prefix or head are there
	need   int              // how many bytes the header has, as far as known
	form   form             // stateHeader: how the header is laid out

	offset    int64   // of the next byte; of the inflated stream while inflated
	element   Element // the value, trailer or unparsed piece under way
	remaining int64   // stateValue: bytes of the value still to come

	meta     bool // in the meta information
	metaUID  UID  // the transfer syntax that it names
	guess    bool // the transfer syntax is to be guessed from the first header
	doubtful bool // the header under way may be the first bytes of something appended
	root     frame
	stack    []frame // open sequences, items and encapsulated Pixel Data, outermost first
	depth    int     // how many of them are not items
	elements int64   // how many have begun
	creator  uint16  // the last private group that a creator at the root announced
	group    groupLength
	captured capture

	inflater  *inflater
	inflated  bool                  // the bytes parsed come from the inflater
	rawOffset int64                 // of the next byte of the input, while inflated
	rawStart  int64                 // of the first byte of the deflate stream
	after     Kind                  // stateAfter: what bytes after the deflate stream are
	checksum  [gzipTrailer + 1]byte // stateAfter: what they may be
}

type state uint8

const (
	stateStart  state = iota // the first bytes of what may be a file
	stateHeader              // the header of an element or item
	stateValue               // the value of an element or fragment
	stateRest                // a trailer or unparsed piece, to the end of the stream
	stateAfter               // after the end of the deflate stream
)

// NewDecoder returns a decoder that tells v what it reads. Close it: a deflated data set
// holds a coroutine until then.
func NewDecoder(v Visitor, o Options) *Decoder {
	d := &Decoder{visitor: v, options: o, limits: o.Limits.withDefaults()}
	d.root = frame{end: noEnd, limit: noEnd, fresh: true}
	if o.TransferSyntax == "" {
		d.need = prefixSize
	}
	return d
}

// TransferSyntax is that of the data set as it is named, or guessed where none is; the zero
// value as long as it is not known. Elements tell how they are really encoded.
func (d *Decoder) TransferSyntax() TransferSyntax { return d.syntax }

// Write reads p. It always takes all of it; after Close its error is ErrClosed.
func (d *Decoder) Write(p []byte) (int, error) {
	if d.closed {
		return 0, ErrClosed
	}
	d.receive(p)
	return len(p), nil
}

// Close says that the input ends here: what is open is ended, and reported as truncated
// where more was declared. Its error is always nil.
func (d *Decoder) Close() error {
	if d.closed {
		return nil
	}
	d.closed = true
	if d.state == stateStart {
		d.begin()
	}
	if d.meta && d.state == stateHeader && len(d.stack) == 0 && d.have > 0 && d.head[0] != metaGroup {
		d.leaveMeta() // less than a header follows it: a short deflate stream, or the rest of something
	}
	if d.inflater != nil {
		d.inflate(nil)
	}
	d.finish(true)
	return nil
}

// receive routes input: first bytes, plain, deflated.
func (d *Decoder) receive(p []byte) {
	if d.state == stateStart {
		n := copy(d.prefix[d.have:d.need], p)
		d.have += n
		p = p[n:]
		if d.have < d.need {
			return
		}
		d.begin()
	}
	if len(p) > 0 && d.inflater == nil {
		p = d.parse(p)
	}
	if len(p) > 0 && d.inflater != nil {
		d.inflate(p)
	}
}

// parse reads plain bytes. It returns those that belong to a deflate stream that has just begun.
func (d *Decoder) parse(p []byte) []byte {
	for len(p) > 0 && (d.inflater == nil || d.inflated) {
		switch d.state {
		case stateHeader:
			p = d.gather(p)
		case stateValue:
			p = d.value(p)
		case stateRest:
			d.offset += int64(len(p))
			d.visitor.Value(&d.element, p)
			return nil
		case stateAfter:
			p = d.beginAfter(p)
		}
	}
	return p
}

// value passes on what p has of the value under way and returns the rest of p.
func (d *Decoder) value(p []byte) []byte {
	n := len(p)
	if int64(n) > d.remaining {
		n = int(d.remaining)
	}
	d.visitor.Value(&d.element, p[:n])
	d.captured.add(p[:n])
	d.offset += int64(n)
	d.remaining -= int64(n)
	if d.remaining == 0 {
		d.endValue()
	}
	return p[n:]
}

// endValue ends the value under way.
func (d *Decoder) endValue() {
	d.element.Header = nil
	d.visitor.End(&d.element)
	d.useCaptured()
	d.boundary()
}

// beginRest begins a trailer or unparsed piece, which starts with the header bytes gathered so far.
func (d *Decoder) beginRest(k Kind, a Anomaly) {
	a.Offset = d.offset - int64(d.have)
	d.element = Element{Kind: k, Offset: a.Offset, ValueOffset: a.Offset, Depth: d.depth, Meta: d.meta, Inflated: d.inflated, parents: d.stack}
	d.state = stateRest
	d.visitor.Begin(&d.element)
	if a.Code != "" {
		d.visitor.Anomaly(&d.element, a)
	}
	if d.have > 0 {
		d.visitor.Value(&d.element, d.head[:d.have])
		d.have = 0
	}
}

// lose gives up the structure: all that follows is unparsed.
func (d *Decoder) lose(code AnomalyCode, detail string) {
	d.beginRest(KindUnparsed, Anomaly{Code: code, Fatal: true, Detail: detail})
}

// note reports an anomaly of e, which does not end the reading.
func (d *Decoder) note(e *Element, code AnomalyCode, detail string) {
	offset := d.offset
	if e != nil {
		offset = e.Offset
	}
	d.visitor.Anomaly(e, Anomaly{Code: code, Offset: offset, Detail: detail})
}

// finish ends all that is open, at the end of the input or of the deflate stream. Where the
// reason for an early end has not been told, it is that the input is truncated.
func (d *Decoder) finish(tell bool) {
	switch d.state {
	case stateHeader:
		d.finishHeader(tell)
	case stateValue:
		if tell {
			d.truncated(&d.element, "value: "+count(d.remaining)+" bytes missing")
		}
		d.element.Header = nil
		d.visitor.End(&d.element)
	case stateAfter:
		d.finishAfter()
	}
	if d.state == stateRest {
		d.visitor.End(&d.element)
	}
	for len(d.stack) > 0 {
		d.closeFrame(nil)
	}
	d.have, d.state, d.after = 0, stateAfter, KindTrailer
}

// finishHeader is finish between values or inside a header.
func (d *Decoder) finishHeader(tell bool) {
	switch {
	case d.have > 0 && tell && d.need == shortHeader && d.afterDataSet():
		d.beginRest(KindTrailer, Anomaly{Code: AnomalyTrailingBytes, Detail: count(int64(d.have)) + " bytes, too few for a header"})
	case d.have > 0 && tell:
		d.lose(AnomalyTruncated, "header: "+count(int64(d.need-d.have))+" bytes missing")
	case d.have > 0:
		d.beginRest(KindUnparsed, Anomaly{})
	case len(d.stack) > 0 && tell:
		d.truncated(d.innermost(), "an item or sequence is not ended")
	}
	d.checkGroup(0xFFFF)
}

func (d *Decoder) truncated(e *Element, detail string) {
	d.visitor.Anomaly(e, Anomaly{Code: AnomalyTruncated, Fatal: true, Offset: d.offset, Detail: detail})
}
