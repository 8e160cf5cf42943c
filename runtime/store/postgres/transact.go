package postgres

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/francis-actors/francis/internal/deadline"
	"github.com/francis-actors/francis/internal/failpoint"
	"github.com/francis-actors/francis/runtime/store"
)

const (
	// conflictPatience is for how long a transaction is repeated that meets others, and
	// awayPatience for how long one of which nothing can have happened, while the database
	// is away: connections of before a restart are used up so.
	conflictPatience = 10 * time.Second
	awayPatience     = time.Second
	// transactionPatience bounds one attempt. A server that says nothing for so long is
	// away, and the outcome of a commit that was sent is unknown.
	transactionPatience = 10 * time.Second
	// longestPause bounds the wait before a transaction is repeated.
	longestPause = 100 * time.Millisecond
)

// transaction is one that is open. Its statements travel in batches, each of them one
// round trip.
type transaction struct {
	conn *pgxpool.Conn
	// sent is true once the commit is on its way: after that an error leaves open whether
	// it happened.
	sent bool
}

// begin is a batch that begins a transaction.
func begin() *pgx.Batch {
	b := &pgx.Batch{}
	b.Queue("BEGIN ISOLATION LEVEL READ COMMITTED")
	return b
}

// beginRead is a batch that begins to look at one state of the database.
func beginRead() *pgx.Batch {
	b := &pgx.Batch{}
	b.Queue("BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ")
	return b
}

// send makes a round trip.
func (t *transaction) send(ctx context.Context, b *pgx.Batch) error {
	return t.conn.SendBatch(ctx, b).Close()
}

// commit makes the last round trip: what is in the batch, one more on the counter, and the
// commit. It returns where the history is after it. Before, the transaction has made sure
// that the history has not moved.
func (t *transaction) commit(ctx context.Context, b *pgx.Batch) (store.Point, error) {
	var now standing
	b.Queue(countOne).QueryRow(scanCounted(&now))
	err := t.commitCounted(ctx, b)
	return now.counted(), err
}

// commitCounted is commit for who has counted before.
func (t *transaction) commitCounted(ctx context.Context, b *pgx.Batch) error {
	b.Queue("COMMIT")
	failpoint.Reach(failpoint.BeforeCommit)
	t.sent = true
	err := t.send(ctx, b)
	failpoint.Reach(failpoint.AfterCommit)
	return err
}

// transact runs a body in a transaction, from its first statement to its commit, and
// repeats it as a whole while others are in its way, and when a branch has to begin before
// it. A body that returns without a commit has changed nothing.
func (s *Store) transact(ctx context.Context, body func(context.Context, *transaction) error) error {
	for began, tries := time.Now(), 0; ; tries++ {
		sent, err := s.attempt(ctx, body)
		if errors.Is(err, errMoved) {
			if err = s.branch(ctx, (*standing).moved); err == nil {
				continue
			}
		}
		patience := time.Duration(0)
		switch {
		case errors.Is(err, errConflict):
			patience = conflictPatience
		case errors.Is(err, store.ErrAway) && !sent:
			patience = awayPatience
		}
		if time.Since(began) >= patience || !deadline.Sleep(ctx, pause(tries)) {
			s.health.note(err)
			return err
		}
	}
}

// pause is how long to wait before another attempt: at random, so that those who met do
// not meet again.
func pause(tries int) time.Duration {
	return rand.N(min(time.Millisecond<<min(tries, 10), longestPause))
}

// attempt runs a body once, and reports whether its commit was sent.
func (s *Store) attempt(ctx context.Context, body func(context.Context, *transaction) error) (sent bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, transactionPatience)
	defer cancel()
	conn, err := s.acquire(ctx)
	if err != nil {
		return false, err
	}
	defer conn.Release() // the pool closes a connection that is inside a transaction
	t := &transaction{conn: conn}
	err = refine(body(ctx, t))
	if conn.Conn().IsClosed() && err != nil {
		err = lost(err)
	}
	if conn.Conn().PgConn().TxStatus() != 'I' && !conn.Conn().IsClosed() {
		_, _ = conn.Exec(ctx, "ROLLBACK") // with an error the pool closes the connection
	}
	return t.sent, err
}
