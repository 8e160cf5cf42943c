package placement

import (
	"fmt"
	"strings"
	"testing"
)

// The values are fixed: state is placed by them in every store there is. With 256
// shards the shard is the first byte of the hash; the first three hashes are published vectors
// of xxHash: ef46db3751d8e999, d24ec4f1a98c6e5b and 44bc2cf5ad770999.
func TestShardOfGolden(t *testing.T) {
	t.Parallel()
	golden := []struct {
		id                      string
		of256, of1, of7, of1000 uint32
	}{
		{"", 0xef, 0, 6, 934},
		{"a", 0xd2, 0, 5, 821},
		{"abc", 0x44, 0, 1, 268},
		{"id1", 0xe4, 0, 6, 892},
		{"tenant/42", 0x9a, 0, 4, 603},
		{"Zürich ☃", 0x2f, 0, 1, 185},
		{strings.Repeat("x", 512), 0x8a, 0, 3, 541},
	}
	for _, want := range golden {
		got := want
		got.of256, got.of1, got.of7, got.of1000 = ShardOf(want.id, Shards), ShardOf(want.id, 1), ShardOf(want.id, 7), ShardOf(want.id, 1000)
		if got != want {
			t.Errorf("%q: got %v, want %v", want.id, got, want)
		}
	}
}

func TestShardOfSpreadsEvenly(t *testing.T) {
	t.Parallel()
	const ids = 256_000
	counts := make([]int, Shards)
	for i := range ids {
		counts[ShardOf(fmt.Sprintf("id%d", i), Shards)]++
	}
	for shard, n := range counts {
		if mean := ids / Shards; n < mean*8/10 || n > mean*12/10 {
			t.Errorf("shard %d holds %d of %d ids; the mean is %d", shard, n, ids, mean)
		}
	}
}

func FuzzShardOf(f *testing.F) {
	f.Add("id1", uint32(256))
	f.Fuzz(func(t *testing.T, id string, shards uint32) {
		if shard := ShardOf(id, max(shards, 1)); shard >= max(shards, 1) {
			t.Errorf("shard %d of %d", shard, shards)
		}
	})
}

func BenchmarkShardOf(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		ShardOf("customer-0123456789", Shards)
	}
}
