package serve

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/francis-actors/francis/runtime/config"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/memory"
	"github.com/francis-actors/francis/runtime/store/postgres"
	"github.com/francis-actors/francis/runtime/store/sqlite"
)

// openStore opens the store that the configuration names.
func openStore(ctx context.Context, p config.Provider, log *slog.Logger) (store.Store, error) {
	switch p.Type {
	case config.ProviderMemory:
		log.Warn("the data lives in memory and ends with the runtime; write type: sqlite or postgres to keep it")
		return memory.New(), nil
	case config.ProviderSQLite:
		return sqlite.Open(sqlite.Config{Path: p.ConnectionString, Logger: log})
	case config.ProviderPostgres:
		return postgres.Open(ctx, postgres.Config{ConnectionString: p.ConnectionString, Logger: log})
	}
	return nil, fmt.Errorf("provider.type %q is unknown", p.Type)
}
