package francistest_test

import (
	"testing"
	"testing/synctest"

	"github.com/francis-actors/francis/internal/behaviour"
	"github.com/francis-actors/francis/sdk/francistest"
)

func TestBehaviour(t *testing.T) {
	t.Parallel()
	behaviour.Run(t, behaviour.Topology{
		Name:   "in process",
		Test:   synctest.Test,
		Start:  func(t testing.TB) behaviour.Host { return francistest.Start(t) },
		Settle: synctest.Wait,
	})
}
