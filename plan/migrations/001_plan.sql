-- The plan that is applied: one row. Times are microseconds since 1970, UTC.
CREATE TABLE plan_applied (
	id      INTEGER PRIMARY KEY CHECK (id = 1),
	mode    TEXT NOT NULL,    -- off, shadow, enforce
	confirm INTEGER NOT NULL, -- enforced until then unless somebody confirms; 0: confirmed
	since   INTEGER NOT NULL,
	name    TEXT NOT NULL,
	reason  TEXT NOT NULL,
	plan    TEXT NOT NULL     -- as JSON; '' of off
) STRICT;
