//go:build !without_g1

package mutant

// Fence is guarantee G1: only the owner of a shard at its present epoch writes.
const Fence = true
