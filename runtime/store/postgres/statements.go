package postgres

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/internal/cluster"
	"github.com/francis-actors/francis/runtime/store/internal/tasks"
)

// Rows are looked up by their keys in the order of the arrays, which is that of locks. The
// OFFSET has the server do it so, one after the other: it could as well go through the whole
// table, and does where it plans a statement while the table is small.
const (
	// findShards is the fence; lockShards makes it hold until the transaction has ended.
	findShards = fencesOf + ` OFFSET 0) s` + countsOf
	lockShards = fencesOf + ` OFFSET 0 FOR SHARE) s` + countsOf
	fencesOf   = `SELECT s.type, s.shard, s.epoch, s.worker, s.next, s.checksum, t.shards
		FROM unnest($1::text[], $2::bigint[]) AS f (type, shard)
		CROSS JOIN LATERAL (SELECT type, shard, epoch, worker, next, checksum FROM francis.shards WHERE type = f.type AND shard = f.shard`
	countsOf = ` JOIN francis.types t ON t.name = f.type`

	lockActors = `SELECT a.type, a.id, a.activation, a.sequence, a.version, a.keyed, a.expires
		FROM unnest($1::text[], $2::text[]) AS r (type, id)
		CROSS JOIN LATERAL (SELECT type, id, activation, sequence, version, keyed, expires FROM francis.actors WHERE type = r.type AND id = r.id OFFSET 0 FOR UPDATE) a`
	insertActors = `INSERT INTO francis.actors (type, id, activation, sequence, version, keyed, expires, emptied, checksum, message, data)
		SELECT r.type, r.id, r.activation, r.sequence, r.version, r.keyed, r.expires, r.emptied, r.checksum, r.message, r.data
		FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::text[], $11::bytea[])
		AS r (type, id, activation, sequence, version, keyed, expires, emptied, checksum, message, data)`
	// writeActors is for rows that are locked.
	writeActors = insertActors + ` ON CONFLICT (type, id) DO UPDATE SET activation = excluded.activation, sequence = excluded.sequence, version = excluded.version,
		keyed = excluded.keyed, expires = excluded.expires, emptied = excluded.emptied, checksum = excluded.checksum, message = excluded.message, data = excluded.data`

	dropKeysOf = `DELETE FROM francis.keys k USING unnest($1::text[], $2::text[]) AS r (type, id) WHERE k.type = r.type AND k.id = r.id`
	deleteKeys = `DELETE FROM francis.keys k USING unnest($1::text[], $2::text[], $3::bytea[]) AS r (type, id, digest)
		WHERE k.type = r.type AND k.id = r.id AND k.digest = r.digest`
	writeKeys = `INSERT INTO francis.keys (type, id, digest, request, since, checksum, replied, reply)
		SELECT r.type, r.id, r.digest, r.request, r.since, r.checksum, r.replied, r.reply
		FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bytea[])
		AS r (type, id, digest, request, since, checksum, replied, reply)
		ON CONFLICT (type, id, digest) DO UPDATE SET request = excluded.request, since = excluded.since,
		checksum = excluded.checksum, replied = excluded.replied, reply = excluded.reply`
)

// fence are shards, as they are read, with the number of shards of their types.
type fence struct {
	shards []*runtimev1.Shard
	types  map[string]uint32
}

// queueFence adds a query for shards to a batch.
func queueFence(b *pgx.Batch, statement string, shards []shardKey) *fence {
	f := &fence{types: map[string]uint32{}}
	if len(shards) == 0 {
		return f
	}
	types, numbers := make([]string, len(shards)), make([]int64, len(shards))
	for i, s := range shards {
		types[i], numbers[i] = s.typ, int64(s.number)
	}
	b.Queue(statement, types, numbers).Query(each(func(row pgx.Row) (*runtimev1.Shard, error) {
		var count int64
		shard, err := scanShardAnd(row, &count)
		f.types[shard.GetType()] = uint32(count)
		return shard, err
	}, &f.shards))
	return f
}

