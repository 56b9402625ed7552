-- What is held, for people who look through it: by study, the latest first, and by
-- what was found. However much is held, a page of either is read from an index.
CREATE INDEX custody_held_study ON custody_objects (study_instance_uid, id, archive, device, calling_ae, held_at) WHERE state = 'held';

-- The same bytes again, whatever became of them.
CREATE INDEX custody_vault_digest ON custody_objects (sha256, seq) WHERE held_at > 0;

-- One row for each kind of finding of each held object. origin is its device, or
-- the calling AE title of one that nobody declared.
CREATE TABLE custody_held_findings (
	finding TEXT NOT NULL,
	origin  TEXT NOT NULL,
	seq     INTEGER NOT NULL,
	PRIMARY KEY (finding, origin, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX custody_held_findings_of ON custody_held_findings (seq);

INSERT OR IGNORE INTO custody_held_findings
	SELECT json_extract(f.value, '$.id'), CASE o.device WHEN '' THEN o.calling_ae ELSE o.device END, o.seq
	FROM custody_objects o, json_each(o.findings) f WHERE o.state = 'held';

CREATE TRIGGER custody_held_new AFTER INSERT ON custody_objects WHEN new.state = 'held' BEGIN
	INSERT OR IGNORE INTO custody_held_findings
		SELECT json_extract(value, '$.id'), CASE new.device WHEN '' THEN new.calling_ae ELSE new.device END, new.seq FROM json_each(new.findings);
END;

CREATE TRIGGER custody_held_change AFTER UPDATE OF state, findings ON custody_objects
	WHEN old.state = 'held' OR new.state = 'held'
BEGIN
	DELETE FROM custody_held_findings WHERE seq = new.seq;
	INSERT OR IGNORE INTO custody_held_findings
		SELECT json_extract(value, '$.id'), CASE new.device WHEN '' THEN new.calling_ae ELSE new.device END, new.seq
		FROM json_each(new.findings) WHERE new.state = 'held';
END;
