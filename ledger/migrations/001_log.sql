-- The records, each in canonical JSON; seq counts from 0 without a gap.
CREATE TABLE ledger_records (
	seq  INTEGER PRIMARY KEY,
	data BLOB NOT NULL
) STRICT;

-- The Merkle tree's hashes, by stored hash index (golang.org/x/mod/sumdb/tlog).
CREATE TABLE ledger_hashes (
	idx  INTEGER PRIMARY KEY,
	hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

-- Signed tree heads, each with the verifier key that opens it.
CREATE TABLE ledger_checkpoints (
	size INTEGER PRIMARY KEY,
	note BLOB NOT NULL,
	key  TEXT NOT NULL
) STRICT;

-- From one start to its stop; stop is NULL while it runs, and for ever after a crash.
CREATE TABLE ledger_runs (
	start INTEGER PRIMARY KEY,
	stop  INTEGER
) STRICT;

-- Nothing is ever changed or taken out. Whoever can drop these can also tamper,
-- and the signatures show that; these catch our own mistakes.
CREATE TRIGGER ledger_records_keep BEFORE UPDATE ON ledger_records
	BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_records_stay BEFORE DELETE ON ledger_records
	BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_hashes_keep BEFORE UPDATE ON ledger_hashes
	BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_hashes_stay BEFORE DELETE ON ledger_hashes
	BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_checkpoints_keep BEFORE UPDATE ON ledger_checkpoints
	BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_checkpoints_stay BEFORE DELETE ON ledger_checkpoints
	BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
