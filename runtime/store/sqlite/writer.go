package sqlite

import (
	"errors"
	"slices"
	"time"

	"github.com/francis-actors/francis/internal/failpoint"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/internal/queue"
)

const (
	// groupRecords and groupBytes bound one transaction, and so the time that its
	// callers wait for each other, and the log.
	groupRecords = 4_096
	groupBytes   = 16 << 20
)

// writer is the one goroutine that changes the file.
type writer struct {
	conn  *conn
	held  *held
	queue *queue.Queue[*writeCall]

	begin, commit, rollback *stmt
	counter                 *stmt
	find, emptied           *stmt
	replace, overwrite      *stmt
	addKey, dropKey         *stmt
	dropKeys                *stmt
	expiring, unexpiring    *stmt
	tasks                   shelves

	now    func() time.Time
	random func() float64
	// branched is true when the branch that began with the opening is in the file.
	branched bool

	// lasts are the last records of actors.
	lasts recent[actorKey, last]
	log   log
	// rows is the memory for those of a group.
	rows []row
}

func newWriter(c *conn, held *held, config Config) (*writer, error) {
	w := &writer{
		conn: c, held: held, queue: queue.New[*writeCall](), now: config.Now, random: config.Random,
		lasts: recent[actorKey, last]{room: lastsKept}, log: log{conn: c, path: config.Path + "-wal", logger: config.Logger},
	}
	statements := []struct {
		to  **stmt
		sql string
	}{
		{&w.begin, "BEGIN IMMEDIATE"},
		{&w.commit, "COMMIT"},
		{&w.rollback, "ROLLBACK"},
		{&w.counter, writeCluster},
		{&w.find, findLast},
		{&w.replace, replaceActor},
		{&w.overwrite, overwriteActor},
		{&w.emptied, noteEmptied},
		{&w.addKey, replaceKey},
		{&w.dropKey, deleteKey},
		{&w.dropKeys, deleteKeys},
		{&w.expiring, insertExpiring},
		{&w.unexpiring, deleteExpiring},
		{&w.log.passive, "PRAGMA wal_checkpoint(PASSIVE)"},
		{&w.log.truncate, "PRAGMA wal_checkpoint(TRUNCATE)"},
	}
	for _, s := range statements {
		var err error
		if *s.to, err = c.keep(s.sql); err != nil {
			return nil, err
		}
	}
	var err error
	w.tasks, err = newShelves(c)
	return w, err
}

// run serves until the queue is closed. What waits at that time is refused.
func (w *writer) run() {
	for {
		calls, open := w.queue.Take()
		w.serve(calls)
		if !open {
			return
		}
	}
}

// serve answers what was waiting: first what changes the cluster table, then all
// records.
func (w *writer) serve(calls []*writeCall) {
	var transitions, commits []*writeCall
	for _, c := range calls {
		switch {
		case c.Gone() != nil:
			c.End(written{}, c.Gone()) // nobody waits
		case c.Question.commits():
			commits = append(commits, c)
		case c.Question.transition != nil:
			transitions = append(transitions, c)
		case c.Question.step != nil:
			c.End(written{}, w.step(c.Question.step))
		default:
			c.End(w.forget(c.Question.forget))
		}
	}
	w.changeGroup(transitions)
	for len(commits) > 0 {
		g := groupOf(commits)
		commits = commits[len(g.calls):]
		g.alone = len(commits) > 0 // those have come before who waits now
		w.commitGroup(g)
	}
}

// step runs a step of a restoration, which goes on where nobody else is served.
func (w *writer) step(do func(*writer) error) error {
	if err := w.held.broken(); err != nil {
		return err
	}
	return do(w)
}

// groupOf returns the first group of the calls, at least of one.
func groupOf(calls []*writeCall) *group {
	g := &group{}
	n := 0
	for n < len(calls) && g.size.add(calls[n]) {
		n++
	}
	g.calls = slices.Clip(calls[:n])
	return g
}

// size is how much a group carries. The tasks that it changes count like records.
type size struct{ calls, records, bytes int }

// add adds a call if it fits; the first one does.
func (s *size) add(c *writeCall) bool {
	next := size{s.calls + 1, s.records + len(c.Question.records), s.bytes}
	if work := c.Question.work; work != nil {
		next.records, next.bytes = next.records+work.rows, next.bytes+work.bytes
	}
	for _, record := range c.Question.records {
		next.bytes += len(record.GetData()) + requests(record.GetChanges())
		next.records += len(record.GetChanges())
		for _, key := range record.GetKeys() {
			next.bytes += len(key.GetReply())
		}
	}
	if s.calls > 0 && (next.records > groupRecords || next.bytes > groupBytes) {
		return false
	}
	*s = next
	return true
}

// errNothing is what the body of a transaction returns that had nothing to write.
var errNothing = errors.New("there is nothing to write")

// transact runs a body in one transaction, which leaves the cluster like that. The body
// returns about how many pages it wrote; with errNothing there was no transaction.
func (w *writer) transact(after store.Cluster, body func() (pages int, err error)) error {
	if err := w.begin.exec(); err != nil {
		return w.broken(err)
	}
	w.log.reserve()
	pages, err := body()
	if err == nil {
		err = w.count(after)
	}
	if err == nil && !w.branched {
		err = writeBranches(w.conn, after.Branches)
	}
	if err == nil {
		failpoint.Reach(failpoint.BeforeCommit)
		err = w.commit.exec()
		failpoint.Reach(failpoint.AfterCommit)
	}
	if err != nil {
		_ = w.rollback.exec() // SQLite may have rolled back already
		if errors.Is(err, errNothing) {
			return err
		}
		w.forgetRecent()
		return w.broken(err)
	}
	w.branched = true
	w.wrote(pages)
	return nil
}

// forgetRecent forgets what was written last: nobody knows whether it was.
func (w *writer) forgetRecent() {
	w.lasts.forget()
	w.tasks.living.recent.forget()
	w.tasks.dead.recent.forget()
}

// counted is the cluster after one more change.
func (w *writer) counted() store.Cluster {
	next := w.held.table.Cluster
	next.Counter++
	return next
}

func (w *writer) count(after store.Cluster) error {
	row, err := clusterRow(after)
	if err != nil {
		return err
	}
	return w.counter.exec(row...)
}

// wrote moves the log into the file when there is much of it. What was committed
// stays committed, whatever comes of that; only a failing disk ends the service.
func (w *writer) wrote(pages int) {
	if err := w.log.wrote(pages); errors.Is(err, errDisk) {
		_ = w.held.fail(err)
	}
}

// broken returns what an error means to callers. When the disk has failed nobody
// knows what it holds, and another attempt could succeed without having written: the
// store ends.
func (w *writer) broken(err error) error {
	if errors.Is(err, errDisk) {
		return w.held.fail(err)
	}
	return err
}
