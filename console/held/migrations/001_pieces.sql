-- The SHA-256 of each piece in which something was found, of each object that is or
-- was held, so that the same payload is known again in another object.
CREATE TABLE held_pieces (
	digest BLOB NOT NULL,
	object TEXT NOT NULL, -- id in custody
	PRIMARY KEY (digest, object)
) STRICT, WITHOUT ROWID;
CREATE INDEX held_pieces_of ON held_pieces (object);
