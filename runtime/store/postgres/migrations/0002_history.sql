-- Who changes anything makes sure that server is who changes it, the server that it is
-- connected to with the file of this table there: another one may hold an older copy, and a
-- branch of the history begins before its first change. branch is the id of the present one,
-- 0 before there was any. A database that several servers write at the same time has * as
-- its server. checksum is over id, generation, and branch and server where there is a branch.
ALTER TABLE francis.cluster ADD COLUMN branch BIGINT NOT NULL DEFAULT 0;
ALTER TABLE francis.cluster ADD COLUMN server TEXT NOT NULL DEFAULT '';

-- The last branches of the history: the counter was began when a branch began, on server.
-- What has changed since, until the next one, is the branch with this random id. Who begins
-- one has locked the row of the table placement.
CREATE TABLE francis.branches (
  began    BIGINT PRIMARY KEY,
  id       BIGINT NOT NULL,
  server   TEXT   NOT NULL,
  checksum BIGINT NOT NULL
);
