// Package tasks is what one transaction does to tasks, as a value in memory: it reads a
// row where it has to, decides by package task, and keeps what the rows become. The
// driver writes the rows at the end of its transaction, each of them once, and drops the
// draft when it cannot. So every driver answers alike, and a key that changes a hundred
// times in one transaction costs one write.
package tasks

import (
	"slices"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

// Ref names a row: that of a task that lives, or a dead letter.
type Ref struct {
	store.TaskKey
	Dead bool
}

// compare orders refs: the rows of each table by key. Drivers take locks in this order.
func (r Ref) compare(other Ref) int {
	switch {
	case r.Dead == other.Dead:
		return r.Compare(other.TaskKey)
	case r.Dead:
		return 1
	default:
		return -1
	}
}

// Source reads the row of a task as it is stored; nil if there is none, and
// store.DamagedTask for one that is damaged. What it returns is not changed.
type Source func(Ref) (*runtimev1.ScheduledTask, error)

// Of names the rows of an actor that are stored, in any order, the dead letters too. When
// there are more than limit.MaxDeleted, it may leave out all but one more than that.
type Of func(actor *runtimev1.Actor) ([]Ref, error)

// Config is what a draft takes from its transaction.
type Config struct {
	// Source reads rows.
	Source Source
	// Of names the rows of an actor.
	Of Of
	// Now is the time of the transaction.
	Now time.Time
	// Revision is its counter, and the revision of all tasks that it changes.
	Revision store.Counter
	// Random returns numbers from 0 up to 1.
	Random func() float64
	// Budget is how many bytes the draft reads and writes, about, before it ends no other
	// deliveries; 0 for any number. What ends a delivery is small, its task may be large.
	Budget int
}

// Draft is what a transaction does to tasks. It is for one goroutine.
type Draft struct {
	config Config
	rows   map[Ref]*Row
	// changed counts the rows that have to be written.
	changed int
	// bytes is how much was read and has to be written, about.
	bytes int
}

// NewDraft is an empty draft.
func NewDraft(config Config) *Draft { return &Draft{config: config, rows: map[Ref]*Row{}} }

// Row is a row as the transaction leaves it.
type Row struct {
	Ref
	// Task is what it holds; nil for no row.
	Task *runtimev1.ScheduledTask
	// changed is true when it has to be written, known when Task is what is stored or comes
	// instead of it.
	changed, known bool
	// touched is the last work that changed it.
	touched *Work
}

// Changed are the rows that have to be written, in the order of their keys, the dead
// letters last.
func (d *Draft) Changed() []*Row {
	if d == nil {
		return nil
	}
	changed := make([]*Row, 0, d.changed)
	for _, r := range d.rows {
		if r.changed {
			changed = append(changed, r)
		}
	}
	slices.SortFunc(changed, func(a, b *Row) int { return a.compare(b.Ref) })
	return changed
}

// Empty reports whether nothing has to be written.
func (d *Draft) Empty() bool { return d == nil || d.changed == 0 }

// row returns a row, whatever it holds.
func (d *Draft) row(ref Ref) *Row {
	r := d.rows[ref]
	if r == nil {
		r = &Row{Ref: ref}
		d.rows[ref] = r
	}
	return r
}

// read returns a row and knows what it holds.
func (d *Draft) read(ref Ref) (*Row, error) {
	r := d.row(ref)
	if r.known {
		return r, nil
	}
	stored, err := d.config.Source(ref)
	if err == nil {
		r.Task, r.known = stored, true
		d.weigh(stored)
	}
	return r, err
}

// of returns the rows of an actor that hold something, also what nobody can read.
func (d *Draft) of(actor *runtimev1.Actor) ([]*Row, error) {
	stored, err := d.config.Of(actor)
	if err != nil {
		return nil, err
	}
	for _, ref := range stored {
		d.row(ref)
	}
	var rows []*Row
	for ref, r := range d.rows {
		if ref.Type == actor.GetType() && ref.ID == actor.GetId() && (!r.known || r.Task != nil) {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b *Row) int { return a.compare(b.Ref) })
	return rows, nil
}

// weigh counts a task that was read or has to be written.
func (d *Draft) weigh(s *runtimev1.ScheduledTask) { d.bytes += len(s.GetTask().GetRequest()) }

func (d *Draft) full() bool { return d.config.Budget > 0 && d.bytes >= d.config.Budget }

// living reports whether a row holds a task that can be read.
func living(s *runtimev1.ScheduledTask) bool { return s.GetRevision() != 0 }

// at is the row, if it holds the stage of a task that has this revision.
func (d *Draft) at(key *runtimev1.TaskKey, revision uint64) (*Row, bool, error) {
	r, err := d.read(Ref{TaskKey: store.KeyOf(key)})
	return r, err == nil && living(r.Task) && r.Task.GetRevision() == revision, err
}

func (w *Work) now() time.Time   { return w.draft.config.Now }
func (w *Work) revision() uint64 { return uint64(w.draft.config.Revision) }
func (w *Work) random() float64  { return w.draft.config.Random() }

// Sum is the checksum of the row of a task, with the time at which it is due in Unix
// microseconds. What is stored depends on it, so it never changes.
func Sum(key store.TaskKey, due int64, encoded []byte) uint64 {
	var sum store.Sum
	sum.String(key.Type)
	sum.Uint(uint64(key.Kind))
	sum.String(key.ID)
	sum.String(key.Name)
	sum.Uint(uint64(due))
	sum.Bytes(encoded)
	return sum.Value()
}
