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
	storetest.Run(t, func(_ testing.TB, now func() time.Time) store.Store { return memory.NewAt(now) })
}
