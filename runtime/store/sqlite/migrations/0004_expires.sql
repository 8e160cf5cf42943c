-- When the state of an actor expires, in Unix microseconds; 0 for never. The checksum is over
-- it as well, unless it is 0.
ALTER TABLE actors ADD COLUMN expires INTEGER NOT NULL DEFAULT 0;

-- The actors whose state expires, and the hour of that, since 1970: one row for each, which
-- is written when the hour is another one. An index of the table of actors would make every
-- record slower.
CREATE TABLE expiring (
  hour INTEGER NOT NULL,
  type TEXT    NOT NULL,
  id   TEXT    NOT NULL,
  PRIMARY KEY (hour, type, id)
) STRICT, WITHOUT ROWID;
