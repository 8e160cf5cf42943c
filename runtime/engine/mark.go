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
	// placeSize and sealSize are the parts of a mark, in bytes: the generation and the
	// counter of the store, each with the highest byte first, and the begin of an
	// HMAC-SHA256 over them.
	placeSize = 16
	sealSize  = 16
)

// marks seals how far the store has come, for workers to show again. The key is the id
// of the cluster, which only the store knows: a worker that could make up a mark could
// end every activation of the cluster.
type marks struct{ key []byte }

// seal makes a mark.
func (m marks) seal(at store.Cluster) []byte {
	mark := binary.BigEndian.AppendUint64(make([]byte, 0, placeSize+sealSize), at.Generation)
	mark = binary.BigEndian.AppendUint64(mark, uint64(at.Counter))
	sum := hmac.New(sha256.New, m.key)
	_, _ = sum.Write(mark) // never fails (hash.Hash)
	return append(mark, sum.Sum(nil)[:sealSize]...)
}

// open returns what a mark says; false for one that this cluster has not made.
func (m marks) open(mark []byte) (store.Cluster, bool) {
	if len(mark) != placeSize+sealSize {
		return store.Cluster{}, false
	}
	at := store.Cluster{Generation: binary.BigEndian.Uint64(mark), Counter: store.Counter(binary.BigEndian.Uint64(mark[8:]))}
	return at, hmac.Equal(mark, m.seal(at))
}

// mark seals a counter that the store has just answered. In a generation that began
// meanwhile it is lower than any other, and says less than it could.
func (e *Engine) mark(counter store.Counter) []byte {
	return e.marks.seal(store.Cluster{Generation: e.generation.Load(), Counter: counter})
}

// believe looks at the mark that a worker shows. One that is ahead of the store proves
// that the store was put back to an older copy: a new generation begins, and everybody
// joins again. What is left of earlier generations proves nothing.
func (e *Engine) believe(ctx context.Context, mark []byte) error {
	if len(mark) == 0 {
		return nil
	}
	now, err := e.store.Cluster(ctx)
	if err != nil {
		return err
	}
	e.generation.Store(now.Generation)
	seen, ok := e.marks.open(mark)
	if !ok || !now.Behind(seen) {
		return nil
	}
	return e.regenerate(ctx, seen)
}

func (e *Engine) regenerate(ctx context.Context, seen store.Cluster) error {
	happened, _, err := e.store.Regenerate(ctx, seen)
	e.doubt()
	if err != nil {
		return fmt.Errorf("begin a new generation: %w", err)
	}
	if happened {
		e.log.Error("the store was put back to an older copy: what was committed since is lost; all workers join again, in a new generation", "generation", seen.Generation, "counter", uint64(seen.Counter))
	}
	return store.ErrDead
}
