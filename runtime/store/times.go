package store

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
)

// Times are what a driver keeps of an actor beside its state.
type Times struct {
	// Keyed is when it got its last idempotency key, in Unix seconds; 0 for never.
	Keyed int64
	// Expires is when its state expires, in Unix microseconds; 0 for never.
	Expires int64
}

// TimesAfter are those that a record leaves which is committed now.
func TimesAfter(record *runtimev1.Record, have Times, now time.Time) Times {
	next := Times{Keyed: have.Keyed}
	if record.GetDeletes() {
		next.Keyed = 0
	}
	if len(record.GetKeys()) > 0 {
		next.Keyed = now.Unix()
	}
	if ttl := record.GetStateTtl(); ttl != nil {
		next.Expires = now.Add(ttl.AsDuration() + time.Microsecond - 1).UnixMicro() // rounded up
	}
	return next
}

// Expired reports whether the state is one no more.
func (t Times) Expired(now time.Time) bool {
	return t.Expires != 0 && !now.Before(time.UnixMicro(t.Expires))
}

// Live is a stored state as it is at a time: one that has expired is none, and leaves its
// identity and its version.
func (t Times) Live(state *runtimev1.State, now time.Time) *runtimev1.State {
	if t.Expires == 0 {
		return state
	}
	live := Emptied(state)
	if !t.Expired(now) {
		live.Message, live.Data = state.GetMessage(), state.GetData()
		live.ExpiresIn = durationpb.New(time.UnixMicro(t.Expires).Sub(now))
	}
	return live
}

// Damaged answers a read of a state that is damaged, or whose keys are.
func Damaged(state *runtimev1.State) *runtimev1.LoadResponse_Result {
	return &runtimev1.LoadResponse_Result{Verdict: runtimev1.Verdict_VERDICT_DAMAGED, State: Emptied(state)}
}

// Emptied is what is left of a state that has expired, or is damaged.
func Emptied(state *runtimev1.State) *runtimev1.State {
	return &runtimev1.State{Identity: state.GetIdentity(), Version: state.GetVersion()}
}
