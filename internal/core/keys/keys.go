// Package keys knows which idempotency keys an actor has seen, so that a repeated call
// is told from a new one before its method runs. It is pure: times are arguments.
//
// A key lives for [Life]. An actor has at most [Max] of them: the oldest makes room for
// a new one when it is at least [Youngest] old, and else the new call is refused.
package keys

import (
	"slices"
	"time"
)

const (
	// Life is for how long a repetition is recognised.
	Life = 24 * time.Hour
	// Max is how many keys of one actor are kept.
	Max = 10_000
	// MaxRecord is how many keys one record brings, or forgets.
	MaxRecord = 1024
	// Youngest is how long a key is kept at least.
	Youngest = 10 * time.Minute
)

// Digest stands for a key, or for a method and its request.
type Digest [16]byte

// Verdict is what an index says of a call.
type Verdict uint8

const (
	// Fresh means that the call is the first with its key.
	Fresh Verdict = iota
	// Repeated means that the same call was made before.
	Repeated
	// Conflicting means that the key was used for another method or request.
	Conflicting
	// Full means that there are too many young keys.
	Full
)

// Index holds the live keys of one actor. The zero value is empty.
type Index struct {
	entries map[Digest]entry
	// order has the keys from the oldest on.
	order []Digest
}

type entry struct {
	request Digest
	// since is when the key came, by the clock of whoever asks.
	since time.Duration
}

// Check says what a call with this key and request is, at the time now.
func (x *Index) Check(key, request Digest, now time.Duration) Verdict {
	x.expire(now)
	switch have, ok := x.entries[key]; {
	case ok && have.request == request:
		return Repeated
	case ok:
		return Conflicting
	case len(x.order) >= Max && now-x.oldest() < Youngest:
		return Full
	default:
		return Fresh
	}
}

// Add takes up the key of a call that was fresh, and returns those that make room for
// it. Keys are added in the order of their time.
func (x *Index) Add(key, request Digest, since time.Duration) (forgotten []Digest) {
	if x.entries == nil {
		x.entries = map[Digest]entry{}
	}
	for len(x.order) >= Max {
		forgotten = append(forgotten, x.drop())
	}
	x.entries[key] = entry{request: request, since: since}
	x.order = append(x.order, key)
	return forgotten
}

// Forget takes out a key that the store no longer has.
func (x *Index) Forget(key Digest) {
	delete(x.entries, key)
	x.order = slices.DeleteFunc(x.order, func(have Digest) bool { return have == key })
}

// expire drops the keys whose life is over.
func (x *Index) expire(now time.Duration) {
	for len(x.order) > 0 && now-x.oldest() >= Life {
		x.drop()
	}
}

// oldest is when the oldest key came.
func (x *Index) oldest() time.Duration { return x.entries[x.order[0]].since }

// drop takes out the oldest key.
func (x *Index) drop() Digest {
	key := x.order[0]
	delete(x.entries, key)
	x.order = x.order[1:] // append moves the rest to fresh memory now and then
	return key
}
