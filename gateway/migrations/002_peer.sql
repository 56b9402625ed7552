-- Counts the peers that are not declared: their number is bounded.
CREATE INDEX gateway_peer_learned ON gateway_peer (last_seen) WHERE device = '';
