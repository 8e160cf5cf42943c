package sqlite

import (
	"log/slog"
	"os"
	"time"
)

const (
	pageSize = 4_096
	// logPages is how much is written before the log is moved into the file, in pages:
	// 8 MiB. A log that begins anew is overwritten, and a sync takes half as long as one of
	// a file that grows; but each time, what many actors wrote costs a page in the file.
	logPages = 8 << 20 / pageSize
	// logReserve is after how many pages the log is given all of logPages on disk. A store
	// that writes little never gets there.
	logReserve = 64
	// logLimit is how long the log is left, in pages, 24 MiB, where readers keep it from
	// beginning anew; a longer one waits for them. With another round and the group that
	// ends it, of at most groupBytes, it stays below logKept.
	logLimit = 24 << 20 / pageSize
	// logKept is how many bytes of it stay on disk for the next round, and the most that
	// it ever has unless another process reads the file and does not stop.
	logKept = 64 << 20
	// frameHead is what stands before each page in the log, in bytes.
	frameHead = 24
	// logPatience is how long all writers wait for readers to end. Our own need less, by
	// snapshotLasts.
	logPatience = 50 * time.Millisecond
)

// log counts what was written to the write-ahead log and bounds it. SQLite would do
// so itself, but drop an error of the disk.
//
// A reader of another process that stays, a backup for example, cannot be ended from
// here. Writers wait for it once and then go on: the log grows, which is said aloud, and
// begins anew when that reader has gone. The alternatives are worse: to wait would let
// all leases lapse, and to refuse would let whoever may read the file stop the cluster.
type log struct {
	conn              *conn
	path              string
	passive, truncate *stmt
	logger            *slog.Logger
	// pages were written since it was last moved, about.
	pages int
	// reserved is true once the log has had its place on disk, or not got it.
	reserved bool
	// stuck is how far it was moved when the wait for a reader was in vain.
	stuck uint64
	// told is the length, in pages, of which people were told last; 0 for none.
	told uint64
	// waited is told how long all writers waited for readers; nil but in tests.
	waited func(time.Duration)
}

// reserve gives the log its place on disk, so that its first round, too, is overwritten
// instead of growing with each sync. What SQLite has not written there ends the log, as an
// older round would. It is called inside a transaction, when nobody else can write to the
// log; the end of that syncs it, and finds out what the disk makes of it. Where it does not
// fit, the log grows as it goes.
func (l *log) reserve() {
	if l.reserved || l.pages < logReserve {
		return
	}
	l.reserved = true
	file, err := os.OpenFile(l.path, os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer file.Close()
	const place = logPages * (pageSize + frameHead)
	info, err := file.Stat()
	if err != nil || info.Size() >= place {
		return
	}
	if _, err = file.WriteAt(make([]byte, place-info.Size()), info.Size()); err != nil {
		_ = file.Truncate(info.Size()) // or SQLite writes there all the same
	}
}

// wrote adds pages and moves the log into the file when it is time.
func (l *log) wrote(pages int) error {
	l.pages += pages + 1
	if l.pages < logPages {
		return nil
	}
	progress, err := checkpoint(l.passive)
	if err == nil && progress.moved < progress.length && progress.length > logLimit && progress.moved != l.stuck {
		progress, err = l.wait(progress)
	}
	if err != nil {
		return err
	}
	l.pages = 0
	l.tell(progress)
	return nil
}

// wait lets all writers wait until no reader uses the log any more, and empties it.
func (l *log) wait(before progress) (progress, error) {
	if err := configure(l.conn, []string{busyTimeout(logPatience)}); err != nil {
		return before, err
	}
	began := time.Now()
	after, err := checkpoint(l.truncate)
	if l.waited != nil {
		l.waited(time.Since(began))
	}
	if after.busy {
		l.stuck = after.moved
	}
	if err := configure(l.conn, []string{busyTimeout(patience)}); err != nil {
		return before, err
	}
	return after, err
}

// tell tells people that the log is longer than it should be, and again at each doubling.
func (l *log) tell(now progress) {
	switch {
	case now.moved == now.length:
		l.stuck, l.told = 0, 0
	case now.length > max(logKept/pageSize, 2*l.told):
		l.told = now.length
		l.logger.Warn("another process reads the database file and does not stop; until it does, the log beside the file grows",
			"MiB", now.length*pageSize>>20)
	}
}

// progress is how far the log was moved.
type progress struct {
	// busy is true when somebody used the log for longer than one waited.
	busy bool
	// length are the pages in the log, and moved those of them that are in the file too.
	length, moved uint64
}

func checkpoint(s *stmt) (progress, error) {
	row, _, err := s.one()
	if err != nil {
		return progress{}, err
	}
	columns := columns{row: row}
	done := progress{busy: columns.uint() != 0, length: columns.uint(), moved: columns.uint()}
	return done, columns.err
}
