package memory

import (
	"bytes"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/keys"
)

// live are the keys that have not expired.
func (r row) live(now time.Time) []key {
	first := slices.IndexFunc(r.keys, func(k key) bool { return now.Sub(k.since) < keys.Life })
	if first < 0 {
		return nil
	}
	return r.keys[first:]
}

// heads are the live keys without their replies.
func (r row) heads(now time.Time) []*runtimev1.Key {
	live := r.live(now)
	var heads []*runtimev1.Key
	for _, k := range live[max(0, len(live)-keys.Max):] {
		heads = append(heads, &runtimev1.Key{Digest: k.GetDigest(), Request: k.GetRequest(), Age: durationpb.New(now.Sub(k.since))})
	}
	return heads
}

// recall is one live key with its reply; none if there is no such key.
func (r row) recall(digest []byte, now time.Time) []*runtimev1.Key {
	for _, k := range r.live(now) {
		if bytes.Equal(k.GetDigest(), digest) {
			return []*runtimev1.Key{{Digest: digest, Request: k.GetRequest(), Reply: k.GetReply(), Age: durationpb.New(now.Sub(k.since))}}
		}
	}
	return nil
}

// remember are the keys after a record. Those that have expired are gone.
func (r row) remember(record *runtimev1.Record, now time.Time) []key {
	var next []key
	if !record.GetDeletes() {
		next = slices.Clone(r.live(now))
	}
	next = slices.DeleteFunc(next, func(have key) bool {
		same := func(digest []byte) bool { return bytes.Equal(digest, have.GetDigest()) }
		again := func(k *runtimev1.Key) bool { return same(k.GetDigest()) }
		return slices.ContainsFunc(record.GetForgotten(), same) || slices.ContainsFunc(record.GetKeys(), again)
	})
	for _, k := range record.GetKeys() {
		next = append(next, key{Key: k, since: now})
	}
	return next
}
