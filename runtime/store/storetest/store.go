package storetest

import (
	"context"
	"errors"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

var storeTests = []test{
	{"the cluster has an identity", clusterIdentity},
	{"the store tells the time", tellsTime},
	{"the counter grows with every change", counterGrows},
	{"a closed store refuses everything", closedRefuses},
	{"an ended context refuses everything", endedContext},
}

func (b *bench) counter() store.Counter {
	b.Helper()
	cluster, err := b.Cluster(b.Context())
	b.ok(err)
	return cluster.Counter
}

// point is where the store is now.
func (b *bench) point() store.Point {
	b.Helper()
	cluster, err := b.Cluster(b.Context())
	b.ok(err)
	return cluster.Point()
}

func clusterIdentity(b *bench) {
	cluster, err := b.Cluster(b.Context())
	b.ok(err)
	if cluster.ID == "" || cluster.Generation != 1 {
		b.Errorf("a new store is %+v; want an id and generation 1", cluster)
	}
}

func tellsTime(b *bench) {
	for _, passes := range []time.Duration{0, time.Hour} {
		b.clock.pass(passes)
		before := b.clock.now()
		now, err := b.Now(b.Context())
		b.ok(err)
		due, err := b.Due(b.Context(), store.DueQuery{Type: "cart", Limit: 1})
		b.ok(err)
		after := b.clock.now()
		if now.Before(before) || due.Now.Before(now) || after.Before(due.Now) {
			b.Errorf("after %v it is %v, and %v for what is due; want times from %v to %v", passes, now, due.Now, before, after)
		}
	}
}

func counterGrows(b *bench) {
	steps := []struct {
		name string
		grow store.Counter
		do   func() error
	}{
		{"add a worker", 1, func() error { b.worker("w1"); return nil }},
		{"beat", 0, func() error { return b.Beat(b.Context(), "w1") }},
		{"register a type", 1, func() error { b.cart(1); return nil }},
		{"register it again", 0, func() error { b.cart(1); return nil }},
		{"assign", 1, func() error { b.assign(0, "w1"); return nil }},
		{"commit", 1, func() error { b.commit("w1", record("a", nil, at(1, 1), "x")); return nil }},
		{"commit it again", 0, func() error { b.commit("w1", record("a", nil, at(1, 1), "x")); return nil }},
		{"a refused record", 0, func() error { b.commit("w2", record("b", nil, at(1, 1), "x")); return nil }},
		{"evict", 1, func() error { _, _, err := b.Evict(b.Context(), "w1", nil); return err }},
		{"evict again", 0, func() error { _, _, err := b.Evict(b.Context(), "w1", nil); return err }},
	}
	for _, step := range steps {
		before := b.counter()
		b.ok(step.do())
		want(b, step.name, b.counter()-before, step.grow)
	}
}

// everything is one call of each kind.
func (b *bench) everything(ctx context.Context) map[string]error {
	errs := map[string]error{}
	_, errs["add"] = b.AddWorker(ctx, &runtimev1.Worker{Id: "w9"})
	_, errs["now"] = b.Now(ctx)
	errs["beat"] = b.Beat(ctx, "w1")
	_, errs["assign"] = b.Assign(ctx, []store.Assignment{{Type: "cart", Epoch: 1}})
	_, _, errs["register"] = b.RegisterType(ctx, &runtimev1.ActorType{Name: "t"}, 1)
	_, errs["release"] = b.Release(ctx, "w1", nil)
	_, _, errs["evict"] = b.Evict(ctx, "w1", nil)
	_, errs["forget"] = b.Forget(ctx, 0)
	_, errs["load"] = b.Load(ctx, "w1", []*runtimev1.LoadRequest_Read{read("a", 1)})
	_, _, errs["change"] = b.Change(ctx, []*runtimev1.TaskChange{set(task(alarm("a", "x"), ""))})
	_, _, errs["settle"] = b.Settle(ctx, "w1", nil)
	_, errs["strand"] = b.Strand(ctx, nil)
	_, errs["due"] = b.Due(ctx, store.DueQuery{Type: "cart", Limit: 1})
	_, errs["list"] = b.List(ctx, &runtimev1.ListRequest{Type: "cart"})
	_, _, errs["commit"] = b.Commit(ctx, "w1", []*runtimev1.Record{record("a", nil, at(1, 1), "x")})
	return errs
}

func closedRefuses(b *bench) {
	b.single()
	b.ok(b.Close())
	for name, err := range b.everything(b.Context()) {
		wantError(b, name, err, store.ErrClosed)
	}
	_, err := b.Shards(b.Context())
	wantError(b, "shards", err, store.ErrClosed)
	wantError(b, "close again", b.Close(), nil)
}

func endedContext(b *bench) {
	b.single()
	before := b.counter()
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(b.Context())
	cancel(cause)
	for name, err := range b.everything(ctx) {
		wantError(b, name, err, context.Canceled)
	}
	want(b, "counter", b.counter(), before)
}
