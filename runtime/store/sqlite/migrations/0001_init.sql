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

-- This table has no index, so that a record is one write to one page. keyed is when the
-- actor got its last idempotency key, in Unix seconds, 0 for never: most actors have
-- none, and need no look into the table of keys.
CREATE TABLE actors (
  type       TEXT    NOT NULL,
  id         TEXT    NOT NULL,
  activation INTEGER NOT NULL,
  sequence   INTEGER NOT NULL,
  version    INTEGER NOT NULL,
  keyed      INTEGER NOT NULL,
  checksum   INTEGER NOT NULL,
  message    TEXT    NOT NULL,
  data       BLOB    NOT NULL,
  PRIMARY KEY (type, id)
) STRICT, WITHOUT ROWID;

-- The calls with an idempotency key. since is in Unix seconds, and hour the hour of it:
-- keys are dropped by the hour. checksum is over all columns but the reply, which has
-- one of its own: it is read only when the call is repeated.
CREATE TABLE keys (
  type     TEXT    NOT NULL,
  id       TEXT    NOT NULL,
  digest   BLOB    NOT NULL,
  request  BLOB    NOT NULL,
  since    INTEGER NOT NULL,
  hour     INTEGER NOT NULL,
  checksum INTEGER NOT NULL,
  replied  INTEGER NOT NULL,
  reply    BLOB    NOT NULL,
  PRIMARY KEY (type, id, digest)
) STRICT, WITHOUT ROWID;

CREATE INDEX keys_hour ON keys (hour);

-- The actors that lost their state, and since when, in Unix seconds, their identity may
-- be forgotten after a while. One that has a state again may still be here.
CREATE TABLE emptied (
  type  TEXT    NOT NULL,
  id    TEXT    NOT NULL,
  since INTEGER NOT NULL,
  PRIMARY KEY (type, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX emptied_since ON emptied (since);
