-- Whose turn it is: the first of each lane of an archive that waits and was not
-- refused for good. So what is due is found by its time in an index, however
-- many wait. Urgent ones (C-STORE priority, PS3.7 §9.3.1.1) and what keeps them
-- waiting in their lane go first: 0 high, 1 medium, 2 low.
ALTER TABLE custody_objects ADD COLUMN turn INTEGER NOT NULL DEFAULT 0;
ALTER TABLE custody_objects ADD COLUMN urgency INTEGER NOT NULL DEFAULT 1;

UPDATE custody_objects SET
	turn = seq IN (SELECT MIN(seq) FROM custody_objects WHERE state = 'spooled' AND needs_attention = 0 GROUP BY archive, lane),
	urgency = CASE priority WHEN 1 THEN 0 WHEN 2 THEN 2 ELSE 1 END
WHERE state IN ('spooled', 'held');

CREATE INDEX custody_turn ON custody_objects (archive, urgency, next_attempt, seq) WHERE turn = 1 AND in_flight = 0;

-- One that waits no more hands its turn on, and its hurry; one that waits again
-- may come before the one whose turn it was.
CREATE TRIGGER custody_turn_over AFTER UPDATE OF state, needs_attention ON custody_objects
	WHEN (old.state = 'spooled' AND old.needs_attention = 0) <> (new.state = 'spooled' AND new.needs_attention = 0)
BEGIN
	UPDATE custody_objects SET turn = 0 WHERE turn = 1 AND (seq = new.seq
		OR new.state = 'spooled' AND seq = (SELECT MIN(seq) FROM custody_objects
			WHERE archive = new.archive AND lane = new.lane AND state = 'spooled' AND needs_attention = 0 AND seq > new.seq));
	UPDATE custody_objects SET turn = 1, urgency = MIN(urgency, old.urgency) WHERE turn = 0 AND seq = (SELECT MIN(seq) FROM custody_objects
		WHERE archive = new.archive AND lane = new.lane AND state = 'spooled' AND needs_attention = 0);
END;

-- What an urgent one waits behind is as urgent.
CREATE TRIGGER custody_turn_urgent AFTER INSERT ON custody_objects WHEN new.state = 'spooled' AND new.turn = 0 AND new.urgency = 0
BEGIN
	UPDATE custody_objects SET urgency = 0 WHERE seq = (SELECT MIN(seq) FROM custody_objects
		WHERE archive = new.archive AND lane = new.lane AND state = 'spooled' AND needs_attention = 0);
END;

-- Delivered rows, the oldest first, that may go one day.
CREATE INDEX custody_gone ON custody_objects (delivered_at) WHERE state = 'delivered' AND held_at = 0 AND alarm = '';
