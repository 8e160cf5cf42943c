package main

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"

	"modernc.org/sqlite"
)

const (
	// page is what is synced at a time.
	page = 4096
	// actors is how many actors, or rows, share the work where it is not one alone.
	actors = 1000
	// payload is the size of a stored row, and group how many share a transaction at most.
	payload = 256
	group   = 1024
)

// syncPage measures the sync of a page that is overwritten.
func syncPage(ctx context.Context, l *lab, callers int) (res result, err error) {
	file, err := os.Create(filepath.Join(l.dir, "page"))
	if err != nil {
		return result{}, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	content := make([]byte, page)
	return work{callers: callers, span: l.cfg.span, op: func(int, int) error {
		if _, err := file.WriteAt(content, 0); err != nil {
			return err
		}
		return syncData(file)
	}}.measure(ctx)
}

// table is a SQLite table that counts how often each of its rows was written.
type table struct {
	conn                  driver.Conn
	begin, upsert, commit driver.Stmt
	// writes are the upserts that were acknowledged.
	writes atomic.Int64
}

// openTable makes a new file that syncs every transaction.
func openTable(path place) (t *table, err error) {
	conn, err := (&sqlite.Driver{}).Open("file:" + filepath.ToSlash(string(path)) + "?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		return nil, err
	}
	t = &table{conn: conn}
	create, err := conn.Prepare("CREATE TABLE rows (id TEXT PRIMARY KEY, writes INTEGER NOT NULL, data BLOB NOT NULL) WITHOUT ROWID")
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	err = errors.Join(run1(create), create.Close())
	for text, into := range map[string]*driver.Stmt{
		"BEGIN IMMEDIATE": &t.begin,
		"INSERT INTO rows VALUES (?1, 1, ?2) ON CONFLICT (id) DO UPDATE SET writes = writes + 1, data = excluded.data": &t.upsert,
		"COMMIT": &t.commit,
	} {
		if err == nil {
			*into, err = conn.Prepare(text)
		}
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return t, nil
}

func run1(s driver.Stmt, args ...driver.NamedValue) error {
	_, err := s.(driver.StmtExecContext).ExecContext(context.Background(), args)
	return err
}

// write writes rows in one transaction.
func (t *table) write(rows []row256) error {
	if err := run1(t.begin); err != nil {
		return err
	}
	for i := range rows {
		err := run1(t.upsert, driver.NamedValue{Ordinal: 1, Value: rows[i].id}, driver.NamedValue{Ordinal: 2, Value: rows[i].data})
		if err != nil {
			return err
		}
	}
	if err := run1(t.commit); err != nil {
		return err
	}
	t.writes.Add(int64(len(rows)))
	return nil
}

// row256 is a row to be written.
type row256 struct {
	id      string
	data    []byte
	written chan error
}

// close checks that every acknowledged write is in the table.
func (t *table) close() (err error) {
	defer func() { err = errors.Join(err, t.conn.Close()) }()
	for _, s := range []driver.Stmt{t.begin, t.upsert, t.commit} {
		err = errors.Join(err, s.Close())
	}
	query, prepareErr := t.conn.Prepare("SELECT sum(writes) FROM rows")
	if prepareErr != nil {
		return errors.Join(err, prepareErr)
	}
	defer func() { err = errors.Join(err, query.Close()) }()
	rows, queryErr := query.(driver.StmtQueryContext).QueryContext(context.Background(), nil)
	if queryErr != nil {
		return errors.Join(err, queryErr)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	sum := make([]driver.Value, 1)
	if nextErr := rows.Next(sum); nextErr != nil {
		return errors.Join(err, nextErr)
	}
	if sum[0] != t.writes.Load() {
		return errors.Join(err, fmt.Errorf("the table counts %v writes; %d were acknowledged", sum[0], t.writes.Load()))
	}
	return err
}

func actorID(n int) string { return fmt.Sprintf("actor-%06d", n%actors) }

// insertEach commits every row alone.
func insertEach(ctx context.Context, l *lab, callers int) (res result, err error) {
	t, err := openTable(l.newPath("each.db"))
	if err != nil {
		return result{}, err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	data := []byte(strings.Repeat("x", payload))
	return work{callers: callers, span: l.cfg.span, op: func(_, n int) error {
		return t.write([]row256{{id: actorID(n), data: data}})
	}}.measure(ctx)
}

// insertGroups commits together what is waiting.
func insertGroups(ctx context.Context, l *lab, callers int) (res result, err error) {
	t, err := openTable(l.newPath("group.db"))
	if err != nil {
		return result{}, err
	}
	rows := make(chan row256, group)
	over := make(chan struct{})
	go func() {
		defer close(over)
		writeGroups(rows, group, t.write)
	}()
	defer func() {
		close(rows)
		<-over
		err = errors.Join(err, t.close())
	}()
	return work{callers: callers, span: l.cfg.span, op: newWriter(rows, callers).write}.measure(ctx)
}

// writeGroups writes together what is waiting, up to so many, until the rows end.
func writeGroups(rows <-chan row256, most int, write func([]row256) error) {
	for first := range rows {
		runtime.Gosched()
		waiting := []row256{first}
		for more := true; more && len(waiting) < most; {
			select {
			case next, ok := <-rows:
				if more = ok; ok {
					waiting = append(waiting, next)
				}
			default:
				more = false
			}
		}
		err := write(waiting)
		for _, r := range waiting {
			r.written <- err
		}
	}
}

// writer are callers who write a row each and wait until it is written.
type writer struct {
	rows    chan<- row256
	data    []byte
	written []chan error
}

func newWriter(rows chan<- row256, callers int) writer {
	w := writer{rows: rows, data: []byte(strings.Repeat("x", payload)), written: make([]chan error, callers)}
	for i := range w.written {
		w.written[i] = make(chan error, 1)
	}
	return w
}

func (w writer) write(caller, n int) error {
	w.rows <- row256{actorID(n*len(w.written) + caller), w.data, w.written[caller]}
	return <-w.written[caller]
}
