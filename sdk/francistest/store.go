package francistest

import (
	"context"
	"fmt"
	"sync"

	"github.com/francis-actors/francis/sdk/internal/host"
)

// memory keeps the state of actors for as long as the process lives.
type memory struct {
	mu     sync.Mutex
	actors map[key]host.Stored
}

type key struct{ typ, id string }

func (m *memory) Load(_ context.Context, typ, id string) (host.Stored, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.actors[key{typ, id}], nil
}

func (m *memory) Commit(_ context.Context, record host.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := key{record.Type, record.ID}
	if have := m.actors[k].Version; have != record.Base {
		return fmt.Errorf("the store has version %d of %s/%s, and the record builds on version %d", have, record.Type, record.ID, record.Base)
	}
	if m.actors == nil {
		m.actors = map[key]host.Stored{}
	}
	m.actors[k] = host.Stored{Version: record.Base + 1, Message: record.Message, Data: record.Data}
	return nil
}
