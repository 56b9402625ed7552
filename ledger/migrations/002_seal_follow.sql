-- The data keys of sealed strings, one a subject, each wrapped by the seal key.
-- Deleting a row erases what was sealed for its subject.
CREATE TABLE ledger_subjects (
	id      TEXT PRIMARY KEY,  -- as it stands in sealed strings; tells nothing
	subject BLOB NOT NULL UNIQUE CHECK (length(subject) = 32), -- HMAC-SHA-256 of the subject
	key     BLOB NOT NULL,
	used_at INTEGER NOT NULL   -- last sealed for, to the day; microseconds since 1970
) STRICT;

-- How far each follower has read: the number of the next record.
CREATE TABLE ledger_cursors (
	name TEXT PRIMARY KEY,
	next INTEGER NOT NULL
) STRICT;
