package join

import (
	"sync"

	"github.com/francis-actors/francis/internal/pki"
)

// crowd counts the connections of members, whom it tells apart by their certificates: one
// that gets out of hand harms only itself.
type crowd struct {
	// most is how many connections there may be, and each how many of one member.
	most, each int

	mu   sync.Mutex // guards what follows
	all  int
	held map[pki.Identity]int
}

func newCrowd(most, each int) *crowd {
	return &crowd{most: most, each: each, held: map[pki.Identity]int{}}
}

// enter admits a connection, or does not.
func (c *crowd) enter(who pki.Identity) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == c.most || c.held[who] == c.each {
		return false
	}
	c.all++
	c.held[who]++
	return true
}

// leave says that an admitted connection has ended.
func (c *crowd) leave(who pki.Identity) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	if c.held[who]--; c.held[who] == 0 {
		delete(c.held, who)
	}
}
