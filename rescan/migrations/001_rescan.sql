-- Copies of what was delivered unscanned, until their rescan. Times are
-- microseconds since 1970, UTC. The object is JSON, as custody has it.
CREATE TABLE rescan_copies (
	id           TEXT PRIMARY KEY, -- the object's, and its file's name
	bytes        INTEGER NOT NULL,
	object       TEXT NOT NULL,
	bypassed     INTEGER NOT NULL, -- 1: inspection's verdict was set aside
	attempts     INTEGER NOT NULL DEFAULT 0,
	tried_at     INTEGER NOT NULL DEFAULT 0,
	next_attempt INTEGER NOT NULL DEFAULT 0,
	signatures   TEXT NOT NULL DEFAULT '' -- of all engines, at the last attempt
) STRICT, WITHOUT ROWID;

CREATE INDEX rescan_due ON rescan_copies (next_attempt);

-- What was delivered before it was found harmful. Rows are not deleted.
CREATE TABLE rescan_hits (
	id          TEXT PRIMARY KEY,
	found_at    INTEGER NOT NULL,
	object      TEXT NOT NULL, -- with what was found
	reason      TEXT NOT NULL,
	vault_id    TEXT NOT NULL, -- of the evidence
	done_at     INTEGER NOT NULL DEFAULT 0,
	done_by     TEXT NOT NULL DEFAULT '',
	done_reason TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;

CREATE INDEX rescan_open ON rescan_hits (found_at) WHERE done_at = 0;

-- How many objects were delivered unscanned and will not be rescanned, since
-- somebody last acknowledged that. One row.
CREATE TABLE rescan_lost (
	objects INTEGER NOT NULL
) STRICT;

INSERT INTO rescan_lost VALUES (0);
