package behaviour

import (
	"testing"
	"time"

	behaviourv1 "github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1"
	"github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1/behaviourv1francis"
	"github.com/francis-actors/francis/sdk"
)

// ttl is how long the states of a test live that wants to see them expire.
const ttl = time.Second

// stateExpires says when a call may find the state of the last record, and when it must not:
// the test knows no more of the time of a record than when it was asked for and answered.
func stateExpires(t *testing.T, s *setup) {
	probes := &Probes{}
	host := s.Start(t, func(r sdk.Registrar) error {
		return behaviourv1francis.RegisterProbeActor(r, probes.New, sdk.WithStateTTL(ttl))
	})
	probe := behaviourv1francis.NewProbeActorProxy(host.Service(), "a")
	var sent, answered time.Time
	last := int64(0)
	add := func() {
		t.Helper()
		asked := time.Now()
		res, err := probe.Add(t.Context(), &behaviourv1.AddRequest{In: 1})
		must(t, err)
		switch sum := res.GetSum(); {
		case sum != 1 && sum != last+1:
			t.Fatalf("the sum is %d after %d", sum, last)
		case sum == 1 && last > 0 && time.Since(sent) < ttl:
			t.Errorf("the state has expired after %v", time.Since(sent))
		case sum != 1 && asked.Sub(answered) > ttl:
			t.Errorf("the state is there after %v", asked.Sub(answered))
		}
		sent, answered, last = asked, time.Now(), res.GetSum()
	}
	for range 3 {
		add()
		add()
		time.Sleep(ttl / 2) // real time: where the store's clock is real
		if _, err := probe.Read(t.Context(), &behaviourv1.ReadRequest{}); err != nil {
			t.Fatal(err)
		}
		add()
		time.Sleep(ttl + ttl/10) // real time: as above
	}
	add()
	if last != 1 {
		t.Errorf("the sum is %d, after a state that has expired", last)
	}
	if got := probes.Constructed("a"); got < 4 {
		t.Errorf("the actor was constructed %d times, want 4 at least", got)
	}
}
