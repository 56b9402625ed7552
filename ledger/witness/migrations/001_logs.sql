-- What this witness remembers of each ledger: the last checkpoint that it
-- cosigned, and the key that signs the next.
CREATE TABLE witness_logs (
	origin     TEXT PRIMARY KEY,
	configured TEXT NOT NULL,    -- verifier key in the configuration
	key        TEXT NOT NULL,    -- verifier key in use: the configured one, or one that it led to
	size       INTEGER NOT NULL, -- 0: none yet
	root       BLOB,
	note       BLOB,
	seen_at    INTEGER NOT NULL  -- microseconds since 1970
) STRICT;
