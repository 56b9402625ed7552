package held

import (
	"context"

	"cordon/custody"
)

const waitsOnPage = 10 // of each kind

// wait is objects of one kind about which somebody has to do something, besides what
// is merely held.
type wait struct {
	What  string // the key of what it is that they wait for
	Items []line
	More  bool // than are shown
}

// waits are all of them: half decided, released by one person alone, refused by their
// archive, damaged here. Each is found by an index, the oldest first.
func (p *pages) waits(ctx context.Context) (all []wait, err error) {
	for _, kind := range []struct {
		what string
		of   custody.Filter
	}{
		{"held.wait_agree", custody.Filter{Asked: true}},
		{"held.wait_review", custody.Filter{ReviewDue: true}},
		{"held.wait_retry", custody.Filter{NeedsAttention: true}},
		{"held.wait_damaged", custody.Filter{Alarm: true}},
	} {
		kind.of.Limit = waitsOnPage + 1
		objects, err := p.Custody.List(ctx, kind.of)
		if err != nil {
			return nil, err
		}
		if len(objects) == 0 {
			continue
		}
		n := min(len(objects), waitsOnPage)
		all = append(all, wait{kind.what, linesOf(objects[:n]), n < len(objects)})
	}
	return all, nil
}
