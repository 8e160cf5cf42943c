package sqlite

const (
	pageSize = 4_096
	// logPages is how much is written before the log is moved into the file, in pages:
	// 16 MiB.
	logPages = 16 << 20 / pageSize
	// logLimit is how long the log is left, in pages, 24 MiB, where readers keep it from
	// beginning anew; a longer one waits for them. With another round and the group that
	// ends it, of at most groupBytes, it stays below logKept.
	logLimit = 24 << 20 / pageSize
	// logKept is how many bytes of it stay on disk for the next round, and the most that
	// it ever has.
	logKept = 64 << 20
)

// log counts what was written to the write-ahead log and bounds it. SQLite would do
// so itself, but drop an error of the disk.
type log struct {
	passive, truncate *stmt
	// pages were written since it was last moved, about.
	pages int
}

// wrote adds pages and moves the log into the file when it is time.
func (l *log) wrote(pages int) error {
	l.pages += pages + 1
	if l.pages < logPages {
		return nil
	}
	length, moved, err := checkpoint(l.passive)
	if err != nil {
		return err
	}
	if moved < length && length > logLimit {
		if _, _, err := checkpoint(l.truncate); err != nil {
			return err
		}
	}
	l.pages = 0
	return nil
}

// checkpoint returns the pages in the log and how many of them are in the file too.
func checkpoint(s *stmt) (length, moved uint64, err error) {
	row, _, err := s.one()
	if err != nil {
		return 0, 0, err
	}
	columns := columns{row: row}
	columns.uint() // whether it was busy
	length, moved = columns.uint(), columns.uint()
	return length, moved, columns.err
}