// table is the part of the cluster table that has these shards.
func (f *fence) table() *cluster.Table {
	rows := cluster.Change{Shards: f.shards}
	for name, count := range f.types {
		rows.Types = append(rows.Types, store.Type{Type: &runtimev1.ActorType{Name: name}, Shards: count})
	}
	table := cluster.NewTable(store.Cluster{})
	table.Apply(rows)
	return table
}

// read locks and reads all that the calls depend on, in the order of locks.
func (g *group) read(ctx context.Context, t *transaction) error {
	fences, actors, refs := g.touched()
	deleted := g.deletes()
	b := begin()
	owners := queueFence(b, g.store.fenceStatement(), fences)
	if len(actors) > 0 {
		types, ids := make([]string, len(actors)), make([]string, len(actors))
		for i, a := range actors {
			types[i], ids[i] = a.typ, a.id
		}
		b.Queue(lockActors, types, ids).Query(g.scanLasts)
	}
	g.shelf.lock(b, refs)
	g.shelf.lockOf(b, deleted)
	b.Queue(readClock).QueryRow(g.store.scanClock(&g.now))
	b.Queue(g.store.readCluster).QueryRow(scanCluster(&g.before))
	if g.counts = len(refs)+len(deleted) > 0; g.counts {
		b.Queue(countOne).QueryRow(scanCounted(&g.before))
	}
	if err := t.send(ctx, b); err != nil {
		return err
	}
	if g.counts {
		g.before.Counter-- // as it was before the group
	}
	g.owners = owners.table()
	return g.store.complete(ctx, t, &g.before)
}

func (s *Store) fenceStatement() string {
	if s.config.unlocked {
		return findShards
	}
	return lockShards
}

// touched is what the calls depend on, in order.
func (g *group) touched() (fences []shardKey, actors []actorKey, refs []tasks.Ref) {
	shardSet, actorSet, refSet := map[shardKey]struct{}{}, map[actorKey]struct{}{}, map[tasks.Ref]struct{}{}
	for _, c := range g.calls {
		for _, r := range c.Question.records {
			shardSet[shardKey{r.GetActor().GetType(), r.GetFence().GetShard()}] = struct{}{}
			actorSet[keyOf(r.GetActor())] = struct{}{}
			for _, ref := range refsOf(r) {
				refSet[ref] = struct{}{}
			}
		}
		if work := c.Question.work; work != nil {
			for _, f := range work.fences {
				shardSet[f] = struct{}{}
			}
			for _, ref := range work.refs {
				refSet[ref] = struct{}{}
			}
		}
	}
	return sorted(shardSet, shardKey.compare), sorted(actorSet, actorKey.compare), sorted(refSet, compareRefs)
}

// deletes are the actors that the calls delete, in order.
func (g *group) deletes() []actorKey {
	var deleted map[actorKey]struct{}
	for _, c := range g.calls {
		for _, r := range c.Question.records {
			if !r.GetDeletes() {
				continue
			}
			if deleted == nil {
				deleted = map[actorKey]struct{}{}
			}
			deleted[keyOf(r.GetActor())] = struct{}{}
		}
	}
	return sorted(deleted, actorKey.compare)
}

// scanLasts reads the last records.
func (g *group) scanLasts(rows pgx.Rows) error {
	defer rows.Close()
	for rows.Next() {
		var key actorKey
		var activation, sequence, version int64
		var times store.Times
		if err := rows.Scan(&key.typ, &key.id, &activation, &sequence, &version, &times.Keyed, &times.Expires); err != nil {
			return err
		}
		g.lasts[key] = last{
			identity: &runtimev1.Identity{Activation: uint64(activation), Sequence: uint64(sequence)},
			version:  uint64(version), times: times, stored: true,
		}
	}
	return rows.Err()
}

