package engine

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/francis-actors/francis/runtime/store"
)

const (
	// counterSize and sealSize are the parts of a mark, in bytes: the counter of the
	// store, the highest byte first, and the begin of an HMAC-SHA256 over it.
	counterSize = 8
	sealSize    = 16
)

// marks seals how far the store has come, for workers to show again. The key is the id
// of the cluster, which only the store knows: a worker that could make up a mark could
// end every activation of the cluster.
type marks struct{ key []byte }

// seal makes a mark.
func (m marks) seal(counter store.Counter) []byte {
	mark := binary.BigEndian.AppendUint64(make([]byte, 0, counterSize+sealSize), uint64(counter))
	sum := hmac.New(sha256.New, m.key)
	_, _ = sum.Write(mark) // never fails (hash.Hash)
	return append(mark, sum.Sum(nil)[:sealSize]...)
}

// open returns what a mark says; false for one that this cluster has not made.
func (m marks) open(mark []byte) (store.Counter, bool) {
	if len(mark) != counterSize+sealSize {
		return 0, false
	}
	counter := store.Counter(binary.BigEndian.Uint64(mark))
	return counter, hmac.Equal(mark, m.seal(counter))
}

// believe looks at the mark that a worker shows. A higher counter than that of the store
// proves that the store was put back to an older copy: a new generation begins, and
// everybody joins again.
func (e *Engine) believe(ctx context.Context, mark []byte) error {
	if len(mark) == 0 {
		return nil
	}
	now, err := e.store.Cluster(ctx)
	if err != nil {
		return err
	}
	seen, ok := e.marks.open(mark)
	if !ok || seen <= now.Counter {
		return nil
	}
	return e.regenerate(ctx, seen)
}

func (e *Engine) regenerate(ctx context.Context, seen store.Counter) error {
	happened, _, err := e.store.Regenerate(ctx, seen)
	e.doubt()
	if err != nil {
		return fmt.Errorf("begin a new generation: %w", err)
	}
	if happened {
		e.log.Error("the store was put back to an older copy: what was committed since is lost; all workers join again, in a new generation", "seen", uint64(seen))
	}
	return store.ErrDead
}
