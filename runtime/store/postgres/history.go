package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/francis-actors/francis/runtime/store"
)

const (
	// thisServer is what a copy of the database has otherwise: since when its server runs,
	// and the file of the table there. The server ends for a failover and for a copy of its
	// files to be put back, and a dump is restored into another file. It stays as it is while
	// a transaction that has looked at the table is open.
	thisServer = `(extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint::text || ' ' || pg_relation_filepath('francis.cluster')`
	// anyServer stands for all servers of a database that several of them write.
	anyServer = `*`

	readBranches  = `SELECT id, began, server, checksum FROM francis.branches ORDER BY began`
	dropBranches  = `DELETE FROM francis.branches`
	writeBranches = `INSERT INTO francis.branches (id, began, server, checksum)
		SELECT r.id, r.began, r.server, r.checksum FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[]) AS r (id, began, server, checksum)`
	setBranch = `UPDATE francis.cluster SET branch = $1, server = $2, checksum = $3`
)

// errMoved marks a transaction that was about to change a history that another server has
// changed last. Nothing of it happened; it goes on in a branch of its own.
var errMoved = errors.New("another server goes on with the history")

// standing is the row of the cluster.
type standing struct {
	store.Cluster // its branches are read apart, where they matter

	// branch is the id of the present branch, and server who changes it.
	branch uint64
	server string
	// here is who has been asked; empty where nobody was.
	here string
}

// moved reports whether a branch has to begin before the next change.
func (i *standing) moved() bool { return i.server != anyServer && i.server != i.here }

// counted is where the history is after a change.
func (i *standing) counted() store.Point {
	return store.Point{Generation: i.Generation, Branch: i.branch, Counter: i.Counter}
}

func (i *standing) sum() uint64 {
	var sum store.Sum
	sum.String(i.ID)
	sum.Uint(i.Generation)
	if i.branch != 0 {
		sum.Uint(i.branch)
		sum.String(i.server)
	}
	return sum.Value()
}

// branch is a branch, and the server on which it began.
type branch struct {
	store.Branch

	server string
}

func (b branch) sum() uint64 {
	var sum store.Sum
	sum.Uint(b.ID)
	sum.Uint(uint64(b.Began))
	sum.String(b.server)
	return sum.Value()
}

func scanBranch(row pgx.Row) (branch, error) {
	var b branch
	var id, began, checksum int64
	if err := row.Scan(&id, &began, &b.server, &checksum); err != nil {
		return b, err
	}
	b.ID, b.Began = uint64(id), store.Counter(began)
	if uint64(checksum) != b.sum() {
		return b, errRow
	}
	return b, nil
}

// branchesOf are the branches of rows.
func branchesOf(rows []branch) []store.Branch {
	branches := make([]store.Branch, len(rows))
	for i, row := range rows {
		branches[i] = row.Branch
	}
	return branches
}

// newBranch is the id of a branch.
func newBranch() uint64 { return rand.Uint64() | 1 }

// complete adds the branches to the row of the cluster, which was read in the transaction
// before. They are known as long as the present one is.
func (s *Store) complete(ctx context.Context, t *transaction, row *standing) error {
	if row.branch == 0 {
		return nil
	}
	if known := s.branches.Load(); known != nil && (*known)[len(*known)-1].ID == row.branch {
		row.Branches = *known
		return nil
	}
	var rows []branch
	b := &pgx.Batch{}
	b.Queue(readBranches).Query(each(scanBranch, &rows))
	if err := t.send(ctx, b); err != nil {
		return err
	}
	row.Branches = branchesOf(rows)
	s.know(row.Branches)
	return nil
}

func (s *Store) know(branches []store.Branch) {
	if len(branches) > 0 {
		s.branches.Store(&branches)
	}
}

// branch begins a branch, unless another runtime has begun one meanwhile.
func (s *Store) branch(ctx context.Context, needed func(*standing) bool) error {
	return s.transact(ctx, func(ctx context.Context, t *transaction) error {
		var now standing
		var rows []branch
		look := begin()
		look.Queue(lockPlacement)
		look.Queue(s.readCluster + ` FOR UPDATE`).QueryRow(scanAnyCluster(&now))
		look.Queue(readBranches).Query(each(scanBranch, &rows))
		if err := t.send(ctx, look); err != nil || !needed(&now) {
			return err
		}
		if now.server != anyServer {
			now.server = serverOf(now.here, rows)
		}
		write := &pgx.Batch{}
		now.Branches = branchesOf(rows)
		queueBranch(write, &now, rows)
		write.Queue("COMMIT")
		t.sent = true
		if err := t.send(ctx, write); err != nil {
			return err
		}
		s.config.Logger.Info("the history of the store has a new branch: another server, another copy, or the first start", "counter", uint64(now.Counter))
		return nil
	})
}

// serverOf is who changes the history from now on. One that has changed it before, with
// another one between, is one of several that write the database at the same time: none of
// them ends when another one goes on.
func serverOf(here string, before []branch) string {
	if slices.ContainsFunc(before, func(b branch) bool { return b.server == here }) {
		return anyServer
	}
	return here
}

// queueBranch adds the statements to a batch that begin a branch, after others.
func queueBranch(b *pgx.Batch, now *standing, before []branch) {
	now.branch = newBranch()
	now.Cluster = now.Branched(now.branch)
	servers := map[uint64]string{now.branch: now.server}
	for _, known := range before {
		servers[known.ID] = known.server
	}
	n := len(now.Branches)
	ids, began, names, sums := make([]int64, n), make([]int64, n), make([]string, n), make([]int64, n)
	for i, known := range now.Branches {
		row := branch{known, servers[known.ID]}
		ids[i], began[i], names[i], sums[i] = int64(row.ID), int64(row.Began), row.server, int64(row.sum())
	}
	b.Queue(dropBranches)
	b.Queue(writeBranches, ids, began, names, sums)
	b.Queue(setBranch, int64(now.branch), now.server, int64(now.sum()))
}

// beginHistory learns whether the database can say which server it is. Where it cannot, or
// where there are several, at least each opening has a branch.
func (s *Store) beginHistory(ctx context.Context) error {
	here, err := askServer(ctx, s.pool)
	if err != nil {
		return lost(fmt.Errorf("look at the server: %w", err))
	}
	s.readCluster = fmt.Sprintf(`SELECT %s, %s FROM francis.cluster`, clusterColumns, here)
	return s.branch(ctx, func(now *standing) bool {
		return now.ID != "" && (now.server == anyServer || now.here == anyServer)
	})
}

// askServer returns what says in SQL which server is asked.
func askServer(ctx context.Context, pool *pgxpool.Pool) (string, error) {
	var here *string
	err := pool.QueryRow(ctx, `SELECT `+thisServer).Scan(&here)
	if _, answered := errors.AsType[*pgconn.PgError](err); answered || err == nil && here == nil {
		return `'` + anyServer + `'`, nil // there is no such function, or no such file
	}
	return thisServer, err
}
