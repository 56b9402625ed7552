-- Who has been heard, and who is missed.
CREATE TABLE silence_source (
	name       TEXT PRIMARY KEY, -- of the declared device, else the calling AE title
	declared   INTEGER NOT NULL, -- 1 if it is a device's name
	calling_ae TEXT NOT NULL,
	address    TEXT NOT NULL,
	last_heard INTEGER NOT NULL, -- microseconds since 1970
	silent     INTEGER NOT NULL DEFAULT 0, -- since when it has been missed, 0 while it has not
	rule       TEXT NOT NULL DEFAULT '' -- that it was missed by
) STRICT;

-- The hours in which each was heard, by their beginning: seconds since 1970.
CREATE TABLE silence_heard (
	name TEXT NOT NULL,
	hour INTEGER NOT NULL,
	PRIMARY KEY (name, hour)
) STRICT, WITHOUT ROWID;
