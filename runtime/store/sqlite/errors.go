package sqlite

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/francis-actors/francis/runtime/store"
)

// errDisk marks an error of the disk. What it means depends on who meets it: a
// writer cannot go on.
var errDisk = errors.New("the disk answered with an error")

// refine adds what an error of SQLite means to us.
func refine(err error) error {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return err
	}
	if meaning := meaningOf(e.Code()); meaning != nil {
		return fmt.Errorf("%w (%w)", meaning, err)
	}
	return err
}

// meaningOf maps a result code, extended or not.
func meaningOf(code int) error {
	switch code {
	case sqlite3.SQLITE_IOERR_SHMSIZE:
		return store.ErrFull // the index of the log found no room
	case sqlite3.SQLITE_IOERR_NOMEM:
		return nil
	}
	switch code & 0xff {
	case sqlite3.SQLITE_FULL:
		return store.ErrFull
	case sqlite3.SQLITE_IOERR:
		return errDisk
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return store.ErrDamaged
	default:
		return nil
	}
}
