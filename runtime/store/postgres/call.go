package postgres

import (
	"fmt"
	"strings"
	"unicode/utf8"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/internal/cluster"
	"github.com/francis-actors/francis/runtime/store/internal/queue"
	"github.com/francis-actors/francis/runtime/store/internal/tasks"
)

// write is what a lane is asked: to commit records of a worker, or to work on tasks.
type write struct {
	worker string
	// seen is what the history must have; the zero value for nothing.
	seen    store.Point
	records []*runtimev1.Record
	// work changes tasks; nil for records alone.
	work *work
}

// work is what a call without records does to tasks.
type work struct {
	do func(owners *cluster.Table, w *tasks.Work) error
	// refs are the rows that it may change, and fences what it has to know the owners of.
	refs   []tasks.Ref
	fences []shardKey
	// bytes is how much it brings.
	bytes int
}

// written is what a lane answers.
type written struct {
	point store.Point
	// lost is true if the history does not have what it must: then nothing was done.
	lost    bool
	results []*runtimev1.CommitResponse_Result
	work    *tasks.Work
}

// err is why nothing was done.
func (w written) err() error {
	if w.lost {
		return store.ErrBehind
	}
	return nil
}

func (w written) moved() store.Moved {
	return store.Moved{Moves: w.work.Moves(), Point: w.point}
}

// load is what a reader is asked.
type load struct {
	worker string
	// seen is as in write.
	seen  store.Point
	reads []*runtimev1.LoadRequest_Read
}

type (
	writeCall = queue.Call[write, written]
	loadCall  = queue.Call[load, []*runtimev1.LoadResponse_Result]
)

// shardKey names a shard, and actorKey an actor.
type (
	shardKey struct {
		typ    string
		number uint32
	}
	actorKey struct{ typ, id string }
)

func (k shardKey) compare(other shardKey) int {
	if order := strings.Compare(k.typ, other.typ); order != 0 {
		return order
	}
	return int(int64(k.number) - int64(other.number))
}

func (k actorKey) compare(other actorKey) int {
	if order := strings.Compare(k.typ, other.typ); order != 0 {
		return order
	}
	return strings.Compare(k.id, other.id)
}

func keyOf(actor *runtimev1.Actor) actorKey { return actorKey{actor.GetType(), actor.GetId()} }

// checkTexts reports, as store.ErrInvalid, texts that PostgreSQL cannot hold: one of them
// would fail all records that are committed with it.
func checkTexts(records []*runtimev1.Record) error {
	for _, r := range records {
		for _, text := range []string{r.GetActor().GetType(), r.GetActor().GetId(), r.GetMessage()} {
			if err := checkText(text); err != nil {
				return err
			}
		}
		for _, change := range r.GetChanges() {
			if err := checkKey(store.ChangedKey(change)); err != nil {
				return err
			}
		}
		if err := checkKey(r.GetCompletes().GetKey()); err != nil {
			return err
		}
	}
	return nil
}

func checkKey(key *runtimev1.TaskKey) error {
	k := store.KeyOf(key)
	for _, text := range []string{k.Type, k.ID, k.Name} {
		if err := checkText(text); err != nil {
			return err
		}
	}
	return nil
}

func checkText(text string) error {
	if strings.IndexByte(text, 0) >= 0 || !utf8.ValidString(text) {
		return fmt.Errorf("%w: %q is not text that PostgreSQL can hold", store.ErrInvalid, text)
	}
	return nil
}
