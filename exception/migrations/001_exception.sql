-- What is known of one habit of one device, and what people decided about it.
-- Times are microseconds since 1970, UTC; 0 means never.
CREATE TABLE exception (
	id            TEXT PRIMARY KEY,
	state         TEXT NOT NULL CHECK (state IN ('proposed', 'approved', 'revoked')),
	device        TEXT NOT NULL, -- a declared device's name, or ''
	calling_ae    TEXT NOT NULL, -- of a learned device, or ''
	address       TEXT NOT NULL, -- of a learned device, or ''
	finding       TEXT NOT NULL,
	place         TEXT NOT NULL, -- '' means anywhere
	seen          INTEGER NOT NULL DEFAULT 0, -- objects that nothing else kept back
	first_seen    INTEGER NOT NULL DEFAULT 0,
	last_seen     INTEGER NOT NULL DEFAULT 0,
	example       TEXT NOT NULL DEFAULT '',   -- the last one that is in the vault
	proposed_by   TEXT NOT NULL DEFAULT '',   -- '' means the gateway
	proposed_at   INTEGER NOT NULL,
	decided_by    TEXT NOT NULL DEFAULT '[]', -- JSON, who approved or revoked it
	decided_at    INTEGER NOT NULL DEFAULT 0,
	reason        TEXT NOT NULL DEFAULT '',   -- of the last who proposed, approved or revoked it
	expires_at    INTEGER NOT NULL DEFAULT 0,
	UNIQUE (device, calling_ae, address, finding, place)
) STRICT;
