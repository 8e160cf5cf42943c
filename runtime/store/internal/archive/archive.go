// Package archive is what all drivers have in common when a backup is restored: it
// holds the backup to its order, and hands it to the driver in pieces of a bounded
// size.
package archive

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	backupv1 "github.com/francis-actors/francis/gen/francis/backup/v1"
	"github.com/francis-actors/francis/runtime/store"
)

const (
	// pieceRows and pieceBytes bound one transaction.
	pieceRows  = 8_192
	pieceBytes = 4 << 20
)

// Driver restores one backup into a store.
type Driver interface {
	// Begin leaves the store empty and marked as unfinished, in one transaction: an empty
	// id says that, in the generation and with the counter of [cluster.Restored]. It may
	// say store.ErrNotEmpty or store.ErrLive, and then nothing happens.
	Begin(ctx context.Context, header *backupv1.Header) error
	// Add adds actors, keys and tasks, in one transaction.
	Add(ctx context.Context, rows []*backupv1.Record) error
	// End adds types, with shards of nobody, and takes the mark away, in one transaction.
	End(ctx context.Context, types []store.Type) (store.Cluster, error)
}

// Restore lets a driver restore a backup.
func Restore(ctx context.Context, backup store.Backup, driver Driver) (store.Cluster, error) {
	r := &restoration{driver: driver}
	for record, err := range backup {
		if err == nil {
			err = r.take(ctx, record)
		}
		if err != nil {
			return store.Cluster{}, r.failed(err)
		}
	}
	now, err := r.end(ctx)
	if err != nil {
		return store.Cluster{}, r.failed(err)
	}
	return now, nil
}

// restoration is a backup that is being restored.
type restoration struct {
	driver Driver
	// last is where the last record stands; zero before the first one.
	last place
	// begun is true when the store is empty and marked.
	begun bool
	types []store.Type
	// rows wait to be added, and bytes is their size.
	rows  []*backupv1.Record
	bytes int
}

// take takes the next record.
func (r *restoration) take(ctx context.Context, record *backupv1.Record) error {
	at, err := locate(record)
	switch {
	case err != nil:
		return fmt.Errorf("%w: a record of the backup cannot be used: %w", store.ErrInvalid, err)
	case (at.section == headers) != (r.last.section == 0) || at.compare(r.last) <= 0:
		return fmt.Errorf("%w: the records of the backup are not in their order", store.ErrInvalid)
	}
	r.last = at
	switch at.section {
	case headers:
		err := r.driver.Begin(ctx, record.GetHeader())
		r.begun = err == nil
		return err
	case types:
		r.types = append(r.types, store.Type{Type: record.GetType().GetType(), Shards: record.GetType().GetShards()})
		return nil
	default:
		return r.add(ctx, record)
	}
}

// add adds a row, and with it those that wait when there are many.
func (r *restoration) add(ctx context.Context, row *backupv1.Record) error {
	r.rows = append(r.rows, row)
	r.bytes += proto.Size(row)
	if len(r.rows) < pieceRows && r.bytes < pieceBytes {
		return nil
	}
	return r.flush(ctx)
}

func (r *restoration) flush(ctx context.Context) error {
	if len(r.rows) == 0 {
		return nil
	}
	err := r.driver.Add(ctx, r.rows)
	r.rows, r.bytes = nil, 0
	return err
}

// end ends what has come to its end.
func (r *restoration) end(ctx context.Context) (store.Cluster, error) {
	if r.last.section == 0 {
		return store.Cluster{}, errors.New("the backup is empty")
	}
	if err := r.flush(ctx); err != nil {
		return store.Cluster{}, err
	}
	return r.driver.End(ctx, r.types)
}

// failed is why there is no restored store, and what has become of it.
func (r *restoration) failed(err error) error {
	if !r.begun {
		return fmt.Errorf("restore: %w", err)
	}
	return fmt.Errorf("restore: %w; the store holds only a part of the backup now, and serves nobody until one is restored to its end: do it again", err)
}

// Sum is the checksum that a row is stored with: one that does not fit where the row was
// damaged, so that it stays so.
func Sum(sum uint64, damaged bool) uint64 { //nolint:revive // damaged is no mode, it is what a row says of itself
	if damaged {
		return ^sum
	}
	return sum
}
