package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/durationpb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/keys"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/internal/queue"
)

// maxLoads is how many actors one transaction loads.
const maxLoads = 4_096

const (
	findActors = `SELECT r.n, a.activation, a.sequence, a.version, a.keyed, a.expires, a.checksum, a.message, a.data
		FROM unnest($1::bigint[], $2::text[], $3::text[]) AS r (n, type, id)
		CROSS JOIN LATERAL (SELECT activation, sequence, version, keyed, expires, checksum, message, data FROM francis.actors WHERE type = r.type AND id = r.id OFFSET 0) a`
	findKeys = `SELECT r.n, k.digest, k.request, k.since, k.checksum
		FROM unnest($1::bigint[], $2::text[], $3::text[]) AS r (n, type, id)
		CROSS JOIN LATERAL (SELECT keyed FROM francis.actors WHERE type = r.type AND id = r.id OFFSET 0) a
		CROSS JOIN LATERAL (SELECT digest, request, since, checksum FROM
			(SELECT digest, request, since, checksum FROM francis.keys WHERE a.keyed > $4 AND type = r.type AND id = r.id OFFSET 0) k
			WHERE since > $4 ORDER BY since DESC LIMIT $5) k
		ORDER BY r.n, k.since`
	recallKeys = `SELECT r.n, k.request, k.since, k.checksum, k.replied, k.reply
		FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bytea[]) AS r (n, type, id, digest)
		CROSS JOIN LATERAL (SELECT request, since, checksum, replied, reply FROM francis.keys WHERE type = r.type AND id = r.id AND digest = r.digest OFFSET 0) k
		WHERE k.since > $5`
)

// read serves loads until the queue is closed: what is waiting, in one transaction. What
// waits at the end is refused.
func (s *Store) read() {
	for {
		calls, open := s.loads.Take()
		for len(calls) > 0 {
			n := loadable(calls)
			s.loadAll(calls[:n:n])
			calls = calls[n:]
		}
		if !open {
			return
		}
	}
}

// loadable is how many of the calls one transaction answers, at least one.
func loadable(calls []*loadCall) int {
	reads := 0
	for n, c := range calls {
		if reads += len(c.Question.reads); n > 0 && reads > maxLoads {
			return n
		}
	}
	return len(calls)
}

// loadAll answers calls out of one state of the database.
func (s *Store) loadAll(calls []*loadCall) {
	var l *loading
	err := s.transact(s.work, func(ctx context.Context, t *transaction) error {
		l = &loading{store: s, calls: calls}
		return l.run(ctx, t)
	})
	if err != nil {
		queue.Refuse(calls, fmt.Errorf("load: %w", err))
		return
	}
	for _, c := range calls {
		n := len(c.Question.reads)
		if l.before.Behind(c.Question.seen) {
			c.End(nil, store.ErrBehind)
		} else {
			c.End(l.results[:n:n], nil)
		}
		l.results = l.results[n:]
	}
}

// loading is one transaction that loads. It sees one state of the database: the fences,
// and with them everything that earlier owners have committed.
type loading struct {
	store   *Store
	calls   []*loadCall
	reads   []*runtimev1.LoadRequest_Read
	results []*runtimev1.LoadResponse_Result
	before  standing
	now     time.Time
}

func (l *loading) run(ctx context.Context, t *transaction) error {
	for _, c := range l.calls {
		l.reads = append(l.reads, c.Question.reads...)
	}
	l.results = make([]*runtimev1.LoadResponse_Result, len(l.reads))
	if err := l.fence(ctx, t); err != nil {
		return err
	}
	b := &pgx.Batch{}
	l.queueStates(b)
	l.queueRecalls(b)
	b.Queue("COMMIT")
	return t.send(ctx, b)
}

// fence refuses the reads of those who own nothing, and answers the others with nothing
// yet.
func (l *loading) fence(ctx context.Context, t *transaction) error {
	fences := map[shardKey]struct{}{}
	for _, read := range l.reads {
		fences[shardKey{read.GetActor().GetType(), read.GetFence().GetShard()}] = struct{}{}
	}
	b := beginRead()
	owners := queueFence(b, findShards, sorted(fences, shardKey.compare))
	b.Queue(readClock).QueryRow(l.store.scanClock(&l.now))
	b.Queue(l.store.readCluster).QueryRow(scanCluster(&l.before))
	if err := t.send(ctx, b); err != nil {
		return err
	}
	if err := l.store.complete(ctx, t, &l.before); err != nil {
		return err
	}
	table, n := owners.table(), 0
	for _, c := range l.calls {
		for _, read := range c.Question.reads {
			verdict := runtimev1.Verdict_VERDICT_STALE_EPOCH
			if table.Owns(c.Question.worker, read.GetActor(), read.GetFence()) {
				verdict = runtimev1.Verdict_VERDICT_APPLIED
			}
			l.results[n] = &runtimev1.LoadResponse_Result{Verdict: verdict}
			n++
		}
	}
	return nil
}

