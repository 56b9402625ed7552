-- Containments of devices, in force and over. Times are microseconds since 1970,
-- UTC; 0 means never.
CREATE TABLE contain (
	id         INTEGER PRIMARY KEY,
	device     TEXT NOT NULL,
	level      TEXT NOT NULL CHECK (level IN ('observe', 'image_only', 'cut')),
	state      TEXT NOT NULL CHECK (state IN ('ordered', 'contained', 'restoring', 'restored', 'ended')),
	rule       TEXT NOT NULL DEFAULT '', -- for which it was ordered by itself
	by         TEXT NOT NULL,            -- JSON
	reason     TEXT NOT NULL,
	since      INTEGER NOT NULL,
	until      INTEGER NOT NULL DEFAULT 0,
	applied    INTEGER NOT NULL DEFAULT 0, -- read back as in effect
	over       INTEGER NOT NULL DEFAULT 0,
	enforced   INTEGER NOT NULL DEFAULT 0,
	enforcer   TEXT NOT NULL DEFAULT '',
	why        TEXT NOT NULL DEFAULT '',
	addresses  TEXT NOT NULL DEFAULT '[]', -- JSON, at which it is contained, those learned meanwhile included
	asked_by   TEXT NOT NULL DEFAULT '',   -- the first who asked for it to be restored
	asked_at   INTEGER NOT NULL DEFAULT 0,
	proof      TEXT NOT NULL DEFAULT '',   -- JSON, without the files
	counts     TEXT NOT NULL DEFAULT ''    -- JSON, when it ended
) STRICT;

-- One device is contained once.
CREATE UNIQUE INDEX contain_now ON contain (device) WHERE state IN ('ordered', 'contained', 'restoring');

-- Files that prove that a device is clean.
CREATE TABLE contain_evidence (
	contain_id INTEGER NOT NULL REFERENCES contain (id),
	sha256     TEXT NOT NULL,
	name       TEXT NOT NULL,
	bytes      INTEGER NOT NULL,
	data       BLOB NOT NULL,
	PRIMARY KEY (contain_id, sha256)
) STRICT;

-- What sensors saw, for a person to decide on.
CREATE TABLE contain_proposal (
	id       INTEGER PRIMARY KEY,
	device   TEXT NOT NULL,
	rule     TEXT NOT NULL,
	severity TEXT NOT NULL,
	detail   TEXT NOT NULL,
	level    TEXT NOT NULL,
	lasts    INTEGER NOT NULL, -- of the containment, in microseconds; 0: until it is restored
	why      TEXT NOT NULL,    -- it was not simply done
	state    TEXT NOT NULL CHECK (state IN ('waiting', 'confirmed', 'dismissed', 'lapsed')),
	at       INTEGER NOT NULL,
	expires  INTEGER NOT NULL DEFAULT 0,
	by       TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE UNIQUE INDEX contain_proposed ON contain_proposal (device) WHERE state = 'waiting';
