// Package demo plays a small hospital: a few modalities that store studies
// through a gateway, one of them infected. What it sends is made up on the
// spot, with fresh UIDs and patients out of a play; the hostile objects carry
// the EICAR test string or the bare header of a program, and do nothing.
//
//	summary, err := demo.Play(ctx, demo.Config{
//		Address: "127.0.0.1:11112", Called: "CORDON", Log: log,
//		Pace: 5 * time.Second, // between studies; Rounds: 0 plays until ctx ends
//	})
//
// One round is one study of each modality, about 20 objects and 0.8 MB. It
// speaks to the gateway as a modality does, over the network, and knows nothing
// of what becomes of what it sent: a held object is answered with success. At the
// end of a study it asks for storage commitment and waits a little for the
// answer, in which what is held is not committed.
//
// It will not send anything that could do harm, nor anything like a person's
// data.
package demo

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"time"

	"cordon/dicom"
	"cordon/dicom/commit"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
	"cordon/inspect/compose"
)

// Config says where to play, how fast and how long.
type Config struct {
	Address string        // of the gateway, host:port
	Called  dicom.AETitle // the gateway's
	Log     *slog.Logger  // one line a study; none if nil
	Pace    time.Duration // between studies
	Rounds  int           // how often each modality sends a study; 0 is until ctx ends
}

// Summary counts what was sent.
type Summary struct {
	Studies int
	Stored  int // objects answered with success or a warning, hostile ones among them
	Hostile int // of these
	Failed  int // objects that were not taken, or could not be sent

	Committed   int // objects that the archive answers for
	Uncommitted int // objects of which the modality was told that it does not
}

// Play sends studies until the rounds are over or ctx ends. A study that could
// not be sent is logged, counted and followed by the next; the error is the
// last one's, and nil if anything at all was stored.
func Play(ctx context.Context, c Config) (Summary, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	p := play{Config: c}
	var last error
	for round := 0; c.Rounds == 0 || round < c.Rounds; round++ {
		for _, m := range cast {
			if err := p.study(ctx, m, round); err != nil && ctx.Err() == nil {
				last = err
				c.Log.Warn("demo: study not sent", "modality", m.title, "err", err)
			}
			select {
			case <-ctx.Done():
				return p.sum, nil
			case <-time.After(c.Pace):
			}
		}
	}
	if p.sum.Stored > 0 {
		return p.sum, nil
	}
	return p.sum, last
}

// play is one run of the play.
type play struct {
	Config
	sum Summary
}

// study sends one study of a modality on one association.
func (p *play) study(ctx context.Context, m modality, round int) error {
	objects := m.study(round)
	before := p.sum
	err := p.send(ctx, m.title, objects)
	p.sum.Failed += len(objects) - (p.sum.Stored - before.Stored)
	if err != nil {
		return err
	}
	p.sum.Studies++
	p.Log.Info("demo: study sent", "modality", m.title, "objects", p.sum.Stored-before.Stored, "hostile", p.sum.Hostile-before.Hostile,
		"committed", p.sum.Committed-before.Committed, "not_committed", p.sum.Uncommitted-before.Uncommitted)
	return nil
}

// send stores the objects in order. What the gateway does not take is passed
// over; an error ends the association.
func (p *play) send(ctx context.Context, calling dicom.AETitle, objects []object) error {
	a, err := ul.Dial(ctx, p.Address, nil, ul.Request{Calling: calling, Called: p.Called, Contexts: append(contexts(objects), commitmentContext)}, ul.Limits{})
	if err != nil {
		return fmt.Errorf("no association with %s: %w", p.Address, err)
	}
	conn := dimse.NewConn(a)
	defer conn.Close()
	var stored []commit.Reference
	for _, o := range objects {
		id, ok := contextOf(a, o)
		if !ok {
			continue
		}
		rq := dimse.StoreRequest{SOPClassUID: o.SOPClass, SOPInstanceUID: o.Instance}
		rsp, err := conn.Store(ctx, id, rq, bytes.NewReader(o.DataSet()))
		if err != nil {
			return err
		}
		if rsp.Status.Class() == dimse.ClassFailure {
			continue
		}
		p.sum.Stored++
		stored = append(stored, commit.Reference{SOPClassUID: o.SOPClass, SOPInstanceUID: o.Instance})
		if o.hostile {
			p.sum.Hostile++
		}
	}
	if err := p.askCommitment(ctx, conn, stored); err != nil {
		return err
	}
	return conn.Release(ctx)
}

// contexts proposes each pair of SOP class and transfer syntax once.
func contexts(objects []object) []ul.ProposedContext {
	type pair struct{ class, syntax dicom.UID }
	seen := map[pair]bool{}
	var out []ul.ProposedContext
	for _, o := range objects {
		if p := (pair{o.SOPClass, o.TransferSyntax}); !seen[p] {
			seen[p] = true
			out = append(out, ul.ProposedContext{AbstractSyntax: p.class, TransferSyntaxes: []dicom.UID{p.syntax}})
		}
	}
	return out
}

// contextOf finds the accepted context for an object.
func contextOf(a *ul.Association, o object) (uint8, bool) {
	for _, pc := range a.Contexts() {
		if pc.AbstractSyntax == o.SOPClass && pc.TransferSyntax == o.TransferSyntax {
			return pc.ID, true
		}
	}
	return 0, false
}

// An object is one instance of a study.
type object struct {
	*compose.Object
	hostile bool
}
