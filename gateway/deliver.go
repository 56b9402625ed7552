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
	"cordon/judge"
	"cordon/transfer"
)

// Deliver sends what is in the spool to each archive, urgent objects first and
// oldest first within a series, until ctx ends; then it returns nil. An object leaves the spool when the archive
// has it, or by two people. While an archive is away or silent there is no
// limit on attempts. What modalities send themselves goes first.
func (g *Gateway) Deliver(ctx context.Context) error {
	var running sync.WaitGroup
	for _, a := range g.archives {
		running.Go(func() { g.deliverTo(ctx, a) }) // ends with ctx
		running.Go(func() { g.probe(ctx, a) })     // ends with ctx
	}
	running.Go(func() { g.deliverOut(ctx) }) // ends with ctx
	running.Go(func() { g.prune(ctx) })      // ends with ctx
	running.Go(func() { g.scan(ctx) })       // ends with ctx
	running.Wait()
	return nil
}

// spoolPoll is how often the spool is looked at, at least, when nobody wakes
// its deliverer.
const spoolPoll = 2 * time.Second

// batch is how many objects one association delivers at the most.
const batch = 200

func (g *Gateway) deliverTo(ctx context.Context, a *archive) {
	poll := time.NewTicker(min(spoolPoll, g.config.RetryMin))
	defer poll.Stop()
	for {
		g.deliverAll(ctx, a)
		select {
		case <-ctx.Done():
			return
		case <-a.wake:
		case <-poll.C:
		}
	}
}

// deliverAll delivers until nothing is due or something is wrong. It is the only
// one that delivers to a, so whatever is in flight when it ends was not
// recorded to its end, and is due again.
func (g *Gateway) deliverAll(ctx context.Context, a *archive) {
	defer g.survive("delivery")
	for !a.resting() {
		n, err := g.deliverDue(ctx, a)
		if err != nil && ctx.Err() == nil {
			g.parts.Log.Warn("delivery from the spool", "archive", a.upstream.Name, "error", err)
		}
		if err := g.parts.Custody.Land(ctx, a.upstream.Name); err != nil && ctx.Err() == nil {
			g.parts.Log.Warn("delivery from the spool", "archive", a.upstream.Name, "error", err)
		}
		if n == 0 || err != nil {
			return
		}
	}
}

// deliverDue delivers what is due now, on as many associations at a time as may
// be, and returns how many objects an attempt was made with.
func (g *Gateway) deliverDue(ctx context.Context, a *archive) (int, error) {
	a.hurry.Store(false)
	due, err := g.parts.Custody.Due(ctx, a.upstream.Name, time.Now(), batch)
	if err != nil || len(due) == 0 {
		return 0, err
	}
	n := a.deliverers()
	return len(due), g.deliverShares(ctx, a, n, shares(due, n))
}

// shares cuts what is due into what one association delivers: objects of one
// calling AE title, all urgent or none, in the order in which they are due.
// About as many shares as associations come out, or one for each title.
func shares(due []custody.Object, associations int) [][]custody.Object {
	type kind struct {
		title  string
		urgent bool
	}
	most := (len(due) + associations - 1) / associations
	var out [][]custody.Object
	open := map[kind]int{} // the share that takes the next
	for _, o := range due {
		k := kind{o.CallingAE, o.Urgent()}
		i, ok := open[k]
		if !ok || len(out[i]) >= most {
			i = len(out)
			out, open[k] = append(out, nil), i
		}
		out[i] = append(out[i], o)
	}
	return out
}

// deliverShares delivers on n associations at a time, the shares in their order,
// until all are delivered or one fails; then those under way are seen to their end.
// The first goes ahead: while it has not associated, nobody knows whether the
// archive has a place at all.
func (g *Gateway) deliverShares(ctx context.Context, a *archive, n int, all [][]custody.Object) error {
	c := &crew{left: all, associated: make(chan struct{})}
	c.ahead = sync.OnceFunc(func() { close(c.associated) })
	var running sync.WaitGroup
	for p := range place(min(n, len(all))) {
		running.Go(func() { // ends with the shares
			defer g.survive("delivery")
			if p == first {
				defer c.ahead()
			} else {
				<-c.associated
			}
			for share := c.take(); share != nil; share = c.take() {
				if err := g.deliverShare(ctx, a, p, c, share); err != nil && !c.leave(share, err) {
					return
				}
			}
		})
	}
	running.Wait()
	if c.full && len(c.errs) == 0 {
		a.full()
	}
	return errors.Join(c.errs...)
}

