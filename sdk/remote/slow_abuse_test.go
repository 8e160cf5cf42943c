package remote_test

import (
	"io"
	"testing"
	"time"
)

// One member cannot take more than its connections, on either port; others still enter,
// and so does it when one of its own has ended.
func TestConnectionsOfOneMember(t *testing.T) {
	t.Parallel()
	const each = 16
	c := startCluster(t)
	for _, g := range targets(c) {
		var held []*wire
		for range each {
			held = append(held, g.open(t))
		}
		over := g.dial(t, "h2")
		if _, err := io.ReadFull(over.conn, make([]byte, 1)); err == nil {
			t.Errorf("%s serves %d connections of one member", g.name, each+1)
		}
		if err := g.call(c.ctx()); err != nil {
			t.Errorf("%s: another member is refused: %v", g.name, err)
		}
		held[0].conn.Close()
		eventually(t, g.name+" has room again", func() bool {
			again := g.dial(t, "h2")
			_ = again.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
			_, err := again.conn.Read(make([]byte, 1)) // the settings of HTTP/2 come first
			return err == nil
		})
	}
}
