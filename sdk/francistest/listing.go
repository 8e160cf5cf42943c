package francistest

import (
	"context"
	"slices"
	"strings"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
)

// ListActors lists the actors that have a state, all in one page.
func (s *solo) ListActors(_ context.Context, req *runtimev1.ListActorsRequest) (*runtimev1.ListActorsResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	res := &runtimev1.ListActorsResponse{}
	for of, have := range s.actors {
		state := have.live()
		if of.typ != req.GetType() || state.GetMessage() == "" || !strings.HasPrefix(of.id, req.GetPrefix()) || of.id <= req.GetAfter() {
			continue
		}
		res.Actors = append(res.Actors, &runtimev1.ListedActor{
			Id: of.id, Version: state.GetVersion(), Size: uint64(len(state.GetData())),
		})
	}
	slices.SortFunc(res.GetActors(), func(a, b *runtimev1.ListedActor) int { return strings.Compare(a.GetId(), b.GetId()) })
	return res, nil
}
