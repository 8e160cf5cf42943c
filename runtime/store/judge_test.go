package store_test

import (
	"testing"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

func at(activation, sequence uint64) *runtimev1.Identity {
	return &runtimev1.Identity{Activation: activation, Sequence: sequence}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	const (
		applied   = runtimev1.Verdict_VERDICT_APPLIED
		already   = runtimev1.Verdict_VERDICT_ALREADY_APPLIED
		staleBase = runtimev1.Verdict_VERDICT_STALE_BASE
	)
	tests := []struct {
		name                 string
		last, base, identity *runtimev1.Identity
		want                 runtimev1.Verdict
	}{
		{"the first of all", nil, nil, at(1, 1), applied},
		{"an empty base is none", nil, at(0, 0), at(1, 1), applied},
		{"an empty last is none", at(0, 0), nil, at(1, 1), applied},
		{"the next", at(1, 1), at(1, 1), at(1, 2), applied},
		{"several turns later", at(1, 1), at(1, 1), at(1, 9), applied},
		{"a new activation", at(1, 4), at(1, 4), at(2, 1), applied},
		{"the same again", at(1, 2), at(1, 1), at(1, 2), already},
		{"an earlier one again", at(1, 3), nil, at(1, 1), already},
		{"after another activation", at(2, 1), at(1, 1), at(1, 2), staleBase},
		{"the same sequence of another activation", at(2, 2), at(1, 1), at(1, 2), staleBase},
		{"on a later base", at(1, 1), at(1, 2), at(1, 3), staleBase},
		{"on a base that is gone", nil, at(1, 1), at(1, 2), staleBase},
		{"the first, where there is one", at(1, 1), nil, at(2, 1), staleBase},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			record := &runtimev1.Record{Base: test.base, Identity: test.identity}
			if got := store.Judge(test.last, record); got != test.want {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}

// The value is fixed: there are stores that hold it.
func TestChecksumGolden(t *testing.T) {
	t.Parallel()
	actor, committed := state()
	if got := store.Checksum(actor, committed, store.Times{Keyed: 1_700_000_000}); got != 0xc505c77fe903be5d {
		t.Errorf("%#x", got)
	}
	if got := store.Checksum(actor, committed, store.Times{Keyed: 1_700_000_000, Expires: 1_700_000_000_000_001}); got != 0xba3cb3864b1a88d5 {
		t.Errorf("%#x", got)
	}
}

// Each field counts, and so does the border between two.
func TestChecksumCoversAll(t *testing.T) {
	t.Parallel()
	changes := map[string]func(*runtimev1.Actor, *runtimev1.State){
		"type":       func(a *runtimev1.Actor, _ *runtimev1.State) { a.Type = "card" },
		"id":         func(a *runtimev1.Actor, _ *runtimev1.State) { a.Id = "b" },
		"border":     func(a *runtimev1.Actor, _ *runtimev1.State) { a.Type, a.Id = "car", "ta" },
		"activation": func(_ *runtimev1.Actor, s *runtimev1.State) { s.Identity.Activation++ },
		"sequence":   func(_ *runtimev1.Actor, s *runtimev1.State) { s.Identity.Sequence++ },
		"version":    func(_ *runtimev1.Actor, s *runtimev1.State) { s.Version++ },
		"message":    func(_ *runtimev1.Actor, s *runtimev1.State) { s.Message = "shop.v1.Other" },
		"data":       func(_ *runtimev1.Actor, s *runtimev1.State) { s.Data = []byte("datb") },
		"no data":    func(_ *runtimev1.Actor, s *runtimev1.State) { s.Data = nil },
	}
	actor, committed := state()
	times := store.Times{Keyed: 5, Expires: 7}
	whole := store.Checksum(actor, committed, times)
	for _, other := range []store.Times{{Keyed: 6, Expires: 7}, {Keyed: 5, Expires: 8}, {Keyed: 5}} {
		if store.Checksum(actor, committed, other) == whole {
			t.Errorf("that the times are %v is not seen", other)
		}
	}
	for name, change := range changes {
		actor, changed := state()
		change(actor, changed)
		if store.Checksum(actor, changed, times) == whole {
			t.Errorf("a change of %s is not seen", name)
		}
	}
}

func state() (*runtimev1.Actor, *runtimev1.State) {
	return &runtimev1.Actor{Type: "cart", Id: "a"},
		&runtimev1.State{Identity: at(7, 3), Version: 12, Message: "shop.v1.CartState", Data: []byte("data")}
}
