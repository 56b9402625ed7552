package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"cordon/custody"
	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
)

// Deliver sends what is in the spool to each archive, oldest first within a
// series, until ctx ends; then it returns nil. There is no limit on attempts:
// an object leaves the spool when the archive has it, or by two people.
func (g *Gateway) Deliver(ctx context.Context) error {
	var running sync.WaitGroup
	for _, a := range g.archives {
		running.Go(func() { g.deliverTo(ctx, a) }) // ends with ctx
	}
	running.Wait()
	return nil
}

// spoolPoll is how often the spool is looked at when nobody wakes its
// deliverer.
const spoolPoll = 2 * time.Second

// batch is how many objects one association delivers at the most.
const batch = 200

func (g *Gateway) deliverTo(ctx context.Context, a *archive) {
	poll := time.NewTicker(spoolPoll)
	defer poll.Stop()
	for {
		for !a.resting() {
			n, err := g.deliverDue(ctx, a)
			if err != nil && ctx.Err() == nil {
				g.parts.Log.Warn("delivery from the spool", "archive", a.upstream.Name, "error", err)
			}
			if n == 0 || err != nil {
				break
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-a.wake:
		case <-poll.C:
		}
	}
}

// deliverDue delivers what is due now, under one calling AE title after the
// other, and returns how many objects an attempt was made with.
func (g *Gateway) deliverDue(ctx context.Context, a *archive) (int, error) {
	due, err := g.parts.Custody.Due(ctx, a.upstream.Name, time.Now(), batch)
	if err != nil || len(due) == 0 {
		return 0, err
	}
	for _, group := range byCallingAE(due) {
		if err := g.deliverGroup(ctx, a, group); err != nil {
			return len(due), err
		}
	}
	return len(due), nil
}

func byCallingAE(due []custody.Object) [][]custody.Object {
	var titles []string
	groups := map[string][]custody.Object{}
	for _, o := range due {
		if _, ok := groups[o.CallingAE]; !ok {
			titles = append(titles, o.CallingAE)
		}
		groups[o.CallingAE] = append(groups[o.CallingAE], o)
	}
	out := make([][]custody.Object, 0, len(titles))
	for _, t := range titles {
		out = append(out, groups[t])
	}
	return out
}

// deliverGroup delivers objects of one calling AE title on one association.
// An error means that the archive cannot be used now; the objects stay due.
func (g *Gateway) deliverGroup(ctx context.Context, a *archive, objects []custody.Object) error {
	up, err := g.associate(ctx, a, dicom.AETitle(objects[0].CallingAE), contextsOf(objects))
	var rejection *ul.Rejection
	if errors.As(err, &rejection) && rejection.Result == ul.RejectedPermanent {
		return g.putOff(ctx, objects, err)
	}
	if err != nil {
		return err
	}
	defer up.Close()
	for _, o := range objects {
		if err := g.deliverOne(ctx, a, up, o); err != nil {
			return err
		}
	}
	return up.Release(ctx)
}

// maxContexts is what one association can propose (PS3.8 §9.3.2.2: odd ids).
const maxContexts = 128

// contextsOf lists the presentation contexts that the objects need, as far as
// one association can propose them; the rest is for the next.
func contextsOf(objects []custody.Object) []ul.ProposedContext {
	var out []ul.ProposedContext
	for _, o := range objects {
		pc := ul.ProposedContext{AbstractSyntax: dicom.UID(o.SOPClassUID), TransferSyntaxes: []dicom.UID{dicom.UID(o.TransferSyntaxUID)}}
		same := func(c ul.ProposedContext) bool {
			return c.AbstractSyntax == pc.AbstractSyntax && c.TransferSyntaxes[0] == pc.TransferSyntaxes[0]
		}
		if len(out) < maxContexts && !slices.ContainsFunc(out, same) {
			out = append(out, pc)
		}
	}
	return out
}

// putOff keeps objects whose calling AE title the archive rejects: a person
// has to look, and they are tried again later.
func (g *Gateway) putOff(ctx context.Context, objects []custody.Object, err error) error {
	for _, o := range objects {
		if err := g.parts.Custody.Failed(ctx, o.ID, custody.Failure{Err: err, RetryAt: time.Now().Add(g.config.RetryMax)}); err != nil {
			return err
		}
	}
	return nil
}

// deliverOne sends one object and records what became of it. An error means
// that the association or the archive cannot be used any more.
func (g *Gateway) deliverOne(ctx context.Context, a *archive, up *dimse.Conn, o custody.Object) error {
	id, err := contextFor(up, dicom.UID(o.SOPClassUID), dicom.UID(o.TransferSyntaxUID))
	if err != nil {
		return g.parts.Custody.Failed(ctx, o.ID, custody.Failure{Err: err, Permanent: true})
	}
	if err := g.parts.Custody.InFlight(ctx, o.ID); err != nil {
		return err
	}
	status, err := g.sendBlob(ctx, up, id, o)
	switch {
	case err != nil:
		a.failed(err, g.config.RetryMin, g.config.RetryMax)
		return errors.Join(err, g.parts.Custody.Failed(ctx, o.ID, custody.Failure{Err: err, RetryAt: time.Now().Add(g.config.RetryMin)}))
	case transient(status):
		err := fmt.Errorf("archive is out of resources (%04X)", uint16(status))
		return g.parts.Custody.Failed(ctx, o.ID, custody.Failure{Err: err, RetryAt: time.Now().Add(g.backOff(o.Attempts))})
	case status.Class() == dimse.ClassFailure:
		err := fmt.Errorf("archive refuses it (%04X)", uint16(status))
		g.parts.Log.Error("an object in the spool needs a person", "id", o.ID, "error", err)
		return g.parts.Custody.Failed(ctx, o.ID, custody.Failure{Err: err, Permanent: true})
	}
	g.counts.delivered.Add(1)
	a.delivered()
	return g.parts.Custody.Delivered(ctx, o.ID, uint16(status))
}

// backOff doubles with each attempt, up to RetryMax.
func (g *Gateway) backOff(attempts int) time.Duration {
	if attempts > 16 {
		return g.config.RetryMax
	}
	return min(g.config.RetryMax, g.config.RetryMin<<attempts)
}

// sendBlob sends the object's bytes as they were judged.
func (g *Gateway) sendBlob(ctx context.Context, up *dimse.Conn, id uint8, o custody.Object) (dimse.Status, error) {
	blob, err := g.parts.Custody.OpenBlob(ctx, o.ID)
	if err != nil {
		return 0, err
	}
	defer blob.Close()
	rq := dimse.StoreRequest{
		SOPClassUID:           dicom.UID(o.SOPClassUID),
		SOPInstanceUID:        dicom.UID(o.SOPInstanceUID),
		Priority:              dimse.Priority(o.Priority),
		MoveOriginatorAETitle: dicom.AETitle(o.MoveOriginatorAE),
	}
	if o.MoveOriginatorAE != "" {
		rq.MoveOriginatorMessageID = &o.MoveOriginatorID
	}
	rsp, err := g.storeTo(ctx, up, id, rq, blob)
	return rsp.Status, err
}
