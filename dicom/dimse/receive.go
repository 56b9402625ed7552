package dimse

import (
	"context"
	"fmt"
	"io"

	"cordon/dicom/ul"
)

// maxUnread is how many bytes are skipped of a data set that should not be there: that of a C-ECHO or C-CANCEL, or of a
// request whose message id is in use.
const maxUnread = 1 << 20

// maxEmpty is how many empty fragments may follow each other: they carry nothing, but cost us work.
const maxEmpty = 16

// Message is a received message.
//
// Data is nil if there is no data set. Otherwise it yields the data set as it arrives, then io.EOF after its last
// fragment, or the error that ended the association first: io.ErrUnexpectedEOF if the peer released or closed in the
// middle. It is valid until the next Receive, which skips what was not read.
type Message struct {
	ContextID uint8
	Context   ul.Context
	Command   Command
	Data      io.Reader
}

// Receive returns the next message. The error is io.EOF after the peer released the association, else as of
// ul.Association.ReadPDV. If ctx is done before the next Receive, or before Data is read to its end, the association is aborted.
func (c *Conn) Receive(ctx context.Context) (*Message, error) {
	if err := c.skipData(); err != nil {
		return nil, err
	}
	c.watch(c.a.AbortWhenDone(ctx))
	id, set, err := c.command()
	if err != nil {
		return nil, err
	}
	m := &Message{ContextID: id}
	m.Context, _ = c.a.Context(id)
	if m.Command, err = DecodeCommand(set); err != nil {
		return nil, c.violated("presentation context %d: %w", id, err)
	}
	if m.Command.HasData {
		c.in = data{c: c, id: id, field: m.Command.Field}
		m.Data = &c.in
		if m.Command.Field == CEchoRQ || m.Command.Field == CCancelRQ {
			c.in.unread = maxUnread
		}
	} else {
		c.endWatch()
	}
	return m, nil
}

// skipData reads what is left of the data set of the last message.
func (c *Conn) skipData() error {
	if c.in.c == nil {
		return nil
	}
	in := &c.in
	defer func() { c.in = data{} }()
	if in.unread == 0 {
		_, err := in.WriteTo(io.Discard)
		return err
	}
	n, err := io.Copy(io.Discard, io.LimitReader(in, in.unread+1))
	if err == nil && n > in.unread {
		err = c.violated("presentation context %d: data set longer than %d bytes in %v, which has none or is not performed", in.id, in.unread, in.field)
	}
	return err
}

// command reads the fragments of a command set (PS3.7 §6.3, PS3.8 §E.2). The set is valid until the next read.
func (c *Conn) command() (id uint8, set []byte, err error) {
	for fragments := 0; ; fragments++ {
		pdv, err := c.a.ReadPDV()
		if err != nil {
			if fragments > 0 {
				err = eofIsUnexpected(err)
			}
			return 0, nil, err
		}
		switch {
		case !pdv.Command:
			return 0, nil, c.violated("presentation context %d: data set fragment, want a command", pdv.ContextID)
		case fragments > 0 && pdv.ContextID != id:
			return 0, nil, c.violated("presentation context %d: command fragment inside a command on context %d", pdv.ContextID, id)
		case len(set)+len(pdv.Data) > maxCommand:
			return 0, nil, c.violated("presentation context %d: command set longer than %d bytes", pdv.ContextID, maxCommand)
		case fragments > maxCommand/2:
			return 0, nil, c.violated("presentation context %d: command set in more than %d fragments", pdv.ContextID, fragments)
		}
		id = pdv.ContextID
		if pdv.Last && fragments == 0 {
			return id, pdv.Data, nil
		}
		set = append(set, pdv.Data...)
		if pdv.Last {
			return id, set, nil
		}
	}
}

// violated aborts the association and returns why.
func (c *Conn) violated(format string, args ...any) error {
	c.Abort()
	return fmt.Errorf("message exchange: "+format, args...)
}

// data reads a data set from the fragments that carry it.
type data struct {
	c      *Conn
	id     uint8
	field  CommandField
	unread int64  // bytes that are skipped if nobody reads them; 0: all
	rest   []byte // of the fragment last read
	last   bool   // that was the last one
	empty  int    // empty fragments in a row
	err    error
}

// Read implements io.Reader.
func (d *data) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := d.fragment(); err != nil {
		return 0, err
	}
	n := copy(p, d.rest)
	d.rest = d.rest[n:]
	return n, nil
}

// WriteTo implements io.WriterTo: the fragments go to w without being copied first.
func (d *data) WriteTo(w io.Writer) (total int64, err error) {
	for {
		if err := d.fragment(); err == io.EOF {
			return total, nil
		} else if err != nil {
			return total, err
		}
		n, err := w.Write(d.rest)
		total += int64(n)
		d.rest = d.rest[n:]
		if err != nil {
			return total, err
		}
	}
}

// fragment makes rest hold at least one byte.
func (d *data) fragment() error {
	for len(d.rest) == 0 {
		if d.err == nil {
			d.err = d.next()
		}
		if d.err != nil {
			return d.err
		}
	}
	return nil
}

// next reads the next fragment.
func (d *data) next() error {
	if d.last {
		d.c.endWatch()
		return io.EOF
	}
	pdv, err := d.c.a.ReadPDV()
	if err != nil {
		return fmt.Errorf("reading the data set of %v: %w", d.field, eofIsUnexpected(err))
	}
	switch {
	case pdv.Command:
		return d.c.violated("presentation context %d: command inside the data set of %v on context %d", pdv.ContextID, d.field, d.id)
	case pdv.ContextID != d.id:
		return d.c.violated("presentation context %d: fragment inside the data set of %v on context %d", pdv.ContextID, d.field, d.id)
	}
	d.empty++
	if len(pdv.Data) > 0 {
		d.empty = 0
	}
	if d.empty > maxEmpty {
		return d.c.violated("presentation context %d: more than %d empty fragments in a row", d.id, maxEmpty)
	}
	d.rest, d.last = pdv.Data, pdv.Last
	return nil
}
