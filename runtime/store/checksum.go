package store

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
)

// Checksum is what a driver stores beside the state of an actor, and compares when
// it reads it: the xxHash64 of type, id, identity, version, message and data, and of its
// times; one that never expires has no such time. It
// finds what a disk or a hand has changed in a row, and a row under the wrong key; it
// is no defence against somebody who means it.
//
// Stored state depends on it: it must never change.
func Checksum(actor *runtimev1.Actor, state *runtimev1.State, times Times) uint64 {
	var sum Sum
	sum.String(actor.GetType())
	sum.String(actor.GetId())
	sum.Uint(state.GetIdentity().GetActivation())
	sum.Uint(state.GetIdentity().GetSequence())
	sum.Uint(state.GetVersion())
	sum.String(state.GetMessage())
	sum.Bytes(state.GetData())
	sum.Uint(uint64(times.Keyed))
	if times.Expires != 0 {
		sum.Uint(uint64(times.Expires))
	}
	return sum.Value()
}

// KeyChecksum is what a driver stores beside an idempotency key of an actor, which was
// committed at since, in Unix seconds, and ReplyChecksum beside its reply.
func KeyChecksum(actor *runtimev1.Actor, key *runtimev1.Key, since int64) uint64 {
	var sum Sum
	sum.String(actor.GetType())
	sum.String(actor.GetId())
	sum.Bytes(key.GetDigest())
	sum.Bytes(key.GetRequest())
	sum.Uint(uint64(since))
	return sum.Value()
}

// ReplyChecksum is the checksum of the reply that is kept for a key.
func ReplyChecksum(key *runtimev1.Key) uint64 {
	var sum Sum
	sum.Bytes(key.GetDigest())
	sum.Bytes(key.GetReply())
	return sum.Value()
}

// After is the state that a record leaves, at a version.
func After(record *runtimev1.Record, version uint64) *runtimev1.State {
	return &runtimev1.State{
		Identity: record.GetIdentity(), Version: version,
		Message: record.GetMessage(), Data: record.GetData(),
	}
}

// Sum is a checksum over fields, for rows of any kind. Each field goes in with its
// length, so that no two rows run together alike. The zero value is empty.
type Sum struct {
	digest xxhash.Digest
	begun  bool
}

// String adds a text.
func (s *Sum) String(v string) {
	s.Uint(uint64(len(v)))
	_, _ = s.digest.WriteString(v) // never fails
}

// Bytes adds bytes.
func (s *Sum) Bytes(v []byte) {
	s.Uint(uint64(len(v)))
	_, _ = s.digest.Write(v) // never fails
}

// Uint adds a number.
func (s *Sum) Uint(v uint64) {
	if !s.begun {
		s.digest.Reset()
		s.begun = true
	}
	var field [8]byte
	binary.LittleEndian.PutUint64(field[:], v)
	_, _ = s.digest.Write(field[:]) // never fails
}

// Value returns the checksum of what was added.
func (s *Sum) Value() uint64 { return s.digest.Sum64() }
