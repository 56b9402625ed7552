-- The keys that signed, each from the tree size at which it began; introduction
-- is the checkpoint by which the key before named it, NULL for the first.
CREATE TABLE ledger_keys (
	since        INTEGER PRIMARY KEY,
	key          TEXT NOT NULL,
	introduction BLOB
) STRICT;
INSERT INTO ledger_keys SELECT 0, key, NULL FROM ledger_checkpoints ORDER BY size LIMIT 1;

-- What witnesses answered: one signature line each, for the checkpoint of that size.
CREATE TABLE ledger_cosignatures (
	witness TEXT NOT NULL, -- verifier key
	size    INTEGER NOT NULL,
	line    BLOB NOT NULL,
	PRIMARY KEY (witness, size)
) STRICT, WITHOUT ROWID;

-- The number of the last record of a few kinds that are looked up.
CREATE TABLE ledger_latest (
	kind TEXT PRIMARY KEY,
	seq  INTEGER NOT NULL
) STRICT;

-- Bodies of records below upto are gone; the record that says so is in the same commit.
CREATE TABLE ledger_prunings (
	upto INTEGER PRIMARY KEY
) STRICT;

-- A record may lose its body, and a checkpoint may go, once it is below that.
DROP TRIGGER ledger_records_keep;
CREATE TRIGGER ledger_records_keep BEFORE UPDATE ON ledger_records
	WHEN OLD.seq >= (SELECT COALESCE(MAX(upto), 0) FROM ledger_prunings) OR NEW.seq <> OLD.seq
	BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
DROP TRIGGER ledger_checkpoints_stay;
CREATE TRIGGER ledger_checkpoints_stay BEFORE DELETE ON ledger_checkpoints
	WHEN OLD.size >= (SELECT COALESCE(MAX(upto), 0) FROM ledger_prunings)
	BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_keys_keep BEFORE UPDATE ON ledger_keys
	BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_keys_stay BEFORE DELETE ON ledger_keys
	BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
