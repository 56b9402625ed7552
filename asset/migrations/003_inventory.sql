-- What people say a device is.
CREATE TABLE asset_inventory (
	device     TEXT PRIMARY KEY,
	inventory  TEXT NOT NULL, -- JSON
	changed_by TEXT NOT NULL,
	changed_at INTEGER NOT NULL
) STRICT;

-- What a device talks to, as somebody or some file declares it.
CREATE TABLE asset_flows (
	device     TEXT NOT NULL,
	source     TEXT NOT NULL CHECK (source IN ('config', 'people', 'mud', 'mds2')),
	flows      TEXT NOT NULL, -- JSON
	changed_by TEXT NOT NULL,
	changed_at INTEGER NOT NULL,
	PRIMARY KEY (device, source)
) STRICT, WITHOUT ROWID;
