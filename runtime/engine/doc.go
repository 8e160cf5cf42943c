// Package engine is the runtime: it decides who is a member of the cluster and who
// owns which shard, and every read and write of a worker goes through it to the
// store.
//
// # Model
//
// The store is the truth; each of its methods is one atomic transition. The engine
// keeps a copy of the members, the actor types and the shards, which pure packages
// read and which workers watch: placement.Journal merges what the store answers, in
// whatever order the answers arrive. A copy that is old costs a transition that the
// store refuses, never a wrong one.
//
// Requests run on their callers' goroutines. Beside them [Engine.Run] has loops: the
// planner reads the store once and then plans after every change (it sleeps while
// nothing changes), the judge reads the beats and decrees death, the sweeper lets the
// store forget what is an hour old, and where other engines use the store too, the
// follower reads what they have changed. Any of them judges and plans: the store takes
// one decree of a death, and of two plans for a shard the first. Who changes the
// placement merges the store's answer and wakes the planner:
//
//	join, announce, release, leave, decree → store → board → watchers
//	                                                     ↘ planner → store → board → …
//
// # Use
//
//	e, err := engine.New(engine.Config{Store: s, Probe: probe, Certify: certify})
//	go e.Run(ctx)
//	member, err := e.Admit(ctx)                                  // a worker joins
//	e.Worker(member.WorkerID).Announce(ctx, request)             // in this process
//	runtimev1connect.RegisterWorkerServiceHandler(server, e.Handler(identify)) // over Connect
//
// A worker is what its connection proves, never what a request says: [Engine.Worker]
// binds the id, and the store checks on each read and write that this worker owns
// the shard.
//
// Every error is a *connect.Error with our detail. An error of a request leaves open
// whether it happened unless its outcome says otherwise, and every request may be
// sent again.
//
// runtime and sdk/local call this package; it calls runtime/store, internal/core and
// internal/fault.
package engine
