CREATE TABLE incident (
	id        INTEGER PRIMARY KEY,
	device    TEXT NOT NULL,
	opened    INTEGER NOT NULL, -- when it became one
	first     INTEGER NOT NULL, -- the first sign of it
	contained INTEGER NOT NULL DEFAULT 0, -- 0: not
	restored  INTEGER NOT NULL DEFAULT 0,
	closed    INTEGER NOT NULL DEFAULT 0,
	why       TEXT NOT NULL, -- what opened it
	vendor_by TEXT NOT NULL DEFAULT '', -- who promised a fix
	vendor_at INTEGER NOT NULL DEFAULT 0,
	due       INTEGER NOT NULL DEFAULT 0, -- when it was promised for
	promised  TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE UNIQUE INDEX incident_open ON incident (device) WHERE closed = 0;

-- The ledger's record, in one sentence. Those with no incident are what was seen
-- of a device lately, in case that it becomes one.
CREATE TABLE incident_event (
	seq      INTEGER NOT NULL,
	incident INTEGER, -- NULL: none yet
	device   TEXT NOT NULL,
	at       INTEGER NOT NULL,
	kind     TEXT NOT NULL,
	says     TEXT NOT NULL,
	PRIMARY KEY (seq, device)
) STRICT, WITHOUT ROWID;
CREATE INDEX incident_event_of ON incident_event (incident, seq);
CREATE INDEX incident_event_sign ON incident_event (device, seq) WHERE incident IS NULL;

-- What was imaged meanwhile, and where it is now.
CREATE TABLE incident_image (
	incident INTEGER NOT NULL,
	instance TEXT NOT NULL, -- SOP Instance UID
	study    TEXT NOT NULL,
	state    TEXT NOT NULL, -- delivered, spooled, held, refused, destroyed
	first    INTEGER NOT NULL,
	last     INTEGER NOT NULL,
	PRIMARY KEY (incident, instance)
) STRICT, WITHOUT ROWID;

-- Up to which record the ledger is in the tables above: what comes again after a
-- crash is not counted twice.
CREATE TABLE incident_read (
	one  INTEGER PRIMARY KEY CHECK (one = 1),
	next INTEGER NOT NULL
) STRICT;
INSERT INTO incident_read (one, next) VALUES (1, 0);
