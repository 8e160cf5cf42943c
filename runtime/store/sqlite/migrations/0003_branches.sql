-- The last branches of the history: the store was opened when its counter was began, and
-- what has changed since, until the next one, is the branch with this random id.
CREATE TABLE branches (
  began    INTEGER NOT NULL PRIMARY KEY,
  id       INTEGER NOT NULL,
  checksum INTEGER NOT NULL
) STRICT;
