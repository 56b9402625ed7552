-- Visits that have begun and not ended. One that is here at a start was cut short.
CREATE TABLE webgate_visit (
	id       TEXT PRIMARY KEY,
	began_at INTEGER NOT NULL, -- Unix time, microseconds
	device   TEXT NOT NULL,
	address  TEXT NOT NULL,
	archive  TEXT NOT NULL
) STRICT;
