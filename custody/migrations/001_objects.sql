CREATE TABLE custody_objects (id TEXT) STRICT;
