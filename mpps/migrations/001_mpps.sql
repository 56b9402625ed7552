-- Messages that wait for their upstream, in the order in which they came. Times
-- are microseconds since 1970, UTC. A message that was delivered or dropped has
-- no row.
CREATE TABLE mpps_messages (
	id                  INTEGER PRIMARY KEY AUTOINCREMENT,
	upstream            TEXT NOT NULL,
	device              TEXT NOT NULL,
	calling_ae          TEXT NOT NULL,
	called_ae           TEXT NOT NULL,
	address             TEXT NOT NULL,
	association         TEXT NOT NULL,
	operation           TEXT NOT NULL CHECK (operation IN ('N-CREATE', 'N-SET')),
	sop_instance_uid    TEXT NOT NULL,
	transfer_syntax_uid TEXT NOT NULL,
	bytes               INTEGER NOT NULL,
	sealed              BLOB NOT NULL, -- the data set, encrypted to custody's key
	kept_at             INTEGER NOT NULL,
	attempts            INTEGER NOT NULL DEFAULT 0,
	sending             INTEGER NOT NULL DEFAULT 0, -- an attempt has begun
	uncertain           INTEGER NOT NULL DEFAULT 0, -- one may have succeeded, and its answer was not heard
	next_attempt        INTEGER NOT NULL,
	status              INTEGER NOT NULL DEFAULT 0,
	last_error          TEXT NOT NULL DEFAULT '',
	stuck               INTEGER NOT NULL DEFAULT 0 -- until a person decides
) STRICT;

CREATE INDEX mpps_lane ON mpps_messages (upstream, sop_instance_uid, id);
CREATE INDEX mpps_stuck ON mpps_messages (id) WHERE stuck = 1;
