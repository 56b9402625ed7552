package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
)

type sendCommand struct {
	peer
	Paths []string `arg:"" name:"path" help:"DICOM files and folders."`
}

// maxContexts is how many presentation contexts one association can have: their
// ids are the odd numbers below 256 (PS3.8 §9.3.2.2).
const maxContexts = 128

// Run sends every object as it is in its file, in the order of the walk: 0 if
// all were stored, 1 if some were not, 2 without an association.
func (c sendCommand) Run(ctx context.Context, std stdio) error {
	s := sending{peer: c.peer, std: std, bar: newProgress(std), start: time.Now()}
	objects := s.collect(c.Paths)
	if len(objects) == 0 {
		return failure{1, errors.New("nothing to send")}
	}
	for _, batch := range batches(objects) {
		if err := s.association(ctx, batch); err != nil {
			return err
		}
	}
	s.bar.clear()
	fmt.Fprintln(std.out, s.summary())
	if s.failed > 0 {
		return failure{1, nil}
	}
	return nil
}

// sending is one run of send.
type sending struct {
	peer   peer
	std    stdio
	bar    *progress
	start  time.Time
	stored int
	failed int
	bytes  int64 // of stored data sets

	told func(path string, err error) // what became of an object, nil for stored; nil prints what was not
}

// collect reads the beginning of every file. What cannot be sent is said and
// counts as failed.
func (s *sending) collect(paths []string) []object {
	var objects []object
	var bytes int64
	walk(paths, func(path string) error {
		o, err := readObject(path, openFile)
		if err != nil {
			s.fail(path, err)
			return nil
		}
		objects = append(objects, o)
		bytes += o.size
		return nil
	}, s.fail)
	s.bar.total(int64(len(objects)), bytes)
	return objects
}

func (s *sending) fail(path string, err error) {
	s.failed++
	if s.told != nil {
		s.told(path, err)
		return
	}
	s.bar.clear()
	fmt.Fprintf(s.std.err, "not stored: %s: %s\n", printable(path), printable(err.Error()))
}

// pair is what a presentation context is proposed for.
type pair struct{ class, syntax dicom.UID }

// batches splits the objects so that the contexts of each batch fit one
// association.
func batches(objects []object) [][]object {
	var out [][]object
	seen := map[pair]bool{}
	first := 0
	for i, o := range objects {
		p := pair{o.SOPClassUID, o.TransferSyntaxUID}
		if !seen[p] && len(seen) == maxContexts {
			out = append(out, objects[first:i])
			first = i
			clear(seen)
		}
		seen[p] = true
	}
	return append(out, objects[first:])
}

func contexts(objects []object) []ul.ProposedContext {
	seen := map[pair]bool{}
	var out []ul.ProposedContext
	for _, o := range objects {
		if p := (pair{o.SOPClassUID, o.TransferSyntaxUID}); !seen[p] {
			seen[p] = true
			out = append(out, ul.ProposedContext{AbstractSyntax: p.class, TransferSyntaxes: []dicom.UID{p.syntax}})
		}
	}
	return out
}

// association sends a batch. An association that breaks in the middle costs the
// object that was under way; the rest goes over a new one.
func (s *sending) association(ctx context.Context, objects []object) error {
	for len(objects) > 0 {
		conn, err := s.peer.dial(ctx, contexts(objects))
		if err != nil {
			s.bar.clear()
			return err
		}
		ids := map[pair]uint8{}
		for _, pc := range conn.Association().Contexts() {
			ids[pair{pc.AbstractSyntax, pc.TransferSyntax}] = pc.ID
		}
		objects, err = s.send(ctx, conn, ids, objects)
		if err == nil {
			err = conn.Release(ctx)
		}
		conn.Close()
		if ctx.Err() != nil {
			s.bar.clear()
			return failure{1, errors.New("interrupted: " + s.summary())}
		}
		if err != nil && len(objects) > 0 {
			s.bar.clear()
			fmt.Fprintf(s.std.err, "association lost (%v), requesting another\n", err)
		}
	}
	return nil
}

// send returns the objects that are left when the association breaks.
func (s *sending) send(ctx context.Context, conn *dimse.Conn, ids map[pair]uint8, objects []object) ([]object, error) {
	for i, o := range objects {
		id, ok := ids[pair{o.SOPClassUID, o.TransferSyntaxUID}]
		if !ok {
			s.fail(o.path, fmt.Errorf("the peer does not take %s in %s", uidName(o.SOPClassUID), uidName(o.TransferSyntaxUID)))
			continue
		}
		if err := s.store(ctx, conn, id, o); err != nil {
			s.fail(o.path, err)
			return objects[i+1:], err
		}
	}
	return nil, nil
}

// store sends one object. Its error means that the association is broken.
func (s *sending) store(ctx context.Context, conn *dimse.Conn, id uint8, o object) error {
	f, _, err := o.open(o.path)
	if err != nil {
		s.fail(o.path, err)
		return nil
	}
	defer f.Close()
	data := meter{ctx, o.dataSet(f), s.bar}
	rsp, err := conn.Store(ctx, id, dimse.StoreRequest{SOPClassUID: o.SOPClassUID, SOPInstanceUID: o.SOPInstanceUID}, data)
	if err != nil {
		return err
	}
	switch rsp.Status.Class() {
	case dimse.ClassSuccess, dimse.ClassWarning:
		s.stored++
		s.bytes += o.size
		if s.told != nil {
			s.told(o.path, nil)
		}
		s.bar.add(1, 0)
	default:
		s.fail(o.path, fmt.Errorf("status %04XH %s", uint16(rsp.Status), rsp.ErrorComment))
	}
	return nil
}

func (s *sending) summary() string {
	seconds := time.Since(s.start).Seconds()
	return fmt.Sprintf("%d stored, %d not; %s in %.1f s (%.0f objects/s, %s/s)",
		s.stored, s.failed, size(s.bytes), seconds, float64(s.stored)/seconds, size(int64(float64(s.bytes)/seconds)))
}

// uidName is the registered name of a UID, or the UID.
func uidName(u dicom.UID) string {
	if ts, ok := dicom.LookupTransferSyntax(u); ok {
		return ts.Name
	}
	if known, ok := dicom.LookupUID(u); ok && known.Name != "" {
		return known.Name
	}
	return string(u)
}