// crew is the associations that deliver together, and what is left for them.
type crew struct {
	associated chan struct{} // closed when the first has associated, or has ended
	ahead      func()        // closes it

	mu   sync.Mutex
	left [][]custody.Object
	errs []error
	full bool // the archive had no place for one of them
	up   int  // associations now
}

// take is the next share; nil if there is none, or one has failed.
func (c *crew) take() []custody.Object {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.left) == 0 || len(c.errs) > 0 {
		return nil
	}
	share := c.left[0]
	c.left = c.left[1:]
	return share
}

// leave takes a share back that could not be delivered, and reports whether its
// association may try another.
func (c *crew) leave(share []custody.Object, err error) (goOn bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if errors.Is(err, errFull) {
		c.left, c.full = slices.Insert(c.left, 0, share), true
		return false
	}
	c.errs = append(c.errs, err)
	return true
}

// began notes an association, ended that it was released.
func (c *crew) began() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.up++
	c.ahead()
}

func (c *crew) ended(a *archive) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.up--
	a.served.Store(time.Now().UnixNano())
}

// at reports whether the archive serves one of them now.
func (c *crew) at() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.up > 0
}

// delivery is one association that empties the spool.
type delivery struct {
	g     *Gateway
	to    *archive
	place place
	up    *dimse.Conn
	moved *transfer.Transfers
	files map[string]dicom.Beginning // of objects that are whole files
	took  time.Duration              // of the last object
}

// deliverShare delivers objects of one calling AE title, each with those that
// wait behind it in its series, on one association. An error means that the
// archive cannot be used now; the objects stay due.
func (g *Gateway) deliverShare(ctx context.Context, a *archive, p place, c *crew, heads []custody.Object) error {
	series, err := g.withFollowing(ctx, heads)
	if err != nil {
		return err
	}
	files, err := g.openFiles(ctx, series)
	if err != nil {
		return err
	}
	contexts := contextsOf(slices.Concat(series...))
	if len(contexts) == 0 {
		return nil // files that cannot be sent at all
	}
	up, err := g.associateAt(ctx, a, p, c, ul.Request{
		Calling:  dicom.AETitle(heads[0].CallingAE),
		Called:   a.upstream.AETitle,
		Contexts: contexts,
	})
	if isPermanent(err) {
		return g.putOff(ctx, heads, err)
	}
	if err != nil {
		return err
	}
	defer c.ended(a)
	defer up.Close()
	d := &delivery{g: g, to: a, place: p, up: up, moved: newTransfers(g, ""), files: files}
	defer d.moved.End()
	for _, objects := range series {
		if goOn, err := d.series(ctx, objects, heads[0].Urgent()); err != nil {
			return err
		} else if !goOn {
			break
		}
	}
	return up.Release(ctx)
}

// An archive has some time to notice that we have released an association: it is
// asked for the next one again after placeFree, and then after twice as long, up to
// placeFreeMost.
const (
	placeFree     = 50 * time.Millisecond
	placeFreeMost = 800 * time.Millisecond
)

// associateAt opens an association for a place. Only that of the first, while we
// have no other, tells something about the archive: one that serves few at a time
// is not away, and who sends to it himself must not suffer from our asking for more.
func (g *Gateway) associateAt(ctx context.Context, a *archive, p place, c *crew, rq ul.Request) (up *dimse.Conn, err error) {
	if p != first || c.at() {
		up, err = g.call(ctx, a.upstream, rq)
		if err != nil && !isPermanent(err) && ctx.Err() == nil {
			return nil, fmt.Errorf("%w: %w", errFull, err)
		}
	} else {
		up, err = g.associateAgain(ctx, a, rq)
	}
	if err == nil {
		c.began()
	}
	return up, err
}

