package commitment

import (
	"context"
	"database/sql"
	"net/netip"
	"time"

	"cordon/dicom"
	"cordon/store"
)

// queryRequests reads requests; where goes on to the end of the statement.
func queryRequests(tx *store.Tx, where string, args ...any) ([]request, error) {
	rows, err := tx.Query(`SELECT id, device, calling_ae, called_ae, address, association, transaction_uid, until, attempts
		FROM commitment_requests WHERE `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []request
	for rows.Next() {
		var r request
		var calling, called, address string
		var until int64
		if err := rows.Scan(&r.id, &r.who.Device, &calling, &called, &address, &r.who.Association, &r.transaction, &until, &r.attempts); err != nil {
			return nil, err
		}
		r.who.Calling, r.who.Called = dicom.AETitle(calling), dicom.AETitle(called)
		r.who.Address, _ = netip.ParseAddr(address) // as it was written; the zero Addr for none
		r.until = time.UnixMicro(until)
		all = append(all, r)
	}
	return all, rows.Err()
}

func affected(r sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// inChunks runs a change that touches at most chunk rows, again and again until
// it touches none, each time in a transaction of its own.
func (c *Commitment) inChunks(ctx context.Context, change func(*store.Tx) (int64, error)) error {
	for {
		var n int64
		err := c.parts.DB.Update(ctx, func(tx *store.Tx) (err error) {
			n, err = change(tx)
			return err
		})
		if err != nil || n == 0 {
			return err
		}
	}
}
