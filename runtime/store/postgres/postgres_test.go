package postgres

import (
	"testing"
	"time"

	"github.com/francis-actors/francis/internal/pgtest"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	storetest.Run(t, func(t testing.TB, now func() time.Time) store.Store {
		return mustOpen(t, Config{ConnectionString: server.Database(t), Now: now})
	})
}

func mustOpen(t testing.TB, config Config) *Store {
	t.Helper()
	s, err := Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
