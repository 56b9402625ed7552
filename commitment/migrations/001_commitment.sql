-- What devices ask commitment for. Times are microseconds since 1970, UTC; 0
-- means never.
CREATE TABLE commitment_requests (
	id              INTEGER PRIMARY KEY,
	state           TEXT NOT NULL CHECK (state IN ('arriving', 'open', 'reporting', 'reported', 'given_up', 'dropped')),
	owner           TEXT NOT NULL, -- whose transaction UID it is: the device, or an AE title at an address
	device          TEXT NOT NULL,
	calling_ae      TEXT NOT NULL,
	called_ae       TEXT NOT NULL,
	address         TEXT NOT NULL,
	association     TEXT NOT NULL,
	transaction_uid TEXT NOT NULL,
	digest          BLOB NOT NULL CHECK (length(digest) = 32), -- of its references
	instances       INTEGER NOT NULL,
	asked_at        INTEGER NOT NULL,
	until           INTEGER NOT NULL, -- open: unresolved references fail then; reporting: it is given up then
	ended_at        INTEGER NOT NULL DEFAULT 0,
	attempts        INTEGER NOT NULL DEFAULT 0,
	next_attempt    INTEGER NOT NULL,
	last_error      TEXT NOT NULL DEFAULT '',
	cleared         INTEGER NOT NULL DEFAULT 0 -- its references are deleted
) STRICT;

CREATE UNIQUE INDEX commitment_live ON commitment_requests (owner, transaction_uid) WHERE state IN ('open', 'reporting');
CREATE INDEX commitment_due ON commitment_requests (state, next_attempt) WHERE state IN ('open', 'reporting');
CREATE INDEX commitment_given_up ON commitment_requests (id) WHERE state = 'given_up';
CREATE INDEX commitment_ended ON commitment_requests (ended_at) WHERE ended_at > 0;
CREATE INDEX commitment_uncleared ON commitment_requests (id) WHERE cleared = 0 AND state IN ('reported', 'dropped');

-- One row for each instance and each archive that has to commit it.
CREATE TABLE commitment_references (
	request          INTEGER NOT NULL REFERENCES commitment_requests (id),
	sop_instance_uid TEXT NOT NULL,
	sop_class_uid    TEXT NOT NULL,
	archive          TEXT NOT NULL,
	state            TEXT NOT NULL CHECK (state IN ('new', 'spooled', 'unasked', 'asked', 'committed', 'failed')),
	reason           INTEGER NOT NULL DEFAULT 0, -- failed: Failure Reason (0008,1197)
	question         INTEGER NOT NULL DEFAULT 0, -- the last one that it was asked in
	PRIMARY KEY (request, sop_instance_uid, sop_class_uid, archive)
) STRICT, WITHOUT ROWID;

CREATE INDEX commitment_unasked ON commitment_references (archive, request, sop_instance_uid, sop_class_uid) WHERE state = 'unasked';
CREATE INDEX commitment_unresolved ON commitment_references (request) WHERE state IN ('new', 'spooled', 'unasked', 'asked');

-- Our own N-ACTIONs. One is committed before it is sent, so that its answer is
-- known whenever it comes.
CREATE TABLE commitment_questions (
	id              INTEGER PRIMARY KEY,
	transaction_uid TEXT NOT NULL UNIQUE,
	request         INTEGER NOT NULL REFERENCES commitment_requests (id),
	archive         TEXT NOT NULL,
	state           TEXT NOT NULL CHECK (state IN ('unsent', 'asked', 'answered', 'void')),
	first_uid       TEXT NOT NULL, -- the instances asked for lie between these
	last_uid        TEXT NOT NULL,
	made_at         INTEGER NOT NULL,
	deadline        INTEGER NOT NULL DEFAULT 0 -- asked: the rest is asked again then
) STRICT;

CREATE INDEX commitment_waiting ON commitment_questions (deadline) WHERE state = 'asked';
CREATE INDEX commitment_unsent ON commitment_questions (id) WHERE state = 'unsent';
CREATE INDEX commitment_of_request ON commitment_questions (request);
