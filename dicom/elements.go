package dicom

import "fmt"

// DataElement is an element of a small data set.
type DataElement struct {
	Tag Tag
	VR  VR
	// Depth is how many sequences enclose it.
	Depth int
	// Value is as encoded; empty for sequences and items.
	Value []byte
	// BigEndian tells the byte order of Value.
	BigEndian bool
}

// ReadElements reads a small data set that is in memory, such as a command set or an
// identifier: all elements in their order, those inside sequences and the items themselves
// included. It holds at most max elements and as many bytes as p, of a deflated
// data set 64 times as many. Anything after which the structure is not certain is an error; so are trailing bytes.
func ReadElements(p []byte, ts TransferSyntax, max int) ([]DataElement, error) {
	c := collector{max: max}
	d := NewDecoder(&c, Options{
		TransferSyntax: ts.UID,
		Size:           int64(len(p)),
		Limits:         Limits{Elements: int64(max), InflateBytes: 64*int64(len(p)) + 1},
	})
	d.receive(p)
	d.Close()
	if c.err != nil {
		return nil, fmt.Errorf("reading a data set: %w", c.err)
	}
	return c.elements, nil
}

// collector is the visitor of ReadElements.
type collector struct {
	max      int
	elements []DataElement
	err      error
}

func (c *collector) Begin(e *Element) {
	switch {
	case e.Kind == KindTrailer || e.Kind == KindUnparsed || c.err != nil:
	case len(c.elements) == c.max:
		c.err = fmt.Errorf("more than %d elements", c.max)
	default:
		c.elements = append(c.elements, DataElement{Tag: e.Tag, VR: e.VR, Depth: e.Depth, BigEndian: e.BigEndian})
	}
}

func (c *collector) Value(e *Element, p []byte) {
	if e.Kind == KindTrailer || e.Kind == KindUnparsed || c.err != nil {
		return
	}
	last := &c.elements[len(c.elements)-1]
	last.Value = append(last.Value, p...)
}

func (c *collector) End(*Element) {}

func (c *collector) Anomaly(e *Element, a Anomaly) {
	if c.err == nil && (a.Fatal || a.Code == AnomalyTrailingBytes) {
		c.err = fmt.Errorf("%s at offset %d: %s", a.Code, a.Offset, a.Detail)
	}
}
