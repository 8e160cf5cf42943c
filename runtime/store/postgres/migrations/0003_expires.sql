-- When the state of an actor expires, in Unix microseconds; 0 for never. The checksum is over
-- it as well, unless it is 0.
ALTER TABLE francis.actors ADD COLUMN expires BIGINT NOT NULL DEFAULT 0;

CREATE INDEX actors_expires ON francis.actors (expires) WHERE expires > 0;
