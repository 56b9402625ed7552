-- Who uses Cordon. Times are microseconds since 1970, UTC; 0: never. Secrets are
-- here as digests (SHA-256) or under argon2id, never as they are.
CREATE TABLE people_account (
	id           TEXT PRIMARY KEY,
	name         TEXT NOT NULL,          -- decisions are made under it
	folded       TEXT NOT NULL UNIQUE,   -- its letters and digits: no two people look alike
	state        TEXT NOT NULL,          -- invited, active, disabled
	roles        TEXT NOT NULL,          -- JSON
	products     TEXT NOT NULL,          -- JSON; of a vendor
	password     TEXT NOT NULL DEFAULT '', -- $argon2id$…
	issuer       TEXT NOT NULL DEFAULT '', -- of OpenID Connect
	subject      TEXT NOT NULL DEFAULT '',
	created_at   INTEGER NOT NULL,
	created_by   TEXT NOT NULL,
	signed_in_at INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE UNIQUE INDEX people_account_elsewhere ON people_account (issuer, subject) WHERE issuer <> '';

CREATE TABLE people_passkey (
	id         BLOB PRIMARY KEY,         -- the credential's
	account    TEXT NOT NULL REFERENCES people_account (id),
	label      TEXT NOT NULL,
	credential TEXT NOT NULL,            -- JSON: the public key, the counter
	created_at INTEGER NOT NULL,
	used_at    INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE INDEX people_passkey_account ON people_passkey (account);

CREATE TABLE people_session (
	hash         BLOB PRIMARY KEY,       -- of the secret in the cookie
	id           TEXT NOT NULL UNIQUE,   -- by which people speak of it
	account      TEXT NOT NULL REFERENCES people_account (id),
	how          TEXT NOT NULL,
	created_at   INTEGER NOT NULL,
	used_at      INTEGER NOT NULL,
	signed_in_at INTEGER NOT NULL,       -- last proved who they are
	address      TEXT NOT NULL,
	agent        TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX people_session_account ON people_session (account);

-- Browsers in which somebody has signed in before: they do not wait because of
-- what others guess.
CREATE TABLE people_browser (
	hash    BLOB PRIMARY KEY,
	account TEXT NOT NULL REFERENCES people_account (id),
	used_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX people_browser_account ON people_browser (account);

CREATE TABLE people_token (
	hash       BLOB PRIMARY KEY,
	id         TEXT NOT NULL UNIQUE,
	account    TEXT NOT NULL REFERENCES people_account (id),
	label      TEXT NOT NULL,
	scopes     TEXT NOT NULL,            -- JSON
	created_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	used_at    INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE INDEX people_token_account ON people_token (account);

-- Links of one use.
CREATE TABLE people_link (
	hash       BLOB PRIMARY KEY,
	purpose    TEXT NOT NULL,            -- setup, invite, recover
	account    TEXT NOT NULL,            -- '' of setup
	expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Roles that somebody took for a while, in an emergency.
CREATE TABLE people_glass (
	id          TEXT PRIMARY KEY,
	account     TEXT NOT NULL REFERENCES people_account (id),
	name        TEXT NOT NULL,
	role        TEXT NOT NULL,
	reason      TEXT NOT NULL,
	since       INTEGER NOT NULL,
	until       INTEGER NOT NULL,
	ended       INTEGER NOT NULL DEFAULT 0, -- 1: its end is on the ledger
	review_due  INTEGER NOT NULL,           -- 0: reviewed
	reviewed_by TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE INDEX people_glass_open ON people_glass (account) WHERE ended = 0;
CREATE INDEX people_glass_due ON people_glass (review_due) WHERE review_due > 0;
