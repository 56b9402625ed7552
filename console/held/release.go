package held

import (
	"context"
	"fmt"

	"cordon/console/answer"
	"cordon/custody"
	"cordon/exception"
	"cordon/store"
)

// Release releases an object. Whoever completes the release may say that what held
// the object is its device's habit: both are done in one transaction, or neither
// is.
func Release(ctx context.Context, c *custody.Custody, x *exception.Exceptions, id string, rq custody.Request, except bool) (custody.Decision, error) {
	if !except {
		return c.Release(ctx, id, rq)
	}
	if rq.Emergency {
		return custody.Decision{}, fmt.Errorf("%w: an emergency is for one object; make the exception afterwards", answer.ErrRequest)
	}
	o, err := c.Get(ctx, id)
	if err == nil {
		err = exception.CanRelease(o) // the first of two people shall know
	}
	if err != nil {
		return custody.Decision{}, err
	}
	rq.Then = func(tx *store.Tx, o custody.Object, by []string) error {
		return x.Released(tx, o, by, rq.Reason)
	}
	ctx = context.WithoutCancel(ctx) // what is committed takes effect, whether or not somebody waits
	d, err := c.Release(ctx, id, rq)
	if err == nil && d.Done {
		err = x.Refresh(ctx)
	}
	return d, err
}
