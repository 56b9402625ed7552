-- When an object that is not to be delivered before it was scanned is to be scanned
-- next; 0: it is not such a one, or has been.
ALTER TABLE custody_objects ADD COLUMN awaits_scan INTEGER NOT NULL DEFAULT 0;

DROP INDEX custody_turn;
CREATE INDEX custody_turn ON custody_objects (archive, urgency, next_attempt, seq) WHERE turn = 1 AND in_flight = 0 AND awaits_scan = 0;

CREATE INDEX custody_awaits ON custody_objects (awaits_scan, seq) WHERE awaits_scan > 0;

-- What is held, delivered or destroyed waits for no scan any more.
CREATE TRIGGER custody_awaits_no_more AFTER UPDATE OF state ON custody_objects
	WHEN new.state <> 'spooled' AND new.awaits_scan > 0
BEGIN
	UPDATE custody_objects SET awaits_scan = 0 WHERE seq = new.seq;
END;
