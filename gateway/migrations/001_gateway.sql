-- Associations that have begun and not ended. A row that is found at start was cut short by a crash.
CREATE TABLE gateway_association (
    id         TEXT PRIMARY KEY,
    began_at   INTEGER NOT NULL, -- Unix microseconds
    calling_ae TEXT NOT NULL,
    address    TEXT NOT NULL,
    archive    TEXT NOT NULL
) STRICT;

-- Contexts that an archive has accepted, so that the same can be accepted while it is away.
CREATE TABLE gateway_context (
    archive         TEXT NOT NULL,
    calling_ae      TEXT NOT NULL,
    abstract_syntax TEXT NOT NULL,
    transfer_syntax TEXT NOT NULL,
    seen_at         INTEGER NOT NULL,
    PRIMARY KEY (archive, calling_ae, abstract_syntax, transfer_syntax)
) STRICT, WITHOUT ROWID;

-- Every peer that was admitted, declared or learned.
CREATE TABLE gateway_peer (
    calling_ae TEXT NOT NULL,
    address    TEXT NOT NULL,
    device     TEXT NOT NULL, -- the declared device's name, or ''
    first_seen INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL,
    objects    INTEGER NOT NULL DEFAULT 0,
    held       INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (calling_ae, address)
) STRICT, WITHOUT ROWID;
