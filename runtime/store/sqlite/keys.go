package sqlite

import (
	"database/sql/driver"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/keys"
	"github.com/francis-actors/francis/runtime/store"
)

const (
	replaceKey = `REPLACE INTO keys (type, id, digest, request, since, hour, checksum, replied, reply)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`
	deleteKey  = `DELETE FROM keys WHERE type = ? AND id = ? AND digest = ?`
	deleteKeys = `DELETE FROM keys WHERE type = ? AND id = ?`
	findKeys   = `SELECT digest, request, since, checksum FROM keys WHERE type = ? AND id = ? AND since > ?
		ORDER BY since DESC LIMIT ?`
	findKey = `SELECT request, since, checksum, replied, reply FROM keys WHERE type = ? AND id = ? AND digest = ? AND since > ?`

	dueKeys   = `SELECT type, id, digest FROM keys WHERE hour < ?1 LIMIT ?2`
	countKeys = `SELECT count(*) FROM (` + dueKeys + `)`
	dropKeys  = `DELETE FROM keys WHERE (type, id, digest) IN (` + dueKeys + `)`
)

const secondsOfHour = int64(time.Hour / time.Second)

// expired is the last second whose keys are not live any more at the time now.
func expired(now time.Time) int64 { return now.Add(-keys.Life).Unix() }

// writeKeys writes the keys of a record, inside a transaction.
func (w *writer) writeKeys(r row) error {
	actor := r.record.GetActor()
	for _, digest := range r.record.GetForgotten() {
		if err := w.dropKey.exec(actor.GetType(), actor.GetId(), digest); err != nil {
			return err
		}
	}
	for _, key := range r.record.GetKeys() {
		err := w.addKey.exec(
			actor.GetType(), actor.GetId(), key.GetDigest(), key.GetRequest(), r.times.Keyed, r.times.Keyed/secondsOfHour,
			int64(store.KeyChecksum(actor, key, r.times.Keyed)), int64(store.ReplyChecksum(key)), blob(key.GetReply()),
		)
		if err != nil {
			return err
		}
	}
	return nil
}

// forgettable is since when the identity of an actor without state may be forgotten, in
// Unix seconds: not while it has live keys, which are found through it.
func (w *writer) forgettable(r row) int64 {
	now := w.now()
	if r.times.Keyed > expired(now) {
		return r.times.Keyed + int64(keys.Life/time.Second)
	}
	return now.Unix()
}

// live reports whether an actor that got its last key at that time has live keys.
func (r *reader) live(keyed int64) bool { return keyed > expired(r.now()) }

// keys reads the live keys of an actor, the oldest first.
func (r *reader) keys(actor *runtimev1.Actor) ([]*runtimev1.Key, error) {
	now := r.now()
	var found []*runtimev1.Key
	err := r.findKeys.each(func(row []driver.Value) error {
		columns := columns{row: row}
		key := &runtimev1.Key{Digest: columns.bytes(), Request: columns.bytes()}
		err := columns.age(actor, key, now)
		found = append(found, key)
		return err
	}, actor.GetType(), actor.GetId(), expired(now), int64(keys.Max))
	slices.Reverse(found)
	return found, err
}

// recall reads one live key and its reply; none if there is no such key.
func (r *reader) recall(actor *runtimev1.Actor, digest []byte) ([]*runtimev1.Key, error) {
	now := r.now()
	row, ok, err := r.recalled.one(actor.GetType(), actor.GetId(), digest, expired(now))
	if err != nil || !ok {
		return nil, err
	}
	columns := columns{row: row}
	key := &runtimev1.Key{Digest: digest, Request: columns.bytes()}
	if err := columns.age(actor, key, now); err != nil {
		return nil, err
	}
	sum := columns.uint()
	key.Reply = columns.bytes()
	if columns.err == nil && store.ReplyChecksum(key) != sum {
		return nil, fmt.Errorf("%w: a reply does not fit its checksum", store.ErrDamaged)
	}
	return []*runtimev1.Key{key}, columns.err
}

// age reads when a key came, and whether the key fits its checksum.
func (c *columns) age(actor *runtimev1.Actor, key *runtimev1.Key, now time.Time) error {
	since := int64(c.uint())
	c.checksum(store.KeyChecksum(actor, key, since))
	key.Age = durationpb.New(now.Sub(time.Unix(since, 0)))
	return c.err
}
