-- Numbers that Go holds as uint64 are stored as the int64 of the same bits. Every checksum
-- is an xxHash64 over other columns of its row. Texts compare byte by byte, whatever the
-- locale of the database is.

-- Who commits anything adds 1 to counter, as the last thing before the commit: the row is
-- locked until that is durable. checksum is over id and generation.
CREATE TABLE francis.cluster (
  one        BIGINT PRIMARY KEY CHECK (one = 1),
  id         TEXT   NOT NULL,
  generation BIGINT NOT NULL,
  counter    BIGINT NOT NULL,
  checksum   BIGINT NOT NULL
);

-- Who changes workers (but for a beat), types or shards locks the row first, and adds 1 to
-- changes.
CREATE TABLE francis.placement (
  one     BIGINT PRIMARY KEY CHECK (one = 1),
  changes BIGINT NOT NULL
);

INSERT INTO francis.placement VALUES (1, 0);

-- worker is a francis.runtime.v1.Worker. died is in Unix seconds, 0 while it is alive.
-- checksum is not over beat.
CREATE TABLE francis.workers (
  id       TEXT COLLATE "C" PRIMARY KEY,
  died     BIGINT NOT NULL,
  beat     BIGINT NOT NULL,
  worker   BYTEA  NOT NULL,
  checksum BIGINT NOT NULL
) WITH (fillfactor = 50);

-- type is a francis.runtime.v1.ActorType.
CREATE TABLE francis.types (
  name     TEXT COLLATE "C" PRIMARY KEY,
  shards   BIGINT NOT NULL,
  type     BYTEA  NOT NULL,
  checksum BIGINT NOT NULL
);

-- Who writes for a shard locks its row FOR SHARE.
CREATE TABLE francis.shards (
  type     TEXT COLLATE "C" NOT NULL,
  shard    BIGINT NOT NULL,
  epoch    BIGINT NOT NULL,
  worker   TEXT   NOT NULL,
  next     TEXT   NOT NULL,
  checksum BIGINT NOT NULL,
  PRIMARY KEY (type, shard)
) WITH (fillfactor = 50);

-- keyed is when the actor got its last idempotency key, in Unix seconds, 0 for never: most
-- actors have none, and need no look into the table of keys. emptied is since when the
-- identity of an actor without state may be forgotten after a while, in Unix seconds, 0
-- while it has a state.
CREATE TABLE francis.actors (
  type       TEXT COLLATE "C" NOT NULL,
  id         TEXT COLLATE "C" NOT NULL,
  activation BIGINT NOT NULL,
  sequence   BIGINT NOT NULL,
  version    BIGINT NOT NULL,
  keyed      BIGINT NOT NULL,
  emptied    BIGINT NOT NULL,
  checksum   BIGINT NOT NULL,
  message    TEXT   NOT NULL,
  data       BYTEA  NOT NULL,
  PRIMARY KEY (type, id)
) WITH (fillfactor = 70);

CREATE INDEX actors_emptied ON francis.actors (emptied) WHERE emptied > 0;

-- The calls with an idempotency key. since is in Unix seconds. checksum is over all columns
-- but the reply, which has one of its own: it is read only when the call is repeated.
CREATE TABLE francis.keys (
  type     TEXT COLLATE "C" NOT NULL,
  id       TEXT COLLATE "C" NOT NULL,
  digest   BYTEA  NOT NULL,
  request  BYTEA  NOT NULL,
  since    BIGINT NOT NULL,
  checksum BIGINT NOT NULL,
  replied  BIGINT NOT NULL,
  reply    BYTEA  NOT NULL,
  PRIMARY KEY (type, id, digest)
);

CREATE INDEX keys_since ON francis.keys (since);

-- The alarms (kind 1) and jobs (kind 2) that live. task is a
-- francis.runtime.v1.ScheduledTask, and due the time in it, in Unix microseconds.
CREATE TABLE francis.tasks (
  type     TEXT COLLATE "C" NOT NULL,
  id       TEXT COLLATE "C" NOT NULL,
  kind     BIGINT NOT NULL,
  name     TEXT COLLATE "C" NOT NULL,
  due      BIGINT NOT NULL,
  checksum BIGINT NOT NULL,
  task     BYTEA  NOT NULL,
  PRIMARY KEY (type, id, kind, name)
);

-- What is due, and what is due of one actor, which may have very many tasks.
CREATE INDEX tasks_due ON francis.tasks (type, due, id, kind, name);
CREATE INDEX tasks_actor ON francis.tasks (type, id, due, kind, name);

-- The dead letters, at most one of each task. Of them due says nothing.
CREATE TABLE francis.dead (
  type     TEXT COLLATE "C" NOT NULL,
  id       TEXT COLLATE "C" NOT NULL,
  kind     BIGINT NOT NULL,
  name     TEXT COLLATE "C" NOT NULL,
  due      BIGINT NOT NULL,
  checksum BIGINT NOT NULL,
  task     BYTEA  NOT NULL,
  PRIMARY KEY (type, id, kind, name)
);
