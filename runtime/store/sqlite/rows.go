package sqlite

import (
	"database/sql/driver"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/internal/cluster"
)

// The rows of the cluster table. Each has a checksum: a wrong owner or epoch would
// break the promise of a single writer.

const (
	readCluster  = `SELECT id, generation, counter, checksum FROM cluster`
	readBranches = `SELECT id, began, checksum FROM branches ORDER BY began`
	readWorkers  = `SELECT id, died, worker, checksum FROM workers`
	readTypes    = `SELECT name, shards, type, checksum FROM types`
	readShards   = `SELECT type, shard, epoch, worker, next, checksum FROM shards`

	writeCluster = `REPLACE INTO cluster (one, id, generation, counter, checksum) VALUES (1, ?, ?, ?, ?)`
	dropBranches = `DELETE FROM branches`
	writeBranch  = `INSERT INTO branches (id, began, checksum) VALUES (?, ?, ?)`
	writeWorker  = `REPLACE INTO workers (id, died, worker, checksum) VALUES (?, ?, ?, ?)`
	writeType    = `REPLACE INTO types (name, shards, type, checksum) VALUES (?, ?, ?, ?)`
	writeShard   = `REPLACE INTO shards (type, shard, epoch, worker, next, checksum) VALUES (?, ?, ?, ?, ?, ?)`
	dropWorker   = `DELETE FROM workers WHERE id = ?`
)

func sumCluster(c store.Cluster) uint64 {
	var sum store.Sum
	sum.String(c.ID)
	sum.Uint(c.Generation)
	sum.Uint(uint64(c.Counter))
	return sum.Value()
}

func sumBranch(b store.Branch) uint64 {
	var sum store.Sum
	sum.Uint(b.ID)
	sum.Uint(uint64(b.Began))
	return sum.Value()
}

// loadTable reads the cluster table.
func loadTable(c *conn) (*cluster.Table, error) {
	identity, err := loadCluster(c)
	if err != nil {
		return nil, err
	}
	// Types come before their shards.
	var change cluster.Change
	loads := []struct {
		query string
		read  func(*columns)
	}{
		{readWorkers, func(row *columns) { change.Members = append(change.Members, scanMember(row)) }},
		{readTypes, func(row *columns) { change.Types = append(change.Types, scanType(row)) }},
		{readShards, func(row *columns) { change.Shards = append(change.Shards, scanShard(row)) }},
	}
	for _, load := range loads {
		if err := c.each(load.query, load.read); err != nil {
			return nil, err
		}
	}
	return cluster.Restore(identity, change)
}

func loadCluster(c *conn) (store.Cluster, error) {
	var found []store.Cluster
	err := c.each(readCluster, func(row *columns) {
		identity := store.Cluster{ID: row.text(), Generation: row.uint(), Counter: store.Counter(row.uint())}
		row.checksum(sumCluster(identity))
		found = append(found, identity)
	})
	if err != nil {
		return store.Cluster{}, err
	}
	if len(found) != 1 {
		return store.Cluster{}, fmt.Errorf("%w: it has no identity", store.ErrDamaged)
	}
	err = c.each(readBranches, func(row *columns) { found[0].Branches = append(found[0].Branches, scanBranch(row)) })
	return found[0], err
}

