package store

import "slices"

// maxBranches bounds the branches that a store remembers: as many starts, in which it
// changed, may pass before somebody who missed them all shows what it has seen.
const maxBranches = 64

// Counter counts the changes of a store.
type Counter uint64

// Cluster is the identity of the cluster whose state a store keeps, and its history.
type Cluster struct {
	// ID is random, drawn when the store was made. While a backup is restored it is empty.
	ID string
	// Generation counts from 1 how often the store was found to be put back to an older
	// copy.
	Generation uint64
	// Branches are the last parts of the history, in order. They are never changed in
	// place. Before there are any the counter alone says how far the store has come.
	Branches []Branch
	// Counter is the store's counter now.
	Counter Counter
}

// Branch is what the store became from one opening to the next, or on one server: copies
// have different branches from there on, though their counters are alike.
type Branch struct {
	// ID is random, not 0.
	ID uint64
	// Began is the counter at its beginning. The changes after it, until the
	// next branch began, are those of the branch.
	Began Counter
}

// Point is a point of the history: where a store was after one of its changes.
type Point struct {
	Generation uint64
	// Branch has the change; 0 if it was made before there were branches.
	Branch  uint64
	Counter Counter
}

// Point is where the store is now.
func (c Cluster) Point() Point {
	now := Point{Generation: c.Generation, Counter: c.Counter}
	for _, branch := range c.Branches {
		if branch.Began < c.Counter {
			now.Branch = branch.ID
		}
	}
	return now
}

// Branched is the cluster when a branch begins: what changes from now on has a
// branch of its own. A branch without a change is forgotten, and so are the oldest ones
// when there are many.
func (c Cluster) Branched(id uint64) Cluster {
	branches := slices.Clone(c.Branches)
	if n := len(branches); n > 0 && branches[n-1].Began == c.Counter {
		branches = branches[:n-1]
	}
	branches = append(branches, Branch{ID: id, Began: c.Counter})
	c.Branches = branches[max(0, len(branches)-maxBranches):]
	return c
}

// Behind reports whether a point that somebody has seen is not in the history: then the
// store was put back to an older copy. It is not if it is of a later generation, or after
// the end of its branch. A point of an earlier generation says nothing of this one.
func (c Cluster) Behind(seen Point) bool {
	if seen.Generation != c.Generation {
		return seen.Generation > c.Generation
	}
	return seen.Counter > c.endOf(seen.Branch)
}

// endOf is the last counter that a branch can have. One that is not remembered is older
// than those that are; if a point of it is not, then it is another copy's.
func (c Cluster) endOf(id uint64) Counter {
	i := slices.IndexFunc(c.Branches, func(b Branch) bool { return b.ID == id })
	if i+1 < len(c.Branches) {
		return c.Branches[i+1].Began
	}
	return c.Counter
}
