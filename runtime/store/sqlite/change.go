package sqlite

import (
	"fmt"

	"github.com/francis-actors/francis/runtime/store/internal/cluster"
	"github.com/francis-actors/francis/runtime/store/internal/queue"
)

// changeGroup answers calls that change the cluster table, in one transaction. When
// it fails, each gets one of its own: a beat needs no disk, and must not fail with a
// neighbour who does.
func (w *writer) changeGroup(calls []*writeCall) {
	if len(calls) == 0 {
		return
	}
	answers, err := w.changeAll(calls)
	switch {
	case err == nil:
		for i, c := range calls {
			c.End(answers[i].Value, answers[i].Err)
		}
	case len(calls) > 1:
		for i := range calls {
			w.changeGroup(calls[i : i+1])
		}
	default:
		queue.Refuse(calls, err)
	}
}

// changeAll makes transitions one after the other on a clone of the table, and shows
// it when their rows are written. A transition that refuses has no effect.
func (w *writer) changeAll(calls []*writeCall) ([]queue.Answer[written], error) {
	if err := w.held.standing(); err != nil {
		return nil, err
	}
	table := w.held.table.Clone()
	answers := make([]queue.Answer[written], len(calls))
	var changes []cluster.Change
	for i, c := range calls {
		change, err := c.Question.transition(table)
		if err != nil {
			answers[i].Err = err
			continue
		}
		table.Apply(change)
		answers[i].Value.point = table.Cluster.Point()
		if change.Durable() {
			changes = append(changes, change)
		}
	}
	if err := w.writeChanges(changes, table); err != nil {
		return nil, fmt.Errorf("change the cluster table: %w", err)
	}
	w.held.show(table)
	return answers, nil
}

func (w *writer) writeChanges(changes []cluster.Change, after *cluster.Table) error {
	if len(changes) == 0 {
		return nil
	}
	pages := 0
	for _, c := range changes {
		pages += len(c.Shards)/8 + len(c.Members) + len(c.Types)
	}
	return w.transact(after.Cluster, func() (int, error) {
		for _, change := range changes {
			if err := writeChange(w.conn, change); err != nil {
				return 0, err
			}
		}
		return pages, nil
	})
}
