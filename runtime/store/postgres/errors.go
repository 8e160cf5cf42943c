package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/francis-actors/francis/runtime/store"
)

// errConflict marks a transaction that met another one: nothing of it happened, and it may
// be repeated as a whole.
var errConflict = errors.New("another transaction was in the way")

// The codes of PostgreSQL that mean something to us.
const (
	codeSerialization = "40001"
	codeDeadlock      = "40P01"
	codeUnique        = "23505" // a row that was new to two transactions
	codeLockTimeout   = "55P03"
	codeIdle          = "25P03" // the server has ended a session that kept it waiting
	codeReadOnly      = "25006"
	codeDiskFull      = "53100"
	codeDataCorrupted = "XX001"
	codeIndexCorrupt  = "XX002"
)

// refine adds what an answer of the server means to us.
func refine(err error) error {
	answer, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return err
	}
	if meaning := meaningOf(answer.Code); meaning != nil {
		return fmt.Errorf("%w (%w)", meaning, err)
	}
	return err
}

// lost says of an error by which a connection ended, or by which there is none, that the
// database is away, unless it says what it means itself.
func lost(err error) error {
	for _, known := range []error{store.ErrForeign, store.ErrAway, store.ErrClosed} {
		if errors.Is(err, known) {
			return err
		}
	}
	return fmt.Errorf("%w (%w)", store.ErrAway, err)
}

func meaningOf(code string) error {
	switch code {
	case codeSerialization, codeDeadlock, codeUnique, codeLockTimeout, codeIdle:
		return errConflict
	case codeDiskFull:
		return store.ErrFull
	case codeDataCorrupted, codeIndexCorrupt:
		return store.ErrDamaged
	case codeReadOnly:
		return store.ErrAway // it has become a standby; another server may take writes
	}
	switch code[:min(len(code), 2)] {
	case "08", "57", "53": // connection lost, shut down, out of resources
		return store.ErrAway
	}
	return nil
}

// describe is what is wrong with a connection string, without a word of it.
func describe(err error) error {
	if bad, ok := errors.AsType[*url.Error](err); ok {
		return bad.Err
	}
	if parse, ok := errors.AsType[*pgconn.ParseConfigError](err); ok {
		if inner := errors.Unwrap(parse); inner != nil {
			return describe(inner)
		}
	}
	return err
}

// health tells people when the database stops answering, and when it answers again: once
// each, however many calls meet it.
type health struct {
	logger *slog.Logger
	mu     sync.Mutex
	away   bool // under mu
}

// note takes the end of a transaction over.
func (h *health) note(err error) {
	away := errors.Is(err, store.ErrAway) && !errors.Is(err, context.Canceled) // who gave up has not seen it
	if err != nil && !away {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case away && !h.away:
		h.logger.Warn("the database does not answer; it is tried again and again", "error", err)
	case !away && h.away:
		h.logger.Info("the database answers again")
	}
	h.away = away
}
