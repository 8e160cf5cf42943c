package sqlite

import (
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

// recent remembers what the writer has written last under some keys: the writer alone
// changes the file, so this is the truth, and saves a query. When the young half is full it
// becomes the old one, and what was not used meanwhile goes.
type recent[K comparable, V any] struct {
	// room is how many keys each half may hold.
	room       int
	young, old map[K]V
}

func (r *recent[K, V]) get(key K) (V, bool) {
	if found, ok := r.young[key]; ok {
		return found, true
	}
	found, ok := r.old[key]
	if ok {
		r.put(key, found)
	}
	return found, ok
}

func (r *recent[K, V]) put(key K, value V) {
	if len(r.young) >= r.room {
		r.old, r.young = r.young, nil
	}
	if r.young == nil {
		r.young = map[K]V{}
	}
	r.young[key] = value
}

// drop forgets a key.
func (r *recent[K, V]) drop(key K) {
	delete(r.young, key)
	delete(r.old, key)
}

// forget drops everything, after a transaction that failed.
func (r *recent[K, V]) forget() { r.young, r.old = nil, nil }

// lastsKept is the room for the last records of actors.
const lastsKept = 1 << 15

type actorKey struct{ typ, id string }

// last is the last record of an actor. The zero value is that of an actor without.
type last struct {
	activation, sequence, version uint64

	times store.Times
}

func (l last) identity() *runtimev1.Identity {
	return &runtimev1.Identity{Activation: l.activation, Sequence: l.sequence}
}