// write adds everything that the group writes to a batch, in the order of locks.
func (g *group) write(b *pgx.Batch) error {
	var known, unknown columns
	for _, key := range slices.SortedFunc(maps.Keys(g.rows), actorKey.compare) {
		if r := g.rows[key]; r.stored {
			known.addActor(r, emptied(r, g.now))
		} else {
			unknown.addActor(r, emptied(r, g.now))
		}
	}
	if known.n() > 0 {
		b.Queue(writeActors, known.actor()...)
	}
	if unknown.n() > 0 {
		b.Queue(insertActors, unknown.actor()...)
	}
	g.writeKeys(b)
	return g.shelf.write(b, g.draft.Changed())
}

func (g *group) writeKeys(b *pgx.Batch) {
	var of, gone, kept columns
	for _, a := range sorted(g.deleted, actorKey.compare) {
		of.texts[0], of.texts[1] = append(of.texts[0], a.typ), append(of.texts[1], a.id)
	}
	if of.n() > 0 {
		b.Queue(dropKeysOf, of.texts[0], of.texts[1])
	}
	for _, k := range slices.SortedFunc(maps.Keys(g.keys), compareKeys) {
		key := g.keys[k]
		if key == nil {
			gone.addKey(k)
			continue
		}
		kept.addKey(k)
		actor, since := &runtimev1.Actor{Type: k.typ, Id: k.id}, g.rows[k.actorKey].times.Keyed
		kept.blobs[1] = append(kept.blobs[1], key.GetRequest())
		kept.addNumbers(since, int64(store.KeyChecksum(actor, key, since)), int64(store.ReplyChecksum(key)))
		kept.blobs[2] = append(kept.blobs[2], blob(key.GetReply()))
	}
	if gone.n() > 0 {
		b.Queue(deleteKeys, gone.texts[0], gone.texts[1], gone.blobs[0])
	}
	if kept.n() > 0 {
		b.Queue(writeKeys, kept.texts[0], kept.texts[1], kept.blobs[0], kept.blobs[1], kept.numbers[0], kept.numbers[1], kept.numbers[2], kept.blobs[2])
	}
}

func compareKeys(a, b keyKey) int {
	return cmp.Or(a.compare(b.actorKey), slices.Compare(a.digest[:], b.digest[:]))
}

// columns are rows as arrays, one for each column.
type columns struct {
	texts   [3][]string
	numbers [7][]int64
	blobs   [3][][]byte
}

// n is the number of rows.
func (c *columns) n() int { return len(c.texts[0]) }

func (c *columns) addNumbers(values ...int64) {
	for i, v := range values {
		c.numbers[i] = append(c.numbers[i], v)
	}
}

func (c *columns) addActor(r *row, emptied int64) {
	identity := r.state.GetIdentity()
	for i, text := range []string{r.actor.GetType(), r.actor.GetId(), r.state.GetMessage()} {
		c.texts[i] = append(c.texts[i], text)
	}
	c.addNumbers(int64(identity.GetActivation()), int64(identity.GetSequence()), int64(r.state.GetVersion()),
		r.times.Keyed, r.times.Expires, emptied, int64(store.Checksum(r.actor, r.state, r.times)))
	c.blobs[0] = append(c.blobs[0], blob(r.state.GetData()))
}

// actor are the arguments of the statements that write actors.
func (c *columns) actor() []any {
	return []any{
		c.texts[0], c.texts[1], c.numbers[0], c.numbers[1], c.numbers[2], c.numbers[3], c.numbers[4], c.numbers[5], c.numbers[6],
		c.texts[2], c.blobs[0],
	}
}

func (c *columns) addKey(k keyKey) {
	c.texts[0], c.texts[1] = append(c.texts[0], k.typ), append(c.texts[1], k.id)
	c.blobs[0] = append(c.blobs[0], k.digest[:])
}

// blob is data that is never null.
func blob(data []byte) []byte {
	if data == nil {
		return []byte{}
	}
	return data
}
