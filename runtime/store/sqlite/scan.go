package sqlite

import (
	"database/sql/driver"
	"fmt"

	"github.com/francis-actors/francis/runtime/store"
)

// value is what a column holds. Another type than that of the schema is damage.
type value interface{ int64 | string | []byte }

// scan writes a column to its variable.
func scan[T value](to *T, column driver.Value) error {
	v, ok := column.(T)
	if !ok {
		return fmt.Errorf("%w: a column holds %T where %T belongs", store.ErrDamaged, column, v)
	}
	*to = v
	return nil
}

// scan1 returns the only column of a row.
func scan1[T value](row []driver.Value) (v T, err error) {
	if len(row) != 1 {
		return v, fmt.Errorf("a row of %d columns where 1 belongs", len(row))
	}
	return v, scan(&v, row[0])
}

// columns reads a row from left to right and keeps the first error.
type columns struct {
	row []driver.Value
	err error
}

func (c *columns) text() string  { return take[string](c) }
func (c *columns) bytes() []byte { return take[[]byte](c) }
func (c *columns) uint() uint64  { return uint64(take[int64](c)) }

func take[T value](c *columns) (v T) {
	if c.err == nil {
		c.err = scan(&v, c.row[0])
		c.row = c.row[1:]
	}
	return v
}
