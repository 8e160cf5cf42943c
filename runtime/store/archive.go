package store

import (
	"context"
	"iter"

	backupv1 "github.com/francis-actors/francis/gen/francis/backup/v1"
)

// Backup is everything of a cluster that outlives its runtimes and workers, as it was at
// one moment: a header, and then what is kept, in the order that francis.backup.v1 has for
// it, without a summary. It may be ranged over once. An error ends it, and then all of it
// is worth nothing.
type Backup = iter.Seq2[*backupv1.Record, error]

// Archive lets a store be backed up, and restored.
type Archive interface {
	// Backup is what the store holds when somebody begins to range over it; meanwhile
	// everything else goes on. Members, and who owns which shard, are no part of it. A row
	// of an actor, a key or a task that is damaged is handed over as such; anything else
	// that is damaged ends the backup with ErrDamaged.
	Backup(ctx context.Context) Backup
	// Restore fills the store with a backup, in transactions of a bounded size, and returns
	// the cluster that it holds then: that of the backup, in a generation later than any
	// that the backup or the store knows, so that nothing which began before is accepted.
	// The store must be empty (else ErrNotEmpty), or it is emptied first. Nobody may use
	// it meanwhile; ErrLive means that workers do, as far as the store can tell.
	//
	// After an error that says nothing else, everything but another Restore answers
	// ErrUnfinished: a store is never restored half. So it does after a crash.
	Restore(ctx context.Context, restoration Restoration) (Cluster, error)
}

// Restoration says what is restored, and how.
type Restoration struct {
	// Backup is what the store shall hold.
	Backup Backup
	// Replace lets what the store holds be dropped.
	Replace bool
}
