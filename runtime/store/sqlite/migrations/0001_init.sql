-- Numbers that Go holds as uint64 are stored as the int64 of the same bits.
-- Every checksum is an xxHash64 over the other columns of its row.

CREATE TABLE cluster (
  one        INTEGER PRIMARY KEY CHECK (one = 1),
  id         TEXT    NOT NULL,
  generation INTEGER NOT NULL,
  counter    INTEGER NOT NULL,
  checksum   INTEGER NOT NULL
) STRICT;

-- worker is a francis.runtime.v1.Worker. died is in Unix seconds, 0 while it is alive.
CREATE TABLE workers (
  id       TEXT    NOT NULL PRIMARY KEY,
  died     INTEGER NOT NULL,
  worker   BLOB    NOT NULL,
  checksum INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- type is a francis.runtime.v1.ActorType.
CREATE TABLE types (
  name     TEXT    NOT NULL PRIMARY KEY,
  shards   INTEGER NOT NULL,
  type     BLOB    NOT NULL,
  checksum INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE shards (
  type     TEXT    NOT NULL,
  shard    INTEGER NOT NULL,
  epoch    INTEGER NOT NULL,
  worker   TEXT    NOT NULL,
  next     TEXT    NOT NULL,
  checksum INTEGER NOT NULL,
  PRIMARY KEY (type, shard)
) STRICT, WITHOUT ROWID;

-- This table has no index, so that a record is one write to one page.
CREATE TABLE actors (
  type       TEXT    NOT NULL,
  id         TEXT    NOT NULL,
  activation INTEGER NOT NULL,
  sequence   INTEGER NOT NULL,
  version    INTEGER NOT NULL,
  checksum   INTEGER NOT NULL,
  message    TEXT    NOT NULL,
  data       BLOB    NOT NULL,
  PRIMARY KEY (type, id)
) STRICT, WITHOUT ROWID;

-- The actors that lost their state, and when, in Unix seconds. One that has a state
-- again may still be here.
CREATE TABLE emptied (
  type  TEXT    NOT NULL,
  id    TEXT    NOT NULL,
  since INTEGER NOT NULL,
  PRIMARY KEY (type, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX emptied_since ON emptied (since);
