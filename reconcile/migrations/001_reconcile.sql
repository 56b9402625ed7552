-- How far the ledger has been accounted for: by archive, and "" for custody.
CREATE TABLE reconcile_cursor (
	name TEXT PRIMARY KEY,
	next INTEGER NOT NULL -- number of the next ledger record
) STRICT, WITHOUT ROWID;

-- What an archive answered success for and does not have. Times are microseconds since 1970.
CREATE TABLE reconcile_missing (
	archive             TEXT NOT NULL,
	study_instance_uid  TEXT NOT NULL,
	series_instance_uid TEXT NOT NULL,
	sop_instance_uid    TEXT NOT NULL,
	sop_class_uid       TEXT NOT NULL,
	sha256              TEXT NOT NULL, -- of what was delivered, hexadecimal
	since               INTEGER NOT NULL,
	told                INTEGER NOT NULL DEFAULT 0, -- 1 once it is an alarm
	PRIMARY KEY (archive, study_instance_uid, series_instance_uid, sop_instance_uid)
) STRICT, WITHOUT ROWID;

-- Associations that a crash cut short and that are not accounted for yet.
CREATE TABLE reconcile_cut (
	association TEXT PRIMARY KEY,
	began       INTEGER NOT NULL, -- microseconds since 1970
	upto        INTEGER NOT NULL  -- number of the record that says that it was cut
) STRICT, WITHOUT ROWID;
