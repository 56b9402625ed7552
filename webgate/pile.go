package webgate

import (
	"io"

	"cordon/custody"
)

// pile keeps what was judged until the response begins. Files that are small lie one
// after the other in one buffer, which is a file as soon as it is long, so that neither
// memory nor open files grow with their number.
type pile struct {
	custody *custody.Custody
	entries []entry
	bytes   int64
	large   int
	spill   *custody.Buffer // nil without small ones
}

// entry is one judged file or text.
type entry struct {
	own  *custody.Buffer // nil: the next size bytes of the spill
	size int64
	tag  any // what it is, to who piled it up
}

const (
	smallFile = 1 << 20 // bytes, as many as a buffer keeps in memory
	maxLarge  = 256     // files with a buffer of their own
)

// add takes a buffer over. It is discarded with the pile, or now.
func (p *pile) add(b *custody.Buffer, tag any) error {
	size := b.Len()
	p.bytes += size
	if size > smallFile {
		p.large++
		p.entries = append(p.entries, entry{b, size, tag})
		return nil
	}
	defer b.Discard()
	r, err := b.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	return p.write(r, size, tag)
}

// write adds size bytes of r.
func (p *pile) write(r io.Reader, size int64, tag any) error {
	if p.spill == nil {
		p.spill = p.custody.NewPile()
	}
	if _, err := io.Copy(p.spill, r); err != nil {
		return err
	}
	p.entries = append(p.entries, entry{nil, size, tag})
	return nil
}

// each hands out the entries in their order. Each reader is to be read to its end.
func (p *pile) each(fn func(r io.Reader, e entry) error) error {
	var spill io.ReadCloser
	if p.spill != nil {
		var err error
		if spill, err = p.spill.Open(); err != nil {
			return err
		}
		defer spill.Close()
	}
	for _, e := range p.entries {
		if err := p.one(spill, e, fn); err != nil {
			return err
		}
	}
	return nil
}

func (p *pile) one(spill io.Reader, e entry, fn func(io.Reader, entry) error) error {
	if e.own == nil {
		return fn(io.LimitReader(spill, e.size), e)
	}
	r, err := e.own.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	return fn(r, e)
}

// full reports whether no more should be piled up.
func (p *pile) full(max int64) bool { return p.bytes > max || p.large >= maxLarge }

// discard frees what is piled up.
func (p *pile) discard() {
	for _, e := range p.entries {
		if e.own != nil {
			e.own.Discard()
		}
	}
	if p.spill != nil {
		p.spill.Discard()
	}
	p.entries, p.spill = nil, nil
}
