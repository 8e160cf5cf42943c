package sqlite

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/internal/cluster"
)

// A witness lies beside the database and says how far the store had come, about a second
// ago. Somebody who puts back an older copy of the database leaves the witness where it
// is, and so it proves that the copy is older than what workers have seen.

// witnessInterval is how often the witness is written, while there is something new.
const witnessInterval = time.Second

func witnessOf(path string) string { return path + ".counter" }

// confront compares the database with its witness, before anybody is served. A database
// that is behind begins a new generation; one of another cluster is refused, and so is a
// new or emptied one where another one has been.
func (s *Store) confront(config Config) error {
	said, err := readWitness(config.Path)
	have := s.held.table.Cluster
	switch {
	case config.restoring && said != nil:
		s.witnessed = store.Cluster{ID: said.ID, Generation: said.Generation, Counter: store.Counter(said.Counter)}
		return nil
	case config.restoring:
		return err
	case have.ID == "":
		return store.ErrUnfinished
	case err != nil || said == nil:
		return err
	}
	if said.ID != have.ID {
		return fmt.Errorf("%w: %s says that this was the store of cluster %s, and it is that of %s, or new; restore the database, or remove %s to begin with what is there",
			store.ErrForeign, witnessOf(config.Path), said.ID, have.ID, witnessOf(config.Path))
	}
	table := s.held.table.Clone()
	change := table.Regenerate(said.point(), config.Now())
	if change.Generation == nil {
		return nil
	}
	table.Apply(change)
	if err := s.writer.writeChanges([]cluster.Change{change}, table); err != nil {
		return fmt.Errorf("begin a new generation: %w", err)
	}
	s.held.show(table)
	config.Logger.Error("the database was put back to an older copy: what was committed since is lost; all workers join again, in a new generation",
		"file", config.Path, "counter", uint64(have.Counter), "seen", said.Counter)
	return nil
}

// readWitness returns what the witness says; nil if there is none, or none that can be
// read: it may have been cut short.
func readWitness(path string) (*statement, error) {
	text, err := os.ReadFile(witnessOf(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // no witness and no fault
	}
	if err != nil {
		return nil, err
	}
	var said statement
	if err := json.Unmarshal(text, &said); err != nil || said.ID == "" {
		return nil, nil //nolint:nilerr,nilnil // it was cut short, and says nothing
	}
	return &said, nil
}

// statement is what a witness says.
type statement struct {
	ID         string `json:"cluster"`
	Generation uint64 `json:"generation"`
	Branch     uint64 `json:"branch"`
	Counter    uint64 `json:"counter"`
}

func (s statement) point() store.Point {
	return store.Point{Generation: s.Generation, Branch: s.Branch, Counter: store.Counter(s.Counter)}
}

// writeWitness writes down how far the store has come. The new text takes the place of
// the old one at once.
func writeWitness(path string, now store.Cluster) error {
	at := now.Point()
	text, err := json.Marshal(statement{ID: now.ID, Generation: at.Generation, Branch: at.Branch, Counter: uint64(at.Counter)})
	if err != nil {
		return err
	}
	next := witnessOf(path) + ".new"
	if err := os.WriteFile(next, append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(next, witnessOf(path))
}

// witness writes the witness until the store is closed. It does not matter when it
// cannot, on a full disk for example: an older witness proves less.
func (s *Store) witness() {
	ticker := time.NewTicker(witnessInterval)
	defer ticker.Stop()
	var written store.Counter
	for open := true; open; {
		select {
		case <-ticker.C:
		case <-s.ended:
			open = false
		}
		written = s.bearWitness(written)
	}
}

// bearWitness writes the witness if the store has come further than was written, and
// returns what is written then. Of a store that is being restored there is nothing to say.
func (s *Store) bearWitness(written store.Counter) store.Counter {
	s.witnessing.Lock()
	defer s.witnessing.Unlock()
	var now store.Cluster
	s.held.peek(func(t *cluster.Table) { now = t.Cluster })
	if now.ID == "" || now.Counter == written || writeWitness(s.path, now) != nil {
		return written
	}
	return now.Counter
}
