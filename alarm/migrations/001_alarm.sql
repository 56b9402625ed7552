-- One row for each time that a cause needed people. Times are microseconds since
-- 1970, UTC; 0 means never.
CREATE TABLE alarm (
	id              INTEGER PRIMARY KEY,
	kind            TEXT NOT NULL,
	subject         TEXT NOT NULL,
	source          TEXT NOT NULL, -- whoever says of all its causes at a time which there are, or ''
	severity        INTEGER NOT NULL,
	state           TEXT NOT NULL CHECK (state IN ('open', 'acknowledged', 'ended', 'closed')),
	says            TEXT NOT NULL,
	link            TEXT NOT NULL,
	count           INTEGER NOT NULL,
	first_at        INTEGER NOT NULL,
	last_at         INTEGER NOT NULL,
	raised_at       INTEGER NOT NULL, -- when it last became open
	ended_at        INTEGER NOT NULL,
	acknowledged_by TEXT NOT NULL,
	assigned_to     TEXT NOT NULL,
	snoozed_until   INTEGER NOT NULL,
	snoozed_by      TEXT NOT NULL
) STRICT;

CREATE INDEX alarm_ended ON alarm (ended_at, id);

-- What people did about each; the oldest go first.
CREATE TABLE alarm_step (
	id    INTEGER PRIMARY KEY,
	alarm INTEGER NOT NULL,
	at    INTEGER NOT NULL,
	by    TEXT NOT NULL, -- '' means Cordon
	what  TEXT NOT NULL,
	note  TEXT NOT NULL
) STRICT;

CREATE INDEX alarm_step_alarm ON alarm_step (alarm, id);
