package store

import (
	"fmt"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
)

// CheckListActors reports, as ErrInvalid, why actors cannot be listed.
func CheckListActors(req *runtimev1.ListActorsRequest) error {
	switch {
	case req.GetType() == "":
		return fmt.Errorf("%w: a list is of an actor type", ErrInvalid)
	case req.GetLimit() > MaxListed:
		return fmt.Errorf("%w: %d actors are to be listed; at most %d are allowed", ErrInvalid, req.GetLimit(), MaxListed)
	}
	return nil
}
