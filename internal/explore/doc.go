// Package explore visits every state of a small cluster: two workers, one actor, a
// network that loses, delays and reorders, and workers that send again, crash, and lose
// the actor to each other. It holds no code of the product: its tests run the
// store's own decision on records (store.Judge) and check what callers were told.
package explore
