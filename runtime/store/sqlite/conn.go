package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"

	"modernc.org/sqlite"
)

// conn is a connection, for one goroutine. It sits on the driver itself: what
// database/sql adds, a pool and conversions, costs as much as a small write.
type conn struct {
	driver.Conn
	// kept are the statements that live as long as the connection.
	kept []*stmt
}

// Close also closes what was kept: with a statement left SQLite would stay on the
// file as a ghost and not clear the log away.
func (c *conn) Close() error {
	var errs []error
	for _, s := range c.kept {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, c.Conn.Close())...)
}

// dial opens a connection to a file that exists. Mode is "rw" or "ro".
func dial(path, mode string) (*conn, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	slashed := filepath.ToSlash(absolute)
	if !strings.HasPrefix(slashed, "/") {
		slashed = "/" + slashed // a drive letter
	}
	name := url.URL{Scheme: "file", Path: slashed, RawQuery: "mode=" + mode}
	c, err := (&sqlite.Driver{}).Open(name.String())
	if err != nil {
		return nil, refine(err)
	}
	return &conn{Conn: c}, nil
}

// exec runs statements without arguments and drops what they return.
func (c *conn) exec(statements string) error {
	s, err := c.prepare(statements)
	if err != nil {
		return err
	}
	defer s.Close()
	return s.exec()
}

// number runs a statement that returns one number.
func (c *conn) number(statement string) (int64, error) { return single[int64](c, statement) }

// text runs a statement that returns one text.
func (c *conn) text(statement string) (string, error) { return single[string](c, statement) }

func single[T value](c *conn, statement string) (T, error) {
	var none T
	s, err := c.prepare(statement)
	if err != nil {
		return none, err
	}
	defer s.Close()
	row, _, err := s.one()
	if err != nil {
		return none, fmt.Errorf("%s: %w", statement, err)
	}
	return scan1[T](row)
}

// keep prepares a statement that runs often.
func (c *conn) keep(sql string) (*stmt, error) {
	s, err := c.prepare(sql)
	if err == nil {
		c.kept = append(c.kept, s)
	}
	return s, err
}

// prepare makes a statement, which the caller closes.
func (c *conn) prepare(sql string) (*stmt, error) {
	s, err := c.Prepare(sql)
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", sql, refine(err))
	}
	return &stmt{
		Stmt: s,
		run:  s.(driver.StmtExecContext),
		ask:  s.(driver.StmtQueryContext),
	}, nil
}

// stmt is a prepared statement. Its arguments are int64, string, []byte or nil.
type stmt struct {
	driver.Stmt
	run  driver.StmtExecContext
	ask  driver.StmtQueryContext
	args []driver.NamedValue
	row  []driver.Value
}

func (s *stmt) exec(args ...driver.Value) error {
	_, err := s.run.ExecContext(context.Background(), s.bind(args))
	return refine(err)
}

// one returns the first row. The row is good until the next call.
func (s *stmt) one(args ...driver.Value) (row []driver.Value, found bool, err error) {
	rows, err := s.ask.QueryContext(context.Background(), s.bind(args))
	if err != nil {
		return nil, false, refine(err)
	}
	found, err = s.next(rows)
	if err := errors.Join(err, refine(rows.Close())); err != nil {
		return nil, false, err
	}
	return s.row, found, nil
}

// each calls visit for every row.
func (s *stmt) each(visit func(row []driver.Value) error, args ...driver.Value) error {
	rows, err := s.ask.QueryContext(context.Background(), s.bind(args))
	if err != nil {
		return refine(err)
	}
	defer rows.Close()
	for {
		found, err := s.next(rows)
		if err != nil || !found {
			return err
		}
		if err := visit(s.row); err != nil {
			return err
		}
	}
}

func (s *stmt) next(rows driver.Rows) (bool, error) {
	if s.row == nil {
		s.row = make([]driver.Value, len(rows.Columns()))
	}
	switch err := rows.Next(s.row); {
	case err == nil:
		return true, nil
	case errors.Is(err, io.EOF):
		return false, nil
	default:
		return false, refine(err)
	}
}

func (s *stmt) bind(args []driver.Value) []driver.NamedValue {
	s.args = s.args[:0]
	for i, arg := range args {
		s.args = append(s.args, driver.NamedValue{Ordinal: i + 1, Value: arg})
	}
	return s.args
}
