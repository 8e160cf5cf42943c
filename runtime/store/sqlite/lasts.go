package sqlite

import (
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

// lastsKept is how many actors each of the two halves of lasts may hold.
const lastsKept = 1 << 15

// lasts remembers what the writer has written last, of some actors: the writer alone
// changes them, so this is the truth, and saves a query for each record. When the
// young half is full it becomes the old one, and what was not used meanwhile goes.
type lasts struct {
	young, old map[actorKey]last
}

type actorKey struct{ typ, id string }

// last is the last record of an actor. The zero value is that of an actor without.
type last struct {
	activation, sequence, version uint64

	times store.Times
}

func (l last) identity() *runtimev1.Identity {
	return &runtimev1.Identity{Activation: l.activation, Sequence: l.sequence}
}

func (l *lasts) get(key actorKey) (last, bool) {
	if found, ok := l.young[key]; ok {
		return found, true
	}
	found, ok := l.old[key]
	if ok {
		l.put(key, found)
	}
	return found, ok
}

func (l *lasts) put(key actorKey, value last) {
	if len(l.young) >= lastsKept {
		l.old, l.young = l.young, nil
	}
	if l.young == nil {
		l.young = map[actorKey]last{}
	}
	l.young[key] = value
}

// forget drops everything, after a transaction that failed.
func (l *lasts) forget() { *l = lasts{} }
