-- Visits over the web are cut short as associations are.
ALTER TABLE reconcile_cut ADD COLUMN visit INTEGER NOT NULL DEFAULT 0; -- 1 if it is one
