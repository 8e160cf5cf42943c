// Package chain follows a call from actor to actor, so that one which would wait
// for itself is refused instead of hanging. It is pure.
package chain

import "slices"

// Link is one actor that waits for the call it made. Links are immutable; a
// chain shares the links of its callers.
type Link struct {
	// Parent is the actor that called this one; nil at the outermost.
	Parent *Link
	Type   string
	ID     string
}

// Verdict is what [Check] says of a call.
type Verdict uint8

const (
	// Fine means that the call may go out.
	Fine Verdict = iota
	// Cycle means that the called actor waits in the chain already.
	Cycle
	// TooDeep means that the chain has reached its limit.
	TooDeep
)

// Check says whether the actor (typ, id) may be called from chain l, which holds
// at most depth actors including the called one.
func Check(l *Link, typ, id string, depth int) Verdict {
	held := 0
	for ; l != nil; l = l.Parent {
		if l.ID == id && l.Type == typ {
			return Cycle
		}
		held++
	}
	if held >= depth {
		return TooDeep
	}
	return Fine
}

// Path lists the actors of chain l, outermost first, each as "type/id", and the
// called one last.
func Path(l *Link, typ, id string) []string {
	path := []string{typ + "/" + id}
	for ; l != nil; l = l.Parent {
		path = append(path, l.Type+"/"+l.ID)
	}
	slices.Reverse(path)
	return path
}
