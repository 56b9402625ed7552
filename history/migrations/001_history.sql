-- What was measured, by the minute and by the hour. What was 0 all the time has no row.
CREATE TABLE history_point (
	series INTEGER NOT NULL,
	step   INTEGER NOT NULL, -- seconds
	at     INTEGER NOT NULL, -- when it begins, Unix time
	sum    REAL NOT NULL,
	most   REAL NOT NULL,
	n      INTEGER NOT NULL, -- samples
	PRIMARY KEY (series, step, at)
) STRICT, WITHOUT ROWID;
CREATE INDEX history_point_at ON history_point (step, at);

CREATE TABLE history_series (
	id   INTEGER PRIMARY KEY,
	name TEXT NOT NULL UNIQUE
) STRICT;
