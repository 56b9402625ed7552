package gateway

import (
	"context"
	"fmt"

	"cordon/custody"
)

// Delivery says when the sender of an object is answered, and what becomes of
// the object while its archive is away. The zero value is PassThrough.
type Delivery uint8

const (
	// PassThrough sends each object to the archive at once and passes the
	// archive's own answer on: that is the durability. While the archive is away
	// or out of resources, the object is made durable here and answered with
	// success.
	PassThrough Delivery = iota
	// SpoolFirst makes each object durable here, answers success, and delivers
	// it later: the sender never waits for the archive.
	SpoolFirst
	// RefuseWhenDown is PassThrough that keeps nothing: while the archive is
	// away, associations are rejected and objects answered with A700, so that
	// senders keep their copies and try again.
	RefuseWhenDown
)

// deliveries are the modes as people write them.
var deliveries = [...]string{PassThrough: "pass_through", SpoolFirst: "spool_first", RefuseWhenDown: "refuse_when_down"}

// Deliveries lists the modes as people write them, the default first.
func Deliveries() []string { return deliveries[:] }

func (d Delivery) String() string {
	if int(d) < len(deliveries) {
		return deliveries[d]
	}
	return fmt.Sprintf("Delivery(%d)", uint8(d))
}

// ParseDelivery reads what String writes.
func ParseDelivery(s string) (Delivery, error) {
	for d, name := range deliveries {
		if name == s {
			return Delivery(d), nil
		}
	}
	return PassThrough, fmt.Errorf("delivery %q: expected one of %q", s, deliveries)
}

// await is for an object whose archive is away: it is kept until the archive is
// back, or left to the sender.
func (o *object) await(ctx context.Context) error {
	if o.link.to.upstream.Delivery == RefuseWhenDown {
		return o.refuse(ctx, statusAway, "the archive is away")
	}
	return o.keep(ctx, custody.Spooled)
}

// refusesNow reports whether the archive is away and nothing is to be kept for
// it meanwhile.
func (l *link) refusesNow() bool { return l.x == nil && l.to.upstream.Delivery == RefuseWhenDown }
