-- Every bypass there has been. Times are microseconds since 1970, UTC.
CREATE TABLE bypass (
	id         INTEGER PRIMARY KEY,
	device     TEXT NOT NULL, -- name or AE title; '' means all
	started_at INTEGER NOT NULL,
	until      INTEGER NOT NULL,
	name       TEXT NOT NULL,
	reason     TEXT NOT NULL,
	ended      INTEGER NOT NULL DEFAULT 0 -- 1: its end is on the ledger
) STRICT;

CREATE INDEX bypass_on ON bypass (id) WHERE ended = 0;
