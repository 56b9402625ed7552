-- When the least that a peer needs was first put on the ledger for people to
-- decide on; 0: not yet.
ALTER TABLE asset_peer ADD COLUMN proposed INTEGER NOT NULL DEFAULT 0;
