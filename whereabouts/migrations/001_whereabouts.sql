-- Where each instance is, made of the ledger, and made again of it if it is lost.
-- Times are microseconds since 1970, UTC.
CREATE TABLE whereabouts_study (
	id         INTEGER PRIMARY KEY,
	uid        TEXT NOT NULL UNIQUE,
	first_seen INTEGER NOT NULL,
	last_seen  INTEGER NOT NULL,
	device     TEXT NOT NULL DEFAULT '', -- that its objects came from last, by name or AE title

	patient_record INTEGER -- of the ledger, in which whom it is of is sealed; NULL: none
) STRICT;
CREATE INDEX whereabouts_study_last ON whereabouts_study (last_seen);
CREATE INDEX whereabouts_study_device ON whereabouts_study (device, last_seen);

CREATE TABLE whereabouts_archive (
	id   INTEGER PRIMARY KEY,
	name TEXT NOT NULL UNIQUE
) STRICT;

-- One row for each instance and archive: the state that its last record gave it.
-- Instance and series are the first 64 bits of the SHA-256 of their UIDs, which
-- stand in the record.
CREATE TABLE whereabouts_instance (
	study    INTEGER NOT NULL,
	instance INTEGER NOT NULL,
	archive  INTEGER NOT NULL,
	series   INTEGER NOT NULL,
	state    INTEGER NOT NULL, -- whereabouts.State
	record   INTEGER NOT NULL, -- of the ledger
	PRIMARY KEY (study, instance, archive)
) STRICT, WITHOUT ROWID;

-- Keyed digests of patient IDs and accession numbers. subject is that of the
-- sealed data that they are of, so that they go when that is erased.
CREATE TABLE whereabouts_name (
	digest  TEXT NOT NULL,
	study   INTEGER NOT NULL,
	subject TEXT NOT NULL,
	PRIMARY KEY (digest, study)
) STRICT, WITHOUT ROWID;
CREATE INDEX whereabouts_name_subject ON whereabouts_name (subject);
