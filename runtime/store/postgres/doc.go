// Package postgres is the store in a PostgreSQL database, for any number of runtimes.
//
// Nothing of the truth is in memory: each runtime reads members, shards and the last
// record of an actor in the transaction that depends on it. The statements are those that
// the databases that speak PostgreSQL's protocol have in common; there are no advisory
// locks, no notifications and no lease of a leader.
//
// # Records
//
// Calls that wait are committed together (group commit), in two round trips: the first one
// locks and reads what the records depend on, the rules of package store judge them, and
// the second one writes, counts and commits. The locks are taken in one order:
//
//	shards by key, FOR SHARE → actors by key → tasks, dead letters by key → the counter
//
// A shard that is locked FOR SHARE cannot move before the transaction has ended; to look
// at it without a lock would let a record through whose shard moves meanwhile. The worker
// row is never locked: its beat goes on. The counter comes last, so that its row, the only
// one that all transactions share, is locked for no longer than it takes to make them
// durable; what comes meanwhile joins the next group. A group that may change tasks takes
// it when it reads: the counter is the revision of its tasks, and of two transactions that
// change a task, where there may be no row to be locked, the later one has the higher.
//
// The calls of a worker go through one of a few lanes: so its shards are locked by one
// transaction of a runtime at a time, and large groups form.
//
// A transaction that meets another one (40001, 40P01, or a row that was new to both) is
// repeated as a whole. One whose commit was lost with the connection has an unknown
// outcome, and the same records sent again tell, by their identity.
//
// # Plans
//
// The rows of a group are written and looked up in one statement for each table, with an
// array for each column. The server plans a statement when a session sends it first, and
// knows little of a table that is new or grows; so the statements and the settings of the
// session have it go by keys, row after row, and not through a table.
//
// # The cluster table
//
// Who changes members or shards first locks the row of the table placement, then reads the
// whole cluster table, lets package cluster decide, writes rows, shards in order, and
// counts. A beat is the update of one row. A death is written only where the beat is
// still the one that was judged.
//
// # History
//
// A server that takes over, or is started on an older copy of its files, may have lost
// commits. Whoever changes anything therefore reads, in the same transaction, which server
// changed the history last and which one it asks: is it another one, a branch begins first
// (store.Cluster). All runtimes meet in one row, so they agree, and no round trip is added.
// What a worker has seen is compared in the transactions of its requests as well.
//
// # Durability
//
// A server that is a standby, or that runs with fsync = off, is refused at each connection.
// Commits wait for the disk also where the database says synchronous_commit = off.
package postgres
