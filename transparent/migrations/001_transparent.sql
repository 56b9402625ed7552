-- How transparent mode is switched: one row. Times are microseconds since 1970, UTC.
CREATE TABLE transparent_mode (
	id     INTEGER PRIMARY KEY CHECK (id = 1),
	is_on  INTEGER NOT NULL,
	since  INTEGER NOT NULL,
	name   TEXT NOT NULL,
	reason TEXT NOT NULL,
	alive  INTEGER NOT NULL -- when Cordon was last known to take what is led to it
) STRICT;
