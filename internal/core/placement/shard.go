// Package placement decides where an actor lives. It is pure.
package placement

import (
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// Shards is the number of shards of an actor type, fixed when the type is first
// registered.
const Shards = 256

// ShardOf returns the shard of an actor id, in [0, shards). The hash space is the
// top 63 bits of xxHash64 (seed 0) of the id's bytes, divided into equal ranges.
// Stored state depends on it: it must never change.
func ShardOf(id string, shards uint32) uint32 {
	hash := xxhash.Sum64String(id) >> 1
	hi, lo := bits.Mul64(hash, uint64(shards))
	return uint32(hi<<1 | lo>>63)
}
