package sqlite

import (
	"path/filepath"
	"sync"
	"testing"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/keys"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/internal/queue"
)

// Who comes while a transaction is being written shares it, and what is refused of them
// harms nobody.
func TestWhoComesMeanwhileJoins(t *testing.T) {
	t.Parallel()
	var once sync.Once
	var meanwhile func()
	config := Config{Path: filepath.Join(t.TempDir(), "data.db"), Now: func() time.Time {
		once.Do(func() { meanwhile() }) // the record with a key is being judged
		return time.Now()
	}}
	s := mustOpen(t, config)
	defer mustClose(t, s)
	own(t, s, "w1")

	type outcome struct {
		verdict runtimev1.Verdict
		point   store.Point
	}
	send := func(r *runtimev1.Record) outcome {
		results, moved, err := s.Commit(t.Context(), "w1", []*runtimev1.Record{r})
		if err != nil {
			t.Error(err)
			return outcome{}
		}
		return outcome{results[0].GetVerdict(), moved.Point}
	}
	joined, refused := make(chan outcome, 1), make(chan outcome, 1)
	meanwhile = func() {
		go func() { joined <- send(record("b", nil, identity(2, 1), []byte("b"))) }()
		awaitWaiting(s.writer.queue, 1)
		go func() { refused <- send(record("b", nil, identity(3, 1), []byte("c"))) }()
		awaitWaiting(s.writer.queue, 2)
	}
	first := record("a", nil, identity(1, 1), []byte("a"))
	digest := make([]byte, len(keys.Digest{}))
	first.Keys = []*runtimev1.Key{{Digest: digest, Request: digest}}

	began := send(first)
	if got := <-joined; got != began || got.verdict != runtimev1.Verdict_VERDICT_APPLIED {
		t.Errorf("the first is answered %v, who joined %v", began, got)
	}
	if got := <-refused; got.verdict != runtimev1.Verdict_VERDICT_STALE_BASE || got.point != began.point {
		t.Errorf("on another base: %v", got)
	}
	for id, want := range map[string]string{"a": "a", "b": "b"} {
		if got := loadOne(t, s, "w1", id).GetState(); string(got.GetData()) != want || got.GetVersion() != 1 {
			t.Errorf("%s holds %v", id, got)
		}
	}
}

// awaitWaiting returns when so many wait in a queue.
func awaitWaiting[T any](q *queue.Queue[T], count int) {
	for q.Len() < count {
		time.Sleep(time.Millisecond) // real time: nothing tells that somebody waits
	}
}
