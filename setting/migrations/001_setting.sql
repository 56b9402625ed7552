-- What people have set; a key without a row is as it was delivered.
CREATE TABLE setting (
	key    TEXT PRIMARY KEY,
	value  TEXT NOT NULL,
	change INTEGER NOT NULL -- that set it last
) STRICT;

-- Every change that was applied, or waits for a second person. Times are
-- microseconds since 1970, UTC; 0 means never.
CREATE TABLE setting_change (
	id         INTEGER PRIMARY KEY,
	state      TEXT NOT NULL CHECK (state IN ('waiting', 'applied', 'withdrawn')),
	changes    TEXT NOT NULL,             -- JSON: each key, what it was, what it becomes
	preview    TEXT NOT NULL DEFAULT '{}', -- JSON: what the preview said, in numbers
	reverts    INTEGER NOT NULL DEFAULT 0, -- the change that it undoes
	asked_by   TEXT NOT NULL,
	reason     TEXT NOT NULL,
	asked_at   INTEGER NOT NULL,
	second_by  TEXT NOT NULL DEFAULT '',
	second_why TEXT NOT NULL DEFAULT '',
	applied_at INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX setting_waiting ON setting_change (id) WHERE state = 'waiting';
