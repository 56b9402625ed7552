-- What each peer was seen to do, and what people decided about it. Times are
-- microseconds since 1970, UTC.
CREATE TABLE asset_peer (
	id           INTEGER PRIMARY KEY,
	name         TEXT NOT NULL UNIQUE, -- made from its AE title, for people
	calling_ae   TEXT NOT NULL,
	address      TEXT NOT NULL,
	network      TEXT NOT NULL, -- the address, or the /64 that it is in
	certificate  TEXT NOT NULL, -- its SHA-256 in hexadecimal, or ''
	subject      TEXT NOT NULL, -- of the certificate, or ''
	device       TEXT NOT NULL, -- the declared device that it was taken for last, or ''
	first_seen   INTEGER NOT NULL,
	last_seen    INTEGER NOT NULL,
	associations INTEGER NOT NULL DEFAULT 0, -- that were admitted
	secured      INTEGER NOT NULL DEFAULT 0, -- of these, over TLS
	requests     INTEGER NOT NULL DEFAULT 0, -- messages that were let through
	refused      INTEGER NOT NULL DEFAULT 0, -- associations that were refused
	would_refuse INTEGER NOT NULL DEFAULT 0, -- associations, contexts and moves that shadow let pass
	untold       INTEGER NOT NULL DEFAULT 0, -- things seen for which there was no room in asset_use
	UNIQUE (calling_ae, address, certificate)
) STRICT;
CREATE INDEX asset_peer_network ON asset_peer (network) WHERE device = '';
CREATE INDEX asset_peer_device ON asset_peer (device);

CREATE TABLE asset_use (
	peer       INTEGER NOT NULL,
	kind       TEXT NOT NULL, -- see use.go
	value      TEXT NOT NULL,
	seen       INTEGER NOT NULL, -- times
	first_seen INTEGER NOT NULL,
	last_seen  INTEGER NOT NULL,
	PRIMARY KEY (peer, kind, value)
) STRICT, WITHOUT ROWID;

CREATE TABLE asset_decision (
	name       TEXT PRIMARY KEY,
	state      TEXT NOT NULL CHECK (state IN ('approved', 'denied')),
	device     TEXT NOT NULL, -- JSON: who it is, and what it may do
	decided_by TEXT NOT NULL,
	decided_at INTEGER NOT NULL,
	reason     TEXT NOT NULL
) STRICT;
