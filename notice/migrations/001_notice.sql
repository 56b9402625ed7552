-- What happened that somebody may be told of, in order. Times are microseconds
-- since 1970, UTC; 0 means never.
CREATE TABLE notice_event (
	id        INTEGER PRIMARY KEY AUTOINCREMENT,
	at        INTEGER NOT NULL,
	recipient TEXT NOT NULL, -- '' means all whose filter it fits
	body      TEXT NOT NULL  -- JSON, Event: what may leave this machine, and no more
) STRICT;

-- How far each recipient has been told.
CREATE TABLE notice_recipient (
	name     TEXT PRIMARY KEY,
	sent     INTEGER NOT NULL, -- events up to this one
	upto     INTEGER NOT NULL, -- of the message under way, which is repeated as it was; 0: none is
	sent_at  INTEGER NOT NULL,
	failing  INTEGER NOT NULL, -- since when; 0: it works
	attempts INTEGER NOT NULL,
	error    TEXT NOT NULL
) STRICT;

-- Which alarms whom was told of because nobody had acknowledged them.
CREATE TABLE notice_escalated (
	alarm     INTEGER NOT NULL,
	raised_at INTEGER NOT NULL,
	recipient TEXT NOT NULL,
	PRIMARY KEY (alarm, raised_at, recipient)
) STRICT, WITHOUT ROWID;

-- When a sign of life was last sent.
CREATE TABLE notice_heartbeat (
	at INTEGER NOT NULL
) STRICT;
