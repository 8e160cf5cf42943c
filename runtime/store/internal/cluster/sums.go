package cluster

import (
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

// The checksums of rows of the cluster table: a wrong owner or epoch would break the
// promise of a single writer. What is stored depends on them, so they never change.

// SumMessage is the checksum of a row that holds a message, of a member with the time of
// its death, or of a type with the number of its shards.
func SumMessage(key string, number uint64, message []byte) uint64 {
	var sum store.Sum
	sum.String(key)
	sum.Uint(number)
	sum.Bytes(message)
	return sum.Value()
}

// SumShard is the checksum of the row of a shard.
func SumShard(s *runtimev1.Shard) uint64 {
	var sum store.Sum
	sum.String(s.GetType())
	sum.Uint(uint64(s.GetShard()))
	sum.Uint(s.GetEpoch())
	sum.String(s.GetWorker())
	sum.String(s.GetNext())
	return sum.Value()
}
