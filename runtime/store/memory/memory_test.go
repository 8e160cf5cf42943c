package memory_test

import (
	"testing"
	"time"

	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/memory"
	"github.com/francis-actors/francis/runtime/store/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, open)
}

func TestCopies(t *testing.T) {
	t.Parallel()
	storetest.Copies(t, open, func(_ testing.TB, s store.Store) store.Store { return s.(*memory.Store).Copy() })
}

func open(_ testing.TB, now func() time.Time) store.Store { return memory.NewAt(now) }
