-- Every object that we answer for, or have answered for. Times are microseconds
-- since 1970, UTC; 0 means never. Rows are not deleted.
CREATE TABLE custody_objects (
	seq                 INTEGER PRIMARY KEY, -- order in which they were accepted
	id                  TEXT NOT NULL UNIQUE,
	state               TEXT NOT NULL CHECK (state IN ('spooled', 'held', 'delivered', 'destroyed')),
	received_at         INTEGER NOT NULL,
	bytes               INTEGER NOT NULL,
	sha256              BLOB NOT NULL CHECK (length(sha256) = 32),
	device              TEXT NOT NULL,
	calling_ae          TEXT NOT NULL,
	called_ae           TEXT NOT NULL,
	archive             TEXT NOT NULL,
	lane                TEXT NOT NULL, -- delivered in order: the series, or the object itself if that is not known
	sop_class_uid       TEXT NOT NULL,
	sop_instance_uid    TEXT NOT NULL,
	study_instance_uid  TEXT NOT NULL,
	series_instance_uid TEXT NOT NULL,
	transfer_syntax_uid TEXT NOT NULL,
	findings            TEXT NOT NULL, -- JSON
	engines             TEXT NOT NULL, -- JSON
	priority            INTEGER NOT NULL,
	move_originator_ae  TEXT NOT NULL,
	move_originator_id  INTEGER NOT NULL,
	held_at             INTEGER NOT NULL DEFAULT 0,
	released_at         INTEGER NOT NULL DEFAULT 0,
	decided_by          TEXT NOT NULL DEFAULT '[]', -- JSON, who released or destroyed it
	review_due          INTEGER NOT NULL DEFAULT 0,
	delivered_at        INTEGER NOT NULL DEFAULT 0,
	status              INTEGER NOT NULL DEFAULT 0,
	attempts            INTEGER NOT NULL DEFAULT 0,
	in_flight           INTEGER NOT NULL DEFAULT 0,
	next_attempt        INTEGER NOT NULL DEFAULT 0,
	last_error          TEXT NOT NULL DEFAULT '',
	needs_attention     INTEGER NOT NULL DEFAULT 0,
	alarm               TEXT NOT NULL DEFAULT '',
	repeats             INTEGER NOT NULL DEFAULT 0 -- held: how often the same came again, and was not kept again
) STRICT;

CREATE INDEX custody_due ON custody_objects (archive, lane, seq) WHERE state = 'spooled' AND needs_attention = 0;
CREATE INDEX custody_oldest ON custody_objects (archive, seq) WHERE state = 'spooled';
CREATE INDEX custody_stored ON custody_objects (state, seq) WHERE state IN ('spooled', 'held');
CREATE INDEX custody_vault ON custody_objects (seq) WHERE held_at > 0;
CREATE INDEX custody_attention ON custody_objects (seq) WHERE needs_attention = 1;
CREATE INDEX custody_alarm ON custody_objects (seq) WHERE alarm <> '';
CREATE INDEX custody_review ON custody_objects (review_due) WHERE review_due > 0;
CREATE INDEX custody_flying ON custody_objects (seq) WHERE in_flight = 1;
CREATE INDEX custody_study ON custody_objects (study_instance_uid);
CREATE INDEX custody_instance ON custody_objects (sop_instance_uid);
CREATE INDEX custody_again ON custody_objects (sha256) WHERE state = 'held';

-- Counts, so that a status costs the same after ten million objects.
CREATE TABLE custody_totals (
	state   TEXT NOT NULL,
	archive TEXT NOT NULL,
	objects INTEGER NOT NULL,
	bytes   INTEGER NOT NULL,
	PRIMARY KEY (state, archive)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER custody_count_new AFTER INSERT ON custody_objects BEGIN
	INSERT INTO custody_totals VALUES (new.state, new.archive, 1, new.bytes)
		ON CONFLICT DO UPDATE SET objects = objects + 1, bytes = bytes + excluded.bytes;
END;

CREATE TRIGGER custody_count_change AFTER UPDATE OF state ON custody_objects WHEN old.state <> new.state BEGIN
	UPDATE custody_totals SET objects = objects - 1, bytes = bytes - old.bytes WHERE state = old.state AND archive = old.archive;
	INSERT INTO custody_totals VALUES (new.state, new.archive, 1, new.bytes)
		ON CONFLICT DO UPDATE SET objects = objects + 1, bytes = bytes + excluded.bytes;
END;

-- The first of two people, until the second comes.
CREATE TABLE custody_requests (
	object_id TEXT NOT NULL REFERENCES custody_objects (id),
	action    TEXT NOT NULL CHECK (action IN ('release', 'destroy')),
	name      TEXT NOT NULL,
	reason    TEXT NOT NULL,
	asked_at  INTEGER NOT NULL,
	PRIMARY KEY (object_id, action)
) STRICT, WITHOUT ROWID;

-- The age recipient that blobs are encrypted to; the identity is in its file.
CREATE TABLE custody_key (
	made_at   INTEGER PRIMARY KEY,
	recipient TEXT NOT NULL
) STRICT;
