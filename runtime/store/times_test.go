package store_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

func TestTimesAfter(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000, 5)
	have := store.Times{Keyed: 7, Expires: 9}
	keyed := []*runtimev1.Key{{}}
	for name, test := range map[string]struct {
		record *runtimev1.Record
		want   store.Times
	}{
		"a record without anything": {&runtimev1.Record{}, store.Times{Keyed: 7}},
		"a key":                     {&runtimev1.Record{Keys: keyed}, store.Times{Keyed: 1_000}},
		"a time to live":            {&runtimev1.Record{StateTtl: durationpb.New(time.Second)}, store.Times{Keyed: 7, Expires: 1_001_000_001}}, // never early
		"a time of a whole second":  {&runtimev1.Record{StateTtl: durationpb.New(time.Second - 5)}, store.Times{Keyed: 7, Expires: 1_001_000_000}},
		"a deletion":                {&runtimev1.Record{Deletes: true}, store.Times{}},
		"a deletion that has a key": {&runtimev1.Record{Deletes: true, Keys: keyed}, store.Times{Keyed: 1_000}},
	} {
		if got := store.TimesAfter(test.record, have, now); got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}

func TestTimesLive(t *testing.T) {
	t.Parallel()
	stored := &runtimev1.State{Identity: at(1, 2), Version: 3, Message: "m", Data: []byte("d")}
	gone := &runtimev1.State{Identity: at(1, 2), Version: 3}
	lives := func(left time.Duration) *runtimev1.State {
		s := proto.CloneOf(stored)
		s.ExpiresIn = durationpb.New(left)
		return s
	}
	ends := time.UnixMicro(5_000)
	for name, test := range map[string]struct {
		expires int64
		at      time.Time
		want    *runtimev1.State
	}{
		"for ever":    {0, ends, stored},
		"before":      {5_000, ends.Add(-time.Second), lives(time.Second)},
		"just before": {5_000, ends.Add(-1), lives(1)},
		"at its time": {5_000, ends, gone},
		"later":       {5_000, ends.Add(time.Hour), gone},
	} {
		times := store.Times{Expires: test.expires}
		if got := times.Live(stored, test.at); !proto.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
		if got := times.Expired(test.at); got != (test.want == gone) {
			t.Errorf("%s: expired is %v", name, got)
		}
	}
	if stored.GetExpiresIn() != nil {
		t.Error("the state that was given was changed")
	}
}
