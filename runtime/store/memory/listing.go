package memory

import (
	"context"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/internal/listing"
)

func newOrder() ordered[actorKey] { return ordered[actorKey]{compare: actorKey.compare} }

// put keeps the row of an actor, and drop drops it.
func (s *Store) put(key actorKey, next row) {
	if _, have := s.actors[key]; !have {
		s.order.add(key)
	}
	s.actors[key] = next
}

func (s *Store) drop(key actorKey) {
	delete(s.actors, key)
	s.order.remove(key)
}

// ListActors implements store.Records.
func (s *Store) ListActors(ctx context.Context, req *runtimev1.ListActorsRequest) (*runtimev1.ListActorsResponse, error) {
	if err := store.CheckListActors(req); err != nil {
		return nil, err
	}
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	page, now := listing.NewPage(req), s.now()
	for key := range s.order.from(actorKey{typ: req.GetType(), id: page.From()}) {
		if key.typ != req.GetType() || !page.Visit(key.id, listed(key.id, s.actors[key], now)) {
			break
		}
	}
	return page.Response(), nil
}

// listed is an actor that is listed, nil for one without state.
func listed(id string, r row, now time.Time) *runtimev1.ListedActor {
	state := r.answer(now)
	if state.GetMessage() == "" {
		return nil
	}
	return &runtimev1.ListedActor{Id: id, Version: state.GetVersion(), Size: uint64(len(state.GetData()))}
}
