-- Who talks to whom: one row for each caller, called address, protocol and port.
CREATE TABLE network_seen (
	src         TEXT NOT NULL,
	dst         TEXT NOT NULL,
	protocol    INTEGER NOT NULL, -- IANA's number
	port        INTEGER NOT NULL, -- of dst
	first       INTEGER NOT NULL, -- microseconds since 1970
	last        INTEGER NOT NULL,
	packets     INTEGER NOT NULL, -- both ways
	bytes       INTEGER NOT NULL,
	attempts    INTEGER NOT NULL,
	established INTEGER NOT NULL,
	accused     INTEGER NOT NULL DEFAULT 0, -- 1: an alert was raised about it, so it is not learned
	PRIMARY KEY (src, dst, protocol, port)
) STRICT, WITHOUT ROWID;

-- Since when each device is learned.
CREATE TABLE network_device (
	name  TEXT PRIMARY KEY,
	first INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Which network card each address of a device was last proven to have.
CREATE TABLE network_card (
	address TEXT PRIMARY KEY,
	mac     TEXT NOT NULL,
	heard   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What was unusual.
CREATE TABLE network_alert (
	id      INTEGER PRIMARY KEY,
	last    INTEGER NOT NULL, -- microseconds since 1970
	device  TEXT NOT NULL,
	rule    TEXT NOT NULL,
	alert   TEXT NOT NULL -- JSON
) STRICT;
CREATE INDEX network_alert_last ON network_alert (last);
