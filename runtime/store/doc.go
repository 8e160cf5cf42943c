// Package store says what the runtime keeps: the members of the cluster, the actor
// types and their shards, the state of actors, their alarms and jobs. It speaks in atomic
// transitions of that domain; each method is one transaction that happened or did not.
//
// # What a store promises
//
//   - A shard has one owner at an epoch. Each change of owner adds 1 to the epoch,
//     and no epoch is given twice. An owner is alive and not leaving when it is
//     given a shard; a dead worker owns nothing.
//   - A shard leaves a live worker only by the worker's own release, or together
//     with the worker: [Members.DeclareDead] and [Members.Evict] mark it dead and
//     move all its shards in one transaction.
//   - A record is written only while its worker owns the actor's shard at the
//     record's epoch, and only on the very state it was built on. Both are checked
//     in the transaction that writes it. No clock is involved.
//   - What was acknowledged is durable.
//
// # Records
//
// The identity of a record is its activation, a random number drawn when the actor
// is loaded, and its sequence within the activation. The actor's row keeps the last
// identity; [Judge] is the whole rule. A version number could not do this: a delayed
// record of a dropped activation and a new one would look alike.
//
// # Tasks
//
// An alarm or a job is a row with a revision, the counter of the transaction that wrote
// it last. A record that completes a delivery applies only while the task has the
// revision that was delivered, so a delivery that comes twice has its effect once. A
// task lives apart from the state of its actor, and survives it. What became of a
// transaction's tasks is reported as [Moved].
//
// # The counter
//
// Every transaction that changes anything adds 1 to the [Counter] of the store, but
// for a beat. Who has seen a higher counter than the store's proves that the store
// went back, to an older copy of itself.
//
// # Messages
//
// What goes in and comes out are the messages of francis.runtime.v1. A store may
// keep and hand out the same message many times: they are immutable from then on,
// for both sides.
//
// The drivers are in the folders below; package storetest is the contract that each
// of them passes. This package imports the generated messages, a hash, and nobody
// who calls it.
package store
