package limit

import (
	"errors"
	"fmt"
	"time"
)

// Limits bound what one host takes on. A zero field has its default, which is also
// the most that is allowed: peers and the runtime are sized for it.
type Limits struct {
	// Message is the largest request or reply, in encoded bytes, from 1 KiB. Default:
	// 4 MiB.
	Message int
	// State is the largest state of an actor, in encoded bytes, from 1 KiB. Default:
	// 1 MiB.
	State int
	// Metadata is the largest metadata of a call: the bytes of all keys and values
	// together. Default: 4 KiB.
	Metadata int
	// ChainDepth is how many actors one chain of calls may hold. Default: 64.
	ChainDepth int
	// CallTimeout is the deadline of a call from a turn or from the gateway that brings
	// none and whose contract gives none, from 1 ms to 24 h. Default: 30 seconds.
	CallTimeout time.Duration
}

const minBytes = 1 << 10

// WithDefaults fills in what is zero.
func (l Limits) WithDefaults() Limits {
	if l.Message == 0 {
		l.Message = MaxMessage
	}
	if l.State == 0 {
		l.State = MaxState
	}
	if l.Metadata == 0 {
		l.Metadata = MaxMetadata
	}
	if l.ChainDepth == 0 {
		l.ChainDepth = ChainDepth
	}
	if l.CallTimeout == 0 {
		l.CallTimeout = CallTimeout
	}
	return l
}

// Check reports every field that is out of its range, after WithDefaults.
func (l Limits) Check() error {
	return errors.Join(
		checkRange("Message", l.Message, minBytes, MaxMessage),
		checkRange("State", l.State, minBytes, MaxState),
		checkRange("Metadata", l.Metadata, 1, MaxMetadata),
		checkRange("ChainDepth", l.ChainDepth, 1, ChainDepth),
		CheckTimeout(l.CallTimeout),
	)
}

func checkRange(field string, n, least, most int) error {
	if n < least || n > most {
		return fmt.Errorf("the limit %s is %d; it must be between %d and %d", field, n, least, most)
	}
	return nil
}
