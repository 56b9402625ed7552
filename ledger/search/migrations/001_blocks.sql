-- What is in each block of 1024 records, made of the ledger and made again of it
-- when it is missing. Times are microseconds since 1970, UTC.
CREATE TABLE ledger_search_blocks (
	block    INTEGER PRIMARY KEY, -- records block * 1024 to block * 1024 + 1023
	first_at INTEGER NOT NULL,    -- the earliest time in it
	last_at  INTEGER NOT NULL,    -- the latest
	kinds    TEXT NOT NULL        -- JSON: how many records of each kind
) STRICT;

-- A Bloom filter over the strings in the bodies of a block.
CREATE TABLE ledger_search_filters (
	block  INTEGER PRIMARY KEY,
	filter BLOB NOT NULL
) STRICT;
