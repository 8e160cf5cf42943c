package join

import (
	"testing"

	"github.com/francis-actors/francis/internal/pki"
)

func TestCrowd(t *testing.T) {
	t.Parallel()
	greedy, modest, late := pki.Identity{ID: "greedy"}, pki.Identity{ID: "modest"}, pki.Identity{ID: "late"}
	c := newCrowd(4, 3)
	for i, step := range []struct {
		who  pki.Identity
		want bool
	}{{greedy, true}, {greedy, true}, {greedy, true}, {greedy, false}, {modest, true}, {modest, false}, {late, false}} {
		if got := c.enter(step.who); got != step.want {
			t.Errorf("step %d: %v enters: %v", i, step.who, got)
		}
	}
	c.leave(greedy)
	if !c.enter(late) || c.enter(greedy) {
		t.Error("one place was free, and it was late's")
	}
	for _, who := range []pki.Identity{greedy, greedy, modest, late} {
		c.leave(who)
	}
	if len(c.held) > 0 || c.all != 0 {
		t.Errorf("nobody is here, and %v, %d are remembered", c.held, c.all)
	}
}
