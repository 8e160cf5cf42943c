-- The alarms (kind 1) and jobs (kind 2) that live. task is a
-- francis.runtime.v1.ScheduledTask, and due the time in it, in Unix microseconds.
CREATE TABLE tasks (
  type     TEXT    NOT NULL,
  kind     INTEGER NOT NULL,
  id       TEXT    NOT NULL,
  name     TEXT    NOT NULL,
  due      INTEGER NOT NULL,
  checksum INTEGER NOT NULL,
  task     BLOB    NOT NULL,
  PRIMARY KEY (type, kind, id, name)
) STRICT, WITHOUT ROWID;

-- What is due, and what is due of one actor, which may have very many tasks.
CREATE INDEX tasks_due ON tasks (type, due, id, kind, name);
CREATE INDEX tasks_actor ON tasks (type, id, due, kind, name);

-- The dead letters, at most one of each task. Of them due says nothing.
CREATE TABLE dead (
  type     TEXT    NOT NULL,
  kind     INTEGER NOT NULL,
  id       TEXT    NOT NULL,
  name     TEXT    NOT NULL,
  due      INTEGER NOT NULL,
  checksum INTEGER NOT NULL,
  task     BLOB    NOT NULL,
  PRIMARY KEY (type, kind, id, name)
) STRICT, WITHOUT ROWID;
