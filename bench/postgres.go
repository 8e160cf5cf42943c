package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// rowsInPostgreSQL are the floors of PostgreSQL: 256 bytes are upserted into one of 1,000
// rows, over one connection.
type rowsInPostgreSQL struct {
	// most is how many rows share a transaction at most.
	most int
}

// upsert writes rows, each once, and counts how often each was written.
const upsert = `INSERT INTO rows AS r SELECT u.id, u.writes, u.data FROM unnest($1::text[], $2::bigint[], $3::bytea[]) AS u (id, writes, data)
	ON CONFLICT (id) DO UPDATE SET writes = r.writes + excluded.writes, data = excluded.data`

func (r rowsInPostgreSQL) measure(ctx context.Context, l *lab, callers int) (res result, err error) {
	at, err := l.newDatabase(ctx)
	if err != nil {
		return result{}, err
	}
	conn, err := pgx.Connect(ctx, string(at))
	if err != nil {
		return result{}, err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	_, err = conn.Exec(ctx, `CREATE TABLE rows (id TEXT COLLATE "C" PRIMARY KEY, writes BIGINT NOT NULL, data BYTEA NOT NULL) WITH (fillfactor = 70)`)
	if err != nil {
		return result{}, err
	}
	helpers, err := at.helpers(ctx)
	if err != nil {
		return result{}, err
	}
	t := &databaseTable{conn: conn}
	rows := make(chan row256, group)
	over := make(chan struct{})
	go func() {
		defer close(over)
		writeGroups(rows, r.most, t.write)
	}()
	defer func() {
		close(rows)
		<-over
		err = errors.Join(err, t.check(ctx))
	}()
	return work{callers: callers, span: l.cfg.span, children: helpers, op: newWriter(rows, callers).write}.measure(ctx)
}

// databaseTable is a table that counts how often each of its rows was written.
type databaseTable struct {
	conn *pgx.Conn
	// writes are the upserts that were acknowledged.
	writes int64
}

// write writes rows in one transaction, of one statement.
func (t *databaseTable) write(rows []row256) error {
	var ids []string
	var counts []int64
	var data [][]byte
	at := make(map[string]int, len(rows))
	for _, r := range rows {
		n, known := at[r.id]
		if !known {
			n = len(ids)
			at[r.id], ids, counts, data = n, append(ids, r.id), append(counts, 0), append(data, nil)
		}
		counts[n]++
		data[n] = r.data
	}
	if _, err := t.conn.Exec(context.Background(), upsert, ids, counts, data); err != nil {
		return err
	}
	t.writes += int64(len(rows))
	return nil
}

// check wants every acknowledged write to be in the table.
func (t *databaseTable) check(ctx context.Context) error {
	var sum int64
	err := t.conn.QueryRow(ctx, "SELECT coalesce(sum(writes), 0)::bigint FROM rows").Scan(&sum)
	if err == nil && sum != t.writes {
		err = fmt.Errorf("the table counts %d writes; %d were acknowledged", sum, t.writes)
	}
	return err
}
