package tasks

import (
	"log/slog"
	"sync"

	"github.com/francis-actors/francis/runtime/store"
)

// maxTold bounds how many damaged tasks are remembered.
const maxTold = 1_024

// Told are the damaged tasks of which people were told. The zero value is empty; its method
// may be called concurrently.
type Told struct {
	mu   sync.Mutex
	keys map[store.TaskKey]struct{} // under mu
}

// Damaged tells people of a damaged task, once: it is found again whenever tasks are read.
// Where there are very many they are told again.
func (t *Told) Damaged(logger *slog.Logger, key store.TaskKey) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, again := t.keys[key]; again {
		return
	}
	if t.keys == nil || len(t.keys) >= maxTold {
		t.keys = map[store.TaskKey]struct{}{}
	}
	t.keys[key] = struct{}{}
	logger.Error("a stored task is damaged and is not delivered; delete it or set it anew, or restore the store from a backup",
		"type", key.Type, "id", key.ID, "kind", key.Kind.String(), "name", key.Name)
}
