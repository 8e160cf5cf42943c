package postgres

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/keys"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/internal/cluster"
	"github.com/francis-actors/francis/runtime/store/internal/tasks"
)

// group is what one transaction commits. Each attempt has a group of its own.
type group struct {
	store *Store
	calls []*writeCall

	// owners are the shards that the calls name, and lasts the last records of the actors,
	// as they are locked. A record that is judged takes its place among them.
	owners *cluster.Table
	lasts  map[actorKey]last
	shelf  shelf
	// counts is true for a group that may change tasks: it takes its counter when it reads,
	// since the tasks have it as their revision. Until its commit nobody else counts.
	counts bool
	// before is the cluster before the group, and now the time of it.
	before standing
	now    time.Time

	draft   *tasks.Draft
	answers []written
	// rows and keys are what has to be written, the last of each, and deleted the actors
	// whose stored keys go before that.
	rows    map[actorKey]*row
	keys    map[keyKey]*runtimev1.Key
	deleted map[actorKey]struct{}
}

// last is the last record of an actor. The zero value is that of an actor without.
type last struct {
	identity *runtimev1.Identity
	version  uint64
	times    store.Times
	// stored is true when the actor has a row.
	stored bool
}

// row is the state that an actor gets.
type row struct {
	actor *runtimev1.Actor
	state *runtimev1.State
	times store.Times
	// stored is true when there is a row to be updated.
	stored bool
}

// keyKey names an idempotency key.
type keyKey struct {
	actorKey

	digest keys.Digest
}

func newGroup(s *Store, calls []*writeCall) *group {
	return &group{
		store: s, calls: calls,
		lasts: map[actorKey]last{}, rows: map[actorKey]*row{}, keys: map[keyKey]*runtimev1.Key{}, deleted: map[actorKey]struct{}{},
	}
}

// commit is the whole transaction.
func (g *group) commit(ctx context.Context, t *transaction) error {
	if err := g.read(ctx, t); err != nil {
		return err
	}
	g.draft = tasks.NewDraft(tasks.Config{
		Source: func(ref tasks.Ref) (*runtimev1.ScheduledTask, error) { return g.shelf.read(ctx, t, ref) },
		Of:     func(actor *runtimev1.Actor) ([]tasks.Ref, error) { return g.shelf.of[keyOf(actor)], nil },
		Now:    g.now, Revision: g.before.Counter + 1, Random: g.store.config.Random, Budget: groupBytes,
	})
	for _, c := range g.calls {
		answer, err := g.judge(c.Question)
		if err != nil {
			return err
		}
		g.answers = append(g.answers, answer)
	}
	if g.store.config.judged != nil {
		g.store.config.judged()
	}
	after, err := g.writeAll(ctx, t)
	if err != nil {
		return err
	}
	for i := range g.answers {
		g.answers[i].point = after
	}
	return nil
}

// writeAll writes what the group has come to, and commits. Without anything to write it
// changes nothing.
func (g *group) writeAll(ctx context.Context, t *transaction) (after store.Point, err error) {
	if len(g.rows) == 0 && g.draft.Empty() {
		return g.before.Point(), nil
	}
	if g.before.moved() {
		return after, errMoved
	}
	b := &pgx.Batch{}
	if err := g.write(b); err != nil {
		return after, err
	}
	if !g.counts {
		return t.commit(ctx, b)
	}
	counted := g.before
	counted.Counter++
	return counted.counted(), t.commitCounted(ctx, b)
}

// judge answers a call. What it says of an applied record is true once the group is
// committed.
func (g *group) judge(question write) (answer written, err error) {
	answer.work = g.draft.Work()
	if g.before.Behind(question.seen) {
		answer.lost = true
		return answer, nil
	}
	if question.work != nil {
		return answer, question.work.do(g.owners, answer.work)
	}
	results := make([]runtimev1.CommitResponse_Result, len(question.records))
	answer.results = make([]*runtimev1.CommitResponse_Result, len(question.records))
	for i, record := range question.records {
		verdict, after, err := g.verdict(question.worker, record, answer.work)
		if err != nil {
			return answer, err
		}
		results[i].Verdict, results[i].Version = verdict, after.version
		answer.results[i] = &results[i]
	}
	return answer, nil
}

// verdict says what becomes of a record, and what is the last of its actor after it.
func (g *group) verdict(worker string, record *runtimev1.Record, work *tasks.Work) (runtimev1.Verdict, last, error) {
	if !g.owners.Owns(worker, record.GetActor(), record.GetFence()) {
		return runtimev1.Verdict_VERDICT_STALE_EPOCH, last{}, nil
	}
	have := g.lasts[keyOf(record.GetActor())]
	verdict := store.Judge(have.identity, record)
	if verdict == runtimev1.Verdict_VERDICT_APPLIED {
		var err error
		if verdict, err = work.Judge(record); err != nil {
			return 0, last{}, err
		}
	}
	switch verdict {
	case runtimev1.Verdict_VERDICT_APPLIED:
		return verdict, g.apply(record, have), nil
	case runtimev1.Verdict_VERDICT_ALREADY_APPLIED:
		return verdict, have, nil
	default:
		return verdict, last{}, nil
	}
}

// apply takes a record over, on the last one.
func (g *group) apply(record *runtimev1.Record, have last) last {
	next := last{identity: record.GetIdentity(), version: have.version + 1, times: store.TimesAfter(record, have.times, g.now), stored: have.stored}
	key := keyOf(record.GetActor())
	if record.GetDeletes() {
		g.deleted[key] = struct{}{}
		maps.DeleteFunc(g.keys, func(k keyKey, _ *runtimev1.Key) bool { return k.actorKey == key })
	}
	g.lasts[key] = next
	g.rows[key] = &row{actor: record.GetActor(), state: store.After(record, next.version), times: next.times, stored: next.stored}
	for _, digest := range record.GetForgotten() {
		g.keys[keyKey{key, keys.Digest(digest)}] = nil
	}
	for _, k := range record.GetKeys() {
		g.keys[keyKey{key, keys.Digest(k.GetDigest())}] = k
	}
	return next
}

// emptied is since when the identity of an actor without state may be forgotten, in Unix
// seconds: not while it has live keys, which are found through it. It is 0 with a state.
func emptied(r *row, now time.Time) int64 {
	switch {
	case r.state.GetMessage() != "":
		return 0
	case r.times.Keyed > expired(now):
		return r.times.Keyed + int64(keys.Life/time.Second)
	default:
		return now.Unix()
	}
}

// expired is the last second whose keys are not live any more at the time now.
func expired(now time.Time) int64 { return now.Add(-keys.Life).Unix() }

// sorted are the keys of a set in order.
func sorted[K comparable](set map[K]struct{}, compare func(a, b K) int) []K {
	return slices.SortedFunc(maps.Keys(set), compare)
}
