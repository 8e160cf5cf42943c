package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	backupv1 "github.com/francis-actors/francis/gen/francis/backup/v1"
	"github.com/francis-actors/francis/internal/deadline"
	"github.com/francis-actors/francis/runtime/config"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/postgres"
	"github.com/francis-actors/francis/runtime/store/sqlite"
)

// Backup is a backup of the store that the configuration names. Runtimes may be using it:
// a file of SQLite is read beside its runtime.
func Backup(ctx context.Context, p config.Provider) store.Backup {
	if p.Type == config.ProviderSQLite {
		return sqlite.Backup(ctx, p.ConnectionString)
	}
	return func(yield func(*backupv1.Record, error) bool) {
		if p.Type != config.ProviderPostgres {
			yield(nil, notKept(p))
			return
		}
		s, err := postgres.Open(ctx, postgres.Config{ConnectionString: p.ConnectionString})
		if err != nil {
			yield(nil, err)
			return
		}
		defer s.Close()
		s.Backup(ctx)(yield)
	}
}

// Restore restores a backup into the store that the configuration names. It lasts a lease
// at least: workers whose runtime was stopped just now answer from memory until theirs has
// ended, and nobody else may be given their actors before.
func Restore(ctx context.Context, cfg *config.Config, log *slog.Logger, restoration store.Restoration) (store.Cluster, error) {
	s, err := openToRestore(ctx, cfg.Provider, log)
	if err != nil {
		return store.Cluster{}, err
	}
	restoration.Backup = outlast(ctx, restoration.Backup, time.Now().Add(cfg.Lease))
	now, err := s.Restore(ctx, restoration)
	return now, errors.Join(err, s.Close())
}

// outlast is a backup that does not end before a time.
func outlast(ctx context.Context, backup store.Backup, end time.Time) store.Backup {
	return func(yield func(*backupv1.Record, error) bool) {
		for record, err := range backup {
			if !yield(record, err) || err != nil {
				return
			}
		}
		if !deadline.Sleep(ctx, time.Until(end)) {
			yield(nil, ctx.Err())
		}
	}
}

func openToRestore(ctx context.Context, p config.Provider, log *slog.Logger) (store.Store, error) {
	switch p.Type {
	case config.ProviderSQLite:
		return sqlite.OpenToRestore(sqlite.Config{Path: p.ConnectionString, Logger: log})
	case config.ProviderPostgres:
		return postgres.Open(ctx, postgres.Config{ConnectionString: p.ConnectionString, Logger: log})
	}
	return nil, notKept(p)
}

func notKept(p config.Provider) error {
	return fmt.Errorf("provider.type is %q, whose data lives in the memory of its runtime alone; write type: %s or %s", p.Type, config.ProviderSQLite, config.ProviderPostgres)
}
