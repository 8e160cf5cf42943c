package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/internal/cluster"
)

const (
	// clusterColumns are what scanCluster takes, and who is asked for them behind.
	clusterColumns = `id, generation, counter, branch, server, checksum`
	countOne       = `UPDATE francis.cluster SET counter = counter + 1 RETURNING ` + clusterColumns
	regenerate     = `UPDATE francis.cluster SET generation = $1, counter = $2, checksum = $3`
	foundCluster   = `INSERT INTO francis.cluster (one, id, generation, counter, checksum) VALUES (1, $1, 1, 0, $2)`

	lockPlacement  = `SELECT changes FROM francis.placement FOR UPDATE`
	countPlacement = `UPDATE francis.placement SET changes = changes + 1`
	readPlacement  = `SELECT p.changes, c.branch FROM francis.placement p, francis.cluster c`

	readWorkers = `SELECT id, died, beat, worker, checksum FROM francis.workers ORDER BY id`
	readTypes   = `SELECT name, shards, type, checksum FROM francis.types ORDER BY name`
	readShards  = `SELECT type, shard, epoch, worker, next, checksum FROM francis.shards ORDER BY type, shard`

	insertWorker = `INSERT INTO francis.workers (id, died, beat, worker, checksum) VALUES ($1, $2, 0, $3, $4)`
	updateWorker = `UPDATE francis.workers SET worker = $3, checksum = $4 WHERE id = $1 AND died = $2`
	endWorker    = `UPDATE francis.workers SET died = $2, checksum = $4 WHERE id = $1 AND died = 0 AND beat = $3`
	dropWorkers  = `DELETE FROM francis.workers WHERE id = ANY($1::text[])`
	writeType    = `INSERT INTO francis.types (name, shards, type, checksum) VALUES ($1, $2, $3, $4)
		ON CONFLICT (name) DO UPDATE SET type = excluded.type, checksum = excluded.checksum`
	writeShards = `INSERT INTO francis.shards (type, shard, epoch, worker, next, checksum)
		SELECT r.type, r.shard, r.epoch, r.worker, r.next, r.checksum
		FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::bigint[]) AS r (type, shard, epoch, worker, next, checksum)
		ORDER BY r.type, r.shard
		ON CONFLICT (type, shard) DO UPDATE SET epoch = excluded.epoch, worker = excluded.worker, next = excluded.next, checksum = excluded.checksum`

	beatWorker = `UPDATE francis.workers SET beat = beat + 1 WHERE id = $1 AND died = 0`
)

// errRow is a row that does not fit its checksum.
var errRow = fmt.Errorf("%w: a row does not fit its checksum", store.ErrDamaged)

// scanCluster reads the row of the cluster, which has no id while a backup is restored.
func scanCluster(into *standing) func(pgx.Row) error {
	return finished(into, scanAnyCluster(into))
}

// scanAnyCluster reads it also while a backup is restored.
func scanAnyCluster(into *standing) func(pgx.Row) error {
	return func(row pgx.Row) error { return scanStanding(row, into, &into.here) }
}

// scanCounted reads it after it was counted.
func scanCounted(into *standing) func(pgx.Row) error {
	return finished(into, func(row pgx.Row) error { return scanStanding(row, into) })
}

func finished(into *standing, scan func(pgx.Row) error) func(pgx.Row) error {
	return func(row pgx.Row) error {
		err := scan(row)
		if err == nil && into.ID == "" {
			return store.ErrUnfinished
		}
		return err
	}
}

func scanStanding(row pgx.Row, into *standing, more ...any) error {
	var generation, counter, branch, checksum int64
	err := row.Scan(append([]any{&into.ID, &generation, &counter, &branch, &into.server, &checksum}, more...)...)
	into.Generation, into.Counter, into.branch = uint64(generation), store.Counter(counter), uint64(branch)
	if err == nil && uint64(checksum) != into.sum() {
		return errRow
	}
	return err
}

// each reads all rows of a query.
func each[T any](scan func(pgx.Row) (T, error), into *[]T) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		defer rows.Close()
		*into = nil
		for rows.Next() {
			item, err := scan(rows)
			if err != nil {
				return err
			}
			*into = append(*into, item)
		}
		return rows.Err()
	}
}

func scanMember(row pgx.Row) (cluster.Member, error) {
	var id string
	var died, beat, checksum int64
	var encoded []byte
	if err := row.Scan(&id, &died, &beat, &encoded, &checksum); err != nil {
		return cluster.Member{}, err
	}
	worker := &runtimev1.Worker{}
	if uint64(checksum) != cluster.SumMessage(id, uint64(died), encoded) || proto.Unmarshal(encoded, worker) != nil {
		return cluster.Member{}, errRow
	}
	member := cluster.Member{Member: store.Member{Worker: worker, Alive: died == 0, Beat: uint64(beat)}}
	if died != 0 {
		member.Died = time.Unix(died, 0)
	}
	return member, nil
}

