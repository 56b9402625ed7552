package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"cordon/custody"
	"cordon/dicom"
	"cordon/finding"
	"cordon/judge"
	"cordon/policy"
)

// What a contained device sends is inspected as it arrives, by the strictest rules,
// and made durable here before it is acknowledged; so the device is as fast as ever.
// It is delivered once every engine has scanned all of it, pixel data too. That it is
// not to be delivered before is in its row: a crash between any two steps leaves it
// waiting, and it is scanned again.
//
// What an engine could not scan waits, and is tried again; people are alarmed
// (contain does that), and a person may let it pass.

// paranoid reports whether the association's device is contained, or whoever is at its
// address.
func (s *session) paranoid() bool {
	return s.g.parts.Paranoid != nil && s.private == "" && s.g.parts.Paranoid(s.admission.Device, s.peer)
}

// scanner scans what waits for it.
type scanner struct {
	wake chan struct{} // has room for one
}

func (s *scanner) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

const (
	scanPoll  = time.Second      // at least so often the rows are looked at
	scanBatch = 16               // rows at a time
	scanAgain = 15 * time.Second // after an engine could not scan an object
	scanners  = 2                // objects at a time
)

// scan scans what waits until ctx ends.
func (g *Gateway) scan(ctx context.Context) {
	poll := time.NewTicker(scanPoll)
	defer poll.Stop()
	for {
		if n := g.scanDue(ctx); n == scanBatch {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-g.scanner.wake:
		case <-poll.C:
		}
	}
}

// scanDue scans what is due, and returns how many objects that were. After an error
// it is none, so that it is tried again later.
func (g *Gateway) scanDue(ctx context.Context) int {
	defer g.survive("scan")
	if ctx.Err() != nil {
		return 0
	}
	due, err := g.parts.Custody.Awaiting(ctx, time.Now(), scanBatch)
	if err != nil {
		g.parts.Log.Error("what waits to be scanned is not known", "error", err)
		return 0
	}
	work, failed := make(chan custody.Object), make(chan error, len(due))
	var running sync.WaitGroup
	for range min(scanners, len(due)) {
		running.Go(func() { // ends with the objects
			for o := range work {
				if err := g.scanApart(ctx, o); err != nil {
					failed <- err
				}
			}
		})
	}
	for _, o := range due {
		select {
		case work <- o:
		case <-ctx.Done():
		}
	}
	close(work)
	running.Wait()
	close(failed)
	for err := range failed {
		if ctx.Err() == nil {
			g.parts.Log.Error("an object of a contained device is not scanned yet", "error", err)
		}
		due = nil
	}
	return len(due)
}

// scanApart is scanOne; a fault of ours in one object keeps no other one waiting.
func (g *Gateway) scanApart(ctx context.Context, o custody.Object) (err error) {
	done := false
	defer func() {
		if !done {
			err = g.parts.Custody.ScanLater(ctx, o.ID, time.Now().Add(scanAgain), o.Engines)
		}
	}()
	defer g.survive("scan")
	err = g.scanOne(ctx, o)
	done = true
	return err
}

// scanOne judges an object again, with every engine, and does what follows.
func (g *Gateway) scanOne(ctx context.Context, o custody.Object) error {
	report, decision, err := g.judgeAgain(ctx, o)
	switch {
	case ctx.Err() != nil:
		return ctx.Err() // it still waits
	case err != nil: // its copy is damaged, say: said by custody, and seen to by a person
		return errors.Join(err, g.parts.Custody.ScanLater(ctx, o.ID, time.Now().Add(scanAgain), o.Engines))
	case decision.Verdict != finding.Admit:
		g.counts.held.Add(1)
		g.parts.Log.Warn("object of a contained device held", "id", o.ID, "reason", decision.Reason)
		return g.parts.Custody.Stop(ctx, o.ID, report.Findings, report.Engines)
	case unscanned(report.Engines):
		return g.parts.Custody.ScanLater(ctx, o.ID, time.Now().Add(scanAgain), report.Engines)
	}
	if err := g.parts.Custody.Scanned(ctx, o.ID, report.Findings, report.Engines); err != nil {
		return err
	}
	g.wakeFor(o)
	return nil
}

// judgeAgain reads an object through a judgement. That an engine could not scan it
// is not decided on: it waits.
func (g *Gateway) judgeAgain(ctx context.Context, o custody.Object) (report finding.Report, d policy.Decision, err error) {
	data, err := g.parts.Custody.OpenBlob(ctx, o.ID)
	if err != nil {
		return report, d, fmt.Errorf("scanning object %s: %w", o.ID, err)
	}
	defer data.Close()
	origin := policy.Origin{Device: o.Device, CallingAE: dicom.AETitle(o.CallingAE)}
	jm := g.parts.Judge.Begin(judge.Source{
		TransferSyntax: dicom.UID(o.TransferSyntaxUID),
		SOPClassUID:    dicom.UID(o.SOPClassUID),
		SOPInstanceUID: dicom.UID(o.SOPInstanceUID),
		Strict:         true,
		Origin:         origin,
		Exceptions:     g.parts.Exceptions.For(origin, time.Now()),
	})
	if _, err = io.Copy(jm, data); err != nil {
		ended, cancel := context.WithCancel(ctx)
		cancel()
		ctx = ended
	}
	report, d = jm.Finish(ctx)
	return report, d, err
}

// PassUnscanned has what waits to be scanned of a device delivered all the same,
// because a person says so, and returns how many objects that were. Copies stay to be
// judged again, as of whatever passed unscanned.
func (g *Gateway) PassUnscanned(ctx context.Context, device string, rq custody.Request) (n int, err error) {
	const batch = 1000
	for {
		due, err := g.parts.Custody.AwaitingFrom(ctx, device, batch)
		if err != nil || len(due) == 0 {
			return n, err
		}
		for _, o := range due {
			switch err := g.passOne(ctx, o, rq); {
			case errors.Is(err, custody.ErrState): // it was scanned meanwhile
			case err != nil:
				return n, err
			default:
				n++
			}
		}
	}
}

func (g *Gateway) passOne(ctx context.Context, o custody.Object, rq custody.Request) error {
	if g.parts.Passed != nil {
		if err := g.copyBeforeItPasses(ctx, o); err != nil {
			return err
		}
	}
	if err := g.parts.Custody.PassUnscanned(ctx, o.ID, rq); err != nil {
		return err
	}
	g.wakeFor(o)
	return nil
}

func (g *Gateway) copyBeforeItPasses(ctx context.Context, o custody.Object) error {
	data, err := g.parts.Custody.OpenBlob(ctx, o.ID)
	if err != nil {
		return err
	}
	defer data.Close()
	b := g.parts.Custody.NewBuffer()
	defer b.Discard()
	if _, err := io.Copy(b, data); err != nil {
		return err
	}
	g.parts.Passed(b, o, false)
	return nil
}
