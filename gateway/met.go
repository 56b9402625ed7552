package gateway

import (
	"context"
	"time"

	"cordon/policy"
	"cordon/store"
)

// Bounds of the peers listed that are not declared: anybody can make up AE
// titles. What finds no room is served all the same.
const (
	maxPeers  = 4096
	peerTerm  = 90 * 24 * time.Hour // since it came last
	countPeer = `SELECT COUNT(*) FROM (SELECT 1 FROM gateway_peer WHERE device = '' LIMIT ?6)`
)

// met lists the device that associates. Archives that call are none.
func (s *session) met(tx *store.Tx, now time.Time) error {
	if s.admission.Direction == policy.FromArchive {
		return nil
	}
	_, err := tx.Exec(`INSERT INTO gateway_peer (calling_ae, address, device, first_seen, last_seen)
		SELECT ?1, ?2, ?3, ?4, ?5
		WHERE ?3 <> '' OR EXISTS (SELECT 1 FROM gateway_peer WHERE calling_ae = ?1 AND address = ?2) OR (`+countPeer+`) < ?6
		ON CONFLICT DO UPDATE SET last_seen = excluded.last_seen, device = excluded.device`,
		string(s.rq.Calling), s.peer.String(), s.admission.Device, now.UnixMicro(), now.UnixMicro(), maxPeers)
	return err
}

// forgetPeers drops those that are not declared and did not come for long.
func (g *Gateway) forgetPeers(ctx context.Context, now time.Time) error {
	return g.parts.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`DELETE FROM gateway_peer WHERE device = '' AND last_seen < ?`, now.Add(-peerTerm).UnixMicro())
		return err
	})
}
