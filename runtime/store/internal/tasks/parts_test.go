package tasks

import (
	"errors"
	"slices"
	"testing"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

// Each part answers what fits, and the answers stand where their items stood.
func TestInParts(t *testing.T) {
	t.Parallel()
	settlements := make([]*runtimev1.Settlement, 5)
	for i := range settlements {
		settlements[i] = &runtimev1.Settlement{Revision: uint64(i)}
	}
	var parts [][]uint64
	settle := func(part []*runtimev1.Settlement) ([]runtimev1.Verdict, store.Moved, error) {
		revisions, verdicts := make([]uint64, len(part)), make([]runtimev1.Verdict, len(part))
		for i, s := range part {
			revisions[i] = s.GetRevision()
			switch {
			case s.GetRevision()%2 == 0: // needs no room
				verdicts[i] = runtimev1.Verdict_VERDICT_STALE_EPOCH
			case !slices.Contains(verdicts, runtimev1.Verdict_VERDICT_APPLIED): // one fits
				verdicts[i] = runtimev1.Verdict_VERDICT_APPLIED
			}
		}
		parts = append(parts, revisions)
		return verdicts, store.Moved{Moves: make([]store.Move, 1), Point: store.Point{Counter: store.Counter(len(parts))}}, nil
	}
	verdicts, moved, err := SettleInParts(settlements, settle)
	if err != nil {
		t.Fatal(err)
	}
	const stale, applied = runtimev1.Verdict_VERDICT_STALE_EPOCH, runtimev1.Verdict_VERDICT_APPLIED
	if want := []runtimev1.Verdict{stale, applied, stale, applied, stale}; !slices.Equal(verdicts, want) {
		t.Errorf("the verdicts are %v, want %v", verdicts, want)
	}
	if want := [][]uint64{{0, 1, 2, 3, 4}, {3}}; !slices.EqualFunc(parts, want, slices.Equal) {
		t.Errorf("the parts were %v, want %v", parts, want)
	}
	if len(moved.Moves) != 2 || moved.Counter != 2 {
		t.Errorf("moved are %d at %d, want those of both parts, and the last point", len(moved.Moves), moved.Counter)
	}
}

// A part that fails fails the call: nobody knows of every item what became of it.
func TestInPartsFails(t *testing.T) {
	t.Parallel()
	failure := errors.New("no store")
	for failing := range 2 {
		calls := 0
		commit := func(part []*runtimev1.Record) ([]*runtimev1.CommitResponse_Result, store.Moved, error) {
			if calls++; calls > failing {
				return nil, store.Moved{}, failure
			}
			return make([]*runtimev1.CommitResponse_Result, len(part)), store.Moved{Moves: make([]store.Move, 1)}, nil
		}
		results, moved, err := CommitInParts(make([]*runtimev1.Record, 2), commit)
		if !errors.Is(err, failure) || results != nil || moved.Moves != nil {
			t.Errorf("call %d fails: %v, %v, %v", failing, results, moved, err)
		}
	}
}
