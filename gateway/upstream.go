package gateway

import (
	"context"

	"cordon/dicom/ul"
)

// associate opens an association with the upstream, on a connection of its own.
func (u Upstream) associate(ctx context.Context, rq ul.Request, l ul.Limits) (*ul.Association, error) {
	if u.Dial == nil {
		return ul.Dial(ctx, u.Address, u.tls(), rq, l)
	}
	nc, err := u.Dial(ctx)
	if err != nil {
		return nil, err
	}
	return ul.Associate(ctx, nc, rq, l)
}