// associateAgain opens an association with an archive that may have served us
// lately: that it refuses at once says nothing yet.
func (g *Gateway) associateAgain(ctx context.Context, a *archive, rq ul.Request) (*dimse.Conn, error) {
	lately := time.Since(time.Unix(0, a.served.Load())) < time.Second
	for wait := placeFree; lately && wait <= placeFreeMost && ctx.Err() == nil; wait *= 2 {
		if up, err := g.call(ctx, a.upstream, rq); err == nil {
			return up, nil
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
	return g.associate(ctx, a, rq)
}

var errFull = errors.New("archive has no place for a further association")

// withFollowing puts behind each object those that wait behind it in its series,
// so far as one association delivers them.
func (g *Gateway) withFollowing(ctx context.Context, heads []custody.Object) ([][]custody.Object, error) {
	series := make([][]custody.Object, 0, len(heads))
	room := batch - len(heads)
	for _, head := range heads {
		rest, err := g.parts.Custody.Following(ctx, head, room)
		if err != nil {
			return nil, err
		}
		room -= len(rest)
		series = append(series, append([]custody.Object{head}, rest...))
	}
	return series, nil
}

// isPermanent reports whether the archive answered and rejected the calling AE
// title for good.
func isPermanent(err error) bool {
	var rejection *ul.Rejection
	return errors.As(err, &rejection) && rejection.Result == ul.RejectedPermanent
}

// series delivers objects in order until one has to wait, and reports whether
// the association may go on to another series.
func (d *delivery) series(ctx context.Context, objects []custody.Object, urgent bool) (goOn bool, err error) {
	for _, o := range objects {
		if o.CallingAE != objects[0].CallingAE {
			return true, nil // another title's turn
		}
		if d.took > 0 && !d.to.giveWay(ctx, d.place, urgent, d.took) {
			return false, ctx.Err()
		}
		began := time.Now()
		more, err := d.one(ctx, o)
		d.took = time.Since(began)
		if err != nil || !more {
			return true, err
		}
	}
	return true, nil
}

// maxContexts is what one association can propose (PS3.8 §9.3.2.2: odd ids).
const maxContexts = 128

// contextsOf lists the presentation contexts that the objects need, as far as
// one association can propose them; the rest is for the next.
func contextsOf(objects []custody.Object) []ul.ProposedContext {
	var out []ul.ProposedContext
	for _, o := range objects {
		if o.TransferSyntaxUID != "" && len(out) < maxContexts && !slices.ContainsFunc(out, fits(o)) {
			out = append(out, ul.ProposedContext{AbstractSyntax: dicom.UID(o.SOPClassUID), TransferSyntaxes: []dicom.UID{dicom.UID(o.TransferSyntaxUID)}})
		}
	}
	return out
}

// proposed reports whether the association was asked for o's context.
func proposed(up *dimse.Conn, o custody.Object) bool {
	return slices.ContainsFunc(up.Association().Request().Contexts, fits(o))
}

// fits returns whether a proposed context is o's own.
func fits(o custody.Object) func(ul.ProposedContext) bool {
	return func(c ul.ProposedContext) bool {
		return c.AbstractSyntax == dicom.UID(o.SOPClassUID) && slices.Contains(c.TransferSyntaxes, dicom.UID(o.TransferSyntaxUID))
	}
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

// one sends one object and records what became of it. It reports
// whether the next of the series may follow. An error means that the
// association or the archive cannot be used any more. Of a whole file, its
// data set is sent.
func (d *delivery) one(ctx context.Context, o custody.Object) (more bool, err error) {
	g, a, up, moved := d.g, d.to, d.up, d.moved
	if !proposed(up, o) {
		return false, nil // one too many contexts: the next association's
	}
	id, err := contextFor(up, dicom.UID(o.SOPClassUID), dicom.UID(o.TransferSyntaxUID))
	switch {
	case errors.Is(err, errNotProposed):
		return false, nil // the next association's turn
	case err != nil:
		return true, g.needsPerson(ctx, o, custody.Failure{Err: err})
	}
	if err := g.parts.Custody.InFlight(ctx, o.ID); err != nil {
		return false, err
	}
	blob, err := g.parts.Custody.OpenBlob(ctx, o.ID)
	switch {
	case errors.Is(err, custody.ErrDamaged):
		return true, g.needsPerson(ctx, o, custody.Failure{Err: err})
	case err != nil: // out of descriptors, say: it passes
		return false, errors.Join(err, g.broken(ctx, o, err))
	}
	defer blob.Close()
	data, size := message(blob, o.Bytes, d.files[o.ID])
	out := wayOf(o, a, up)
	moved.Begin(out, judge.Patient{})
	rsp, err := g.storeTo(ctx, a, up, id, request(o), data, size)
	if err != nil {
		moved.Add(out, judge.Patient{}, dicom.UID(o.SOPClassUID), statusAway, "no answer")
	} else {
		moved.Add(out, judge.Patient{}, dicom.UID(o.SOPClassUID), rsp.Status, "")
	}
	switch {
	case errors.Is(err, custody.ErrDamaged):
		return false, errors.Join(err, g.needsPerson(context.WithoutCancel(ctx), o, custody.Failure{Err: err}))
	case err != nil:
		return false, errors.Join(err, g.broken(ctx, o, err))
	case transient(rsp.Status) && o.Attempts < maxTransient:
		err := errors.New("archive is out of resources")
		return false, g.parts.Custody.Failed(ctx, o.ID, custody.Failure{Err: err, Status: uint16(rsp.Status), RetryAt: time.Now().Add(backOff(o.Attempts, g.config.RetryMin, g.config.RetryMax))})
	case rsp.Status.Class() == dimse.ClassFailure:
		return true, g.needsPerson(ctx, o, custody.Failure{Err: errors.New("archive refuses it"), Status: uint16(rsp.Status)})
	}
	g.counts.delivered.Add(1)
	a.delivered()
	return true, g.parts.Custody.Delivered(context.WithoutCancel(ctx), o.ID, uint16(rsp.Status))
}

// maxBroken is how many associations an object may break before a person has
// to look at it: some archives abort on an object that they cannot take, again
// and again. With the waits between them that is some ten minutes.
const maxBroken = 8

// maxTransient is how often an archive may say that it is out of resources
// before a person has to look: some say it of an object that they will never
// take. With the waits between them that is some eight hours.
const maxTransient = 100

// broken records an attempt that ended the association. The archive answered a
// moment before, so the next object may be luckier; this one waits.
func (g *Gateway) broken(ctx context.Context, o custody.Object, err error) error {
	stopped := ctx.Err() != nil || errors.Is(err, errNoAnswer) // not the object's fault
	if errors.Is(err, errOddLength) || !stopped && o.Attempts >= maxBroken {
		return g.needsPerson(ctx, o, custody.Failure{Err: err})
	}
	ctx = context.WithoutCancel(ctx) // recorded even when we stop
	return g.parts.Custody.Failed(ctx, o.ID, custody.Failure{Err: err, RetryAt: time.Now().Add(backOff(o.Attempts, g.config.RetryMin, g.config.RetryMax))})
}

// needsPerson makes an object that will not be taken visible as work for a
// person. It is never dropped.
func (g *Gateway) needsPerson(ctx context.Context, o custody.Object, f custody.Failure) error {
	g.parts.Log.Error("an object in the spool needs a person", "id", o.ID, "error", f.Err, "status", f.Status)
	f.Permanent = true
	return g.parts.Custody.Failed(ctx, o.ID, f)
}

// request is what the object's own C-STORE request said.
func request(o custody.Object) dimse.StoreRequest {
	rq := dimse.StoreRequest{
		SOPClassUID:           dicom.UID(o.SOPClassUID),
		SOPInstanceUID:        dicom.UID(o.SOPInstanceUID),
		Priority:              dimse.Priority(o.Priority),
		MoveOriginatorAETitle: dicom.AETitle(o.MoveOriginatorAE),
	}
	if o.MoveOriginatorAE != "" {
		rq.MoveOriginatorMessageID = &o.MoveOriginatorID
	}
	return rq
}
