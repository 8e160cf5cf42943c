package sqlite

import (
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/internal/cluster"
	"github.com/francis-actors/francis/runtime/store/internal/queue"
	"github.com/francis-actors/francis/runtime/store/internal/tasks"
)

// write is what the writer is asked: one of five things.
type write struct {
	// transition changes the cluster table.
	transition func(*cluster.Table) (cluster.Change, error)
	// forget drops the identities of actors that had no state before that time.
	forget time.Time
	// records are to be committed for a worker.
	worker  string
	records []*runtimev1.Record
	// work changes tasks.
	work *work
	// step is a step of a restoration.
	step func(*writer) error
}

// commits reports whether the writer is asked for what is committed in groups.
func (w write) commits() bool { return w.transition == nil && w.forget.IsZero() && w.step == nil }

// written is what it answers: where the store is, the verdicts on records, what was done to
// tasks, and whether there is more to forget.
type written struct {
	point   store.Point
	results []*runtimev1.CommitResponse_Result
	work    *tasks.Work
	more    bool
}

func (w written) moved() store.Moved {
	return store.Moved{Moves: w.work.Moves(), Point: w.point}
}

// load is what a reader is asked.
type load struct {
	worker string
	reads  []*runtimev1.LoadRequest_Read
}

type (
	writeCall = queue.Call[write, written]
	loadCall  = queue.Call[load, []*runtimev1.LoadResponse_Result]
)