// wanted are the reads that were not refused, with or without a key to be recalled.
func (l *loading) wanted(recalls func(digest []byte) bool) (rows columns, digests [][]byte) {
	for i, read := range l.reads {
		if l.results[i].GetVerdict() != runtimev1.Verdict_VERDICT_APPLIED || !recalls(read.GetRecall()) {
			continue
		}
		rows.addNumbers(int64(i))
		rows.texts[0], rows.texts[1] = append(rows.texts[0], read.GetActor().GetType()), append(rows.texts[1], read.GetActor().GetId())
		digests = append(digests, read.GetRecall())
	}
	return rows, digests
}

// queueStates asks for states, and for the keys of those who have some.
func (l *loading) queueStates(b *pgx.Batch) {
	rows, _ := l.wanted(func(digest []byte) bool { return len(digest) == 0 })
	if rows.n() == 0 {
		return
	}
	for _, n := range rows.numbers[0] {
		l.results[n].State = &runtimev1.State{}
	}
	b.Queue(findActors, rows.numbers[0], rows.texts[0], rows.texts[1]).Query(l.scan(l.scanState))
	b.Queue(findKeys, rows.numbers[0], rows.texts[0], rows.texts[1], expired(l.now), keys.Max).Query(l.scan(l.scanKey))
}

// queueRecalls asks for replies.
func (l *loading) queueRecalls(b *pgx.Batch) {
	rows, digests := l.wanted(func(digest []byte) bool { return len(digest) > 0 })
	if rows.n() > 0 {
		b.Queue(recallKeys, rows.numbers[0], rows.texts[0], rows.texts[1], digests, expired(l.now)).Query(l.scan(l.scanRecall))
	}
}

// scan reads rows. One that is damaged damages the result that it is of.
func (l *loading) scan(one func(pgx.Row) (n int64, err error)) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		defer rows.Close()
		for rows.Next() {
			n, err := one(rows)
			if errors.Is(err, store.ErrDamaged) {
				l.results[n] = store.Damaged(l.results[n].GetState())
				err = nil
			}
			if err != nil {
				return err
			}
		}
		return rows.Err()
	}
}

func (l *loading) scanState(row pgx.Row) (n int64, err error) {
	var activation, sequence, version, checksum int64
	var times store.Times
	state := &runtimev1.State{}
	if err := row.Scan(&n, &activation, &sequence, &version, &times.Keyed, &times.Expires, &checksum, &state.Message, &state.Data); err != nil {
		return n, err
	}
	state.Identity, state.Version = &runtimev1.Identity{Activation: uint64(activation), Sequence: uint64(sequence)}, uint64(version)
	l.results[n].State = times.Live(state, l.now)
	if store.Checksum(l.reads[n].GetActor(), state, times) != uint64(checksum) {
		return n, errRow
	}
	return n, nil
}

// scanKey adds a key to its result, without its reply.
func (l *loading) scanKey(row pgx.Row) (n int64, err error) {
	key := &runtimev1.Key{}
	var since, checksum int64
	if err := row.Scan(&n, &key.Digest, &key.Request, &since, &checksum); err != nil {
		return n, err
	}
	if err := l.age(n, key, since, checksum); err != nil {
		return n, err
	}
	if result := l.results[n]; result.GetVerdict() == runtimev1.Verdict_VERDICT_APPLIED {
		result.Keys = append(result.Keys, key)
	}
	return n, nil
}

func (l *loading) scanRecall(row pgx.Row) (n int64, err error) {
	key := &runtimev1.Key{}
	var since, checksum, replied int64
	if err := row.Scan(&n, &key.Request, &since, &checksum, &replied, &key.Reply); err != nil {
		return n, err
	}
	key.Digest = slices.Clone(l.reads[n].GetRecall())
	if err := l.age(n, key, since, checksum); err != nil {
		return n, err
	}
	if store.ReplyChecksum(key) != uint64(replied) {
		return n, errRow
	}
	l.results[n].Keys = []*runtimev1.Key{key}
	return n, nil
}

// age says how old a key is, and whether it fits its checksum.
func (l *loading) age(n int64, key *runtimev1.Key, since, checksum int64) error {
	if store.KeyChecksum(l.reads[n].GetActor(), key, since) != uint64(checksum) {
		return errRow
	}
	key.Age = durationpb.New(l.now.Sub(time.Unix(since, 0)))
	return nil
}
