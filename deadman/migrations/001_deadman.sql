-- Each time that the dead-man's bypass was open.
CREATE TABLE deadman_events (
	since         INTEGER PRIMARY KEY, -- microseconds since 1970
	until         INTEGER NOT NULL DEFAULT 0, -- 0: open
	archive       TEXT NOT NULL,
	listen        TEXT NOT NULL,
	leads_to      TEXT NOT NULL,
	reviewed_at   INTEGER NOT NULL DEFAULT 0,
	reviewed_by   TEXT NOT NULL DEFAULT '',
	review_reason TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE INDEX deadman_due ON deadman_events (since) WHERE reviewed_at = 0;
