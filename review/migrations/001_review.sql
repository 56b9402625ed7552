-- Every activity review. Times are microseconds since 1970, UTC; 0 means never.
CREATE TABLE review (
	id           TEXT PRIMARY KEY,
	first_record INTEGER NOT NULL,        -- reviews follow one another without a gap
	end_record   INTEGER NOT NULL,        -- excluded
	ends_at      INTEGER NOT NULL UNIQUE, -- of the period
	made_at      INTEGER NOT NULL,
	due_at       INTEGER NOT NULL,
	content      TEXT NOT NULL,           -- JSON
	sha256       TEXT NOT NULL,           -- of content, in hexadecimal, as on the ledger
	signed_by    TEXT NOT NULL DEFAULT '',
	signed_at    INTEGER NOT NULL DEFAULT 0,
	note         TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE INDEX review_unsigned ON review (due_at) WHERE signed_at = 0;
