package webgate

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"

	"cordon/dicom/secure"
	"cordon/metric"
)

// watchHandshake counts and records a connection that has ended before TLS was agreed
// on, within the quota of its address for refusals.
func (s *Server) watchHandshake(nc net.Conn, state http.ConnState) {
	t, ok := nc.(*tls.Conn)
	if !ok || state != http.StateClosed || t.ConnectionState().HandshakeComplete {
		return
	}
	err := t.HandshakeContext(context.Background()) // what it ended with: the connection is closed
	if err == nil {
		return
	}
	s.parts.Metrics.Count(metric.HandshakeFailures, 1, "web")
	peer := addressIn(nc.RemoteAddr().String())
	omitted, ok := s.refusals.Take(peer, time.Now())
	if !ok {
		return
	}
	s.parts.Log.Info("no TLS", "peer", peer, "error", loggable(err))
	body := map[string]any{"address": peer.String()}
	secure.Describe(body, err)
	if omitted > 0 {
		body["omitted"] = omitted
	}
	s.parts.Ledger.Note("tls.failed", body)
}
