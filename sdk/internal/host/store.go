package host

import "context"

// Store keeps the committed state of actors.
type Store interface {
	// Load returns what was committed last; a zero Stored if nothing ever was.
	Load(ctx context.Context, typ, id string) (Stored, error)
	// Commit stores the state of one actor if the stored version is the record's
	// base, and fails without effect otherwise.
	Commit(ctx context.Context, record Record) error
}

// Stored is the committed state of one actor.
type Stored struct {
	// Version counts the commits of the actor; 0 means that there were none.
	Version uint64
	// Message is the full name of the message that Data encodes.
	Message string
	Data    []byte
}

// Record is what one turn commits. Its data is immutable.
type Record struct {
	Type, ID string
	// Base is the version that the turn built on.
	Base    uint64
	Message string
	Data    []byte
}
