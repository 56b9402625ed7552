-- Every certificate that was ever issued. Times are seconds since 1970, UTC.
CREATE TABLE pki_certificate (
	id         INTEGER PRIMARY KEY,
	kind       TEXT NOT NULL,              -- authority, gateway, device
	name       TEXT NOT NULL,
	issuer     INTEGER NOT NULL,           -- id of its authority; 0: itself
	serial     TEXT NOT NULL UNIQUE,       -- hexadecimal
	der        BLOB NOT NULL,
	revoked_at INTEGER NOT NULL DEFAULT 0, -- 0: not revoked
	reason     TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE INDEX pki_certificate_name ON pki_certificate (name);