func scanType(row pgx.Row) (store.Type, error) {
	var name string
	var shards, checksum int64
	var encoded []byte
	if err := row.Scan(&name, &shards, &encoded, &checksum); err != nil {
		return store.Type{}, err
	}
	typ := &runtimev1.ActorType{}
	if uint64(checksum) != cluster.SumMessage(name, uint64(shards), encoded) || proto.Unmarshal(encoded, typ) != nil {
		return store.Type{}, errRow
	}
	return store.Type{Type: typ, Shards: uint32(shards)}, nil
}

func scanShard(row pgx.Row) (*runtimev1.Shard, error) { return scanShardAnd(row) }

// scanShardAnd reads the row of a shard, and columns behind it.
func scanShardAnd(row pgx.Row, more ...any) (*runtimev1.Shard, error) {
	var shard runtimev1.Shard
	var number, epoch, checksum int64
	if err := row.Scan(append([]any{&shard.Type, &number, &epoch, &shard.Worker, &shard.Next, &checksum}, more...)...); err != nil {
		return nil, err
	}
	shard.Shard, shard.Epoch = uint32(number), uint64(epoch)
	if uint64(checksum) != cluster.SumShard(&shard) {
		return nil, errRow
	}
	return &shard, nil
}

// readTable reads the whole cluster table. The batch begins the transaction.
func (s *Store) readTable(ctx context.Context, t *transaction, b *pgx.Batch) (*cluster.Table, *standing, error) {
	var now standing
	var rows cluster.Change
	var branches []branch
	b.Queue(readWorkers).Query(each(scanMember, &rows.Members))
	b.Queue(readTypes).Query(each(scanType, &rows.Types))
	b.Queue(readShards).Query(each(scanShard, &rows.Shards))
	b.Queue(s.readCluster).QueryRow(scanCluster(&now))
	b.Queue(readBranches).Query(each(scanBranch, &branches))
	if err := t.send(ctx, b); err != nil {
		return nil, nil, err
	}
	now.Branches = branchesOf(branches)
	table, err := cluster.Restore(now.Cluster, rows)
	return table, &now, err
}

// writeChange adds the rows of a change to a batch, in the order of locks: shards first.
// Before is the table that it changes, and now the row of the cluster.
func writeChange(b *pgx.Batch, before *cluster.Table, now *standing, change cluster.Change) error {
	if len(change.Shards) > 0 {
		b.Queue(writeShards, shardArrays(change.Shards)...)
	}
	for _, typ := range change.Types {
		encoded, err := proto.Marshal(typ.Type)
		if err != nil {
			return err
		}
		name := typ.Type.GetName()
		b.Queue(writeType, name, int64(typ.Shards), encoded, int64(cluster.SumMessage(name, uint64(typ.Shards), encoded)))
	}
	for _, member := range change.Members {
		if err := writeMember(b, before, member); err != nil {
			return err
		}
	}
	if len(change.Forgotten) > 0 {
		b.Queue(dropWorkers, change.Forgotten)
	}
	if g := change.Generation; g != nil {
		next := *now
		next.Cluster = *g
		b.Queue(regenerate, int64(g.Generation), int64(g.Counter), int64(next.sum()))
	}
	return nil
}

func shardArrays(shards []*runtimev1.Shard) []any {
	n := len(shards)
	types, owners, nexts := make([]string, n), make([]string, n), make([]string, n)
	numbers, epochs, sums := make([]int64, n), make([]int64, n), make([]int64, n)
	for i, s := range shards {
		types[i], numbers[i], epochs[i] = s.GetType(), int64(s.GetShard()), int64(s.GetEpoch())
		owners[i], nexts[i], sums[i] = s.GetWorker(), s.GetNext(), int64(cluster.SumShard(s))
	}
	return []any{types, numbers, epochs, owners, nexts, sums}
}

// writeMember adds the row of a member. One that dies must still have the beat that it was
// judged by: a renewal that was accepted meanwhile is in the way of the decree.
func writeMember(b *pgx.Batch, before *cluster.Table, member cluster.Member) error {
	encoded, err := proto.Marshal(member.Worker)
	if err != nil {
		return err
	}
	id, died := member.Worker.GetId(), int64(0)
	if !member.Alive {
		died = member.Died.Unix()
	}
	sum := int64(cluster.SumMessage(id, uint64(died), encoded))
	known, ok := before.Member(id)
	switch {
	case !ok:
		b.Queue(insertWorker, id, died, encoded, sum)
	case known.Alive && !member.Alive:
		b.Queue(endWorker, id, died, int64(known.Beat), sum).Exec(one)
	default:
		b.Queue(updateWorker, id, died, encoded, sum).Exec(one)
	}
	return nil
}
