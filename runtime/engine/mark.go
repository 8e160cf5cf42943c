package engine

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"sync"

	"github.com/francis-actors/francis/runtime/store"
)

const (
	// pointSize and sealSize are the parts of a mark, in bytes: the generation, the
	// counter and the branch of the store, each with the highest byte first, and the
	// begin of an HMAC-SHA256 over them.
	pointSize = 24
	sealSize  = 16
)

// marks seals how far the store has come, for workers to show again. The key is the id
// of the cluster, which only the store knows: a worker that could make up a mark could
// end every activation of the cluster. Its methods may be called concurrently.
type marks struct {
	mu  sync.Mutex
	mac hash.Hash
}

func newMarks(cluster string) *marks { return &marks{mac: hmac.New(sha256.New, []byte(cluster))} }

// seal makes a mark.
func (m *marks) seal(at store.Point) []byte {
	mark := make([]byte, 0, pointSize+sha256.Size)
	for _, part := range []uint64{at.Generation, uint64(at.Counter), at.Branch} {
		mark = binary.BigEndian.AppendUint64(mark, part)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mac.Reset()
	_, _ = m.mac.Write(mark) // never fails (hash.Hash)
	return m.mac.Sum(mark)[:pointSize+sealSize]
}

// open returns what a mark says; false for one that this cluster has not made, or that
// another release has made in another form.
func (m *marks) open(mark []byte) (store.Point, bool) {
	if len(mark) != pointSize+sealSize {
		return store.Point{}, false
	}
	at := store.Point{
		Generation: binary.BigEndian.Uint64(mark),
		Counter:    store.Counter(binary.BigEndian.Uint64(mark[8:])),
		Branch:     binary.BigEndian.Uint64(mark[16:]),
	}
	return at, hmac.Equal(mark, m.seal(at))
}

// believe looks at the mark that a worker shows. One of a point that is not in the history
// of the store proves that it was put back to an older copy: a new generation begins, and
// everybody joins again. What is left of earlier generations proves nothing.
func (e *Engine) believe(ctx context.Context, mark []byte) error {
	seen, ok := e.marks.open(mark)
	if !ok {
		return nil
	}
	now, err := e.store.Cluster(ctx)
	if err != nil || !now.Behind(seen) {
		return err
	}
	return e.regenerate(ctx, seen)
}

// after returns the store for a worker that shows a mark. The mark is looked at before the
// request, or where the store can do that, in the transaction of it: see found.
func (e *Engine) after(ctx context.Context, mark []byte) (store.Requests, error) {
	checked, ok := e.store.(store.Checked)
	if !ok {
		return e.store, e.believe(ctx, mark)
	}
	seen, _ := e.marks.open(mark)
	return checked.After(seen), nil
}

// found is the error of a request, once it is clear what that says of the mark.
func (e *Engine) found(ctx context.Context, mark []byte, err error) error {
	if errors.Is(err, store.ErrBehind) {
		if err = e.believe(ctx, mark); err == nil {
			err = store.ErrDead // another engine was faster
		}
	}
	return err
}

func (e *Engine) regenerate(ctx context.Context, seen store.Point) error {
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
