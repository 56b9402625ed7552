-- Every ticket there has been. Times are microseconds since 1970, UTC.
CREATE TABLE ticket_tickets (
	id     INTEGER PRIMARY KEY,
	state  TEXT NOT NULL,    -- asked, open, closed
	lasts  INTEGER NOT NULL, -- seconds that were asked for
	ticket TEXT NOT NULL     -- the rest, as JSON
) STRICT;

CREATE INDEX ticket_standing ON ticket_tickets (id) WHERE state != 'closed';

-- What came with the request, sealed to custody's key.
CREATE TABLE ticket_documents (
	ticket INTEGER NOT NULL REFERENCES ticket_tickets (id),
	what   TEXT NOT NULL, -- declaration, report
	sealed BLOB NOT NULL,
	PRIMARY KEY (ticket, what)
) STRICT, WITHOUT ROWID;