// each reads all rows of a query.
func (c *conn) each(query string, read func(*columns)) error {
	s, err := c.prepare(query)
	if err != nil {
		return err
	}
	defer s.Close()
	err = s.each(func(row []driver.Value) error {
		columns := &columns{row: row}
		read(columns)
		return columns.err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", query, err)
	}
	return nil
}

func scanBranch(row *columns) store.Branch {
	branch := store.Branch{ID: row.uint(), Began: store.Counter(row.uint())}
	row.checksum(sumBranch(branch))
	return branch
}

func scanMember(row *columns) cluster.Member {
	id, died, encoded := row.text(), row.uint(), row.bytes()
	row.checksum(cluster.SumMessage(id, died, encoded))
	worker := &runtimev1.Worker{}
	row.decode(encoded, worker)
	member := cluster.Member{Member: store.Member{Worker: worker, Alive: died == 0}}
	if died != 0 {
		member.Died = time.Unix(int64(died), 0)
	}
	return member
}

func scanType(row *columns) store.Type {
	name, shards, encoded := row.text(), row.uint(), row.bytes()
	row.checksum(cluster.SumMessage(name, shards, encoded))
	typ := &runtimev1.ActorType{}
	row.decode(encoded, typ)
	return store.Type{Type: typ, Shards: uint32(shards)}
}

func scanShard(row *columns) *runtimev1.Shard {
	shard := &runtimev1.Shard{
		Type: row.text(), Shard: uint32(row.uint()), Epoch: row.uint(),
		Worker: row.text(), Next: row.text(),
	}
	row.checksum(cluster.SumShard(shard))
	return shard
}

// checksum compares the next column with what it should be.
func (c *columns) checksum(want uint64) {
	if got := c.uint(); c.err == nil && got != want {
		c.err = fmt.Errorf("%w: a row does not fit its checksum", store.ErrDamaged)
	}
}

func (c *columns) decode(encoded []byte, to proto.Message) {
	if c.err != nil {
		return
	}
	if err := proto.Unmarshal(encoded, to); err != nil {
		c.err = fmt.Errorf("%w: %w", store.ErrDamaged, err)
	}
}

// writeBranches replaces the branches, inside a transaction.
func writeBranches(c *conn, branches []store.Branch) error {
	if err := c.exec(dropBranches); err != nil {
		return err
	}
	return writeRows(c, writeBranch, branches, branchRow)
}

// writeChange writes the rows of a change, inside a transaction.
func writeChange(c *conn, change cluster.Change) error {
	err := writeRows(c, writeWorker, change.Members, memberRow)
	if err == nil {
		err = writeRows(c, writeType, change.Types, typeRow)
	}
	if err == nil {
		err = writeRows(c, writeShard, change.Shards, shardRow)
	}
	if err == nil {
		err = writeRows(c, dropWorker, change.Forgotten, func(id string) ([]driver.Value, error) { return []driver.Value{id}, nil })
	}
	return err
}

// write runs a statement once for each item.
func writeRows[T any](c *conn, statement string, items []T, args func(T) ([]driver.Value, error)) error {
	if len(items) == 0 {
		return nil
	}
	s, err := c.prepare(statement)
	if err != nil {
		return err
	}
	defer s.Close()
	for _, item := range items {
		row, err := args(item)
		if err != nil {
			return err
		}
		if err := s.exec(row...); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

func branchRow(b store.Branch) ([]driver.Value, error) {
	return []driver.Value{int64(b.ID), int64(b.Began), int64(sumBranch(b))}, nil
}

func memberRow(m cluster.Member) ([]driver.Value, error) {
	encoded, err := proto.Marshal(m.Worker)
	var died int64
	if !m.Alive {
		died = m.Died.Unix()
	}
	id := m.Worker.GetId()
	return []driver.Value{id, died, encoded, int64(cluster.SumMessage(id, uint64(died), encoded))}, err
}

func typeRow(t store.Type) ([]driver.Value, error) {
	encoded, err := proto.Marshal(t.Type)
	name := t.Type.GetName()
	return []driver.Value{name, int64(t.Shards), encoded, int64(cluster.SumMessage(name, uint64(t.Shards), encoded))}, err
}

func shardRow(s *runtimev1.Shard) ([]driver.Value, error) {
	return []driver.Value{
		s.GetType(), int64(s.GetShard()), int64(s.GetEpoch()),
		s.GetWorker(), s.GetNext(), int64(cluster.SumShard(s)),
	}, nil
}

func clusterRow(c store.Cluster) ([]driver.Value, error) {
	return []driver.Value{c.ID, int64(c.Generation), int64(c.Counter), int64(sumCluster(c))}, nil
}
