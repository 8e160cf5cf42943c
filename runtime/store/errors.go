package store

import "errors"

// The errors of every store. What a driver returns wraps one of them or is an error
// of its environment.
var (
	// ErrDead means that a worker is dead or was never known: it must join again
	// under a new id. Nothing happened.
	ErrDead = errors.New("the worker is dead or unknown; it must join again under a new id")
	// ErrWorkerExists means that a worker id is not fresh. Nothing happened.
	ErrWorkerExists = errors.New("the worker id is in use or was; draw a new one")
	// ErrInvalid means that an argument is not well formed. Nothing happened.
	ErrInvalid = errors.New("invalid argument")
	// ErrFull means that the disk has no room. Nothing happened, reads go on, and
	// writes go on by themselves once there is room.
	ErrFull = errors.New("the disk of the store is full; free some space, and writes go on by themselves")
	// ErrFatal means that the store can promise nothing any more: the process must
	// end and start again.
	ErrFatal = errors.New("the disk of the store failed; check it and restart the runtime, which then recovers what is durable")
	// ErrDamaged means that what is stored is damaged.
	ErrDamaged = errors.New("the store is damaged; restore it from a backup")
	// ErrAway means that the database of the store does not answer, or takes no writes.
	// What was sent may have happened all the same. It goes on by itself once it answers.
	ErrAway = errors.New("the database of the store does not answer; nothing is lost, and it goes on by itself when it does")
	// ErrNotEmpty means that a store holds something that a backup would replace. Nothing
	// happened.
	ErrNotEmpty = errors.New("the store is not empty")
	// ErrLive means that workers use a store into which a backup is to be restored. Nothing
	// happened.
	ErrLive = errors.New("workers use the store; stop them and all runtimes first")
	// ErrUnfinished means that a backup was not restored to its end: the store holds only a
	// part of it.
	ErrUnfinished = errors.New("a backup was not restored to its end into this store; restore it again")
	// ErrBehind means that the store was put back to an older copy: its history does not
	// have what somebody has seen of it. Nothing happened.
	ErrBehind = errors.New("the store was put back to an older copy")
	// ErrClosed means that the store was closed. Nothing happened.
	ErrClosed = errors.New("the store is closed")

	// ErrForeign means that a file or database belongs to somebody else.
	ErrForeign = errors.New("not a store of Francis")
	// ErrNewer means that the store was written by a newer release.
	ErrNewer = errors.New("the store was written by a newer release; use that release or a later one")
	// ErrLocked means that another runtime has the store.
	ErrLocked = errors.New("another runtime has the store")
)
