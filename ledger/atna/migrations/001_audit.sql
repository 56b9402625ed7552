-- Which patient a study is of: a sealed string of the ledger, which an erasure
-- makes unreadable here too.
CREATE TABLE audit_studies (
	study   TEXT PRIMARY KEY,
	patient TEXT NOT NULL
) STRICT;
