-- The further archives that a held object goes to when it is released, JSON. A
-- spooled object has a row of its own for each archive.
ALTER TABLE custody_objects ADD COLUMN also TEXT NOT NULL DEFAULT '[]';
