//go:build failpoints

package failpoint

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Enabled is true in a build with failpoints.
const Enabled = true

// leaves is how long an answer takes to leave after its handler has returned.
const leaves = 2 * time.Millisecond

var (
	wanted, times = parse(os.Getenv(Variable))
	reached       atomic.Int64
)

func parse(text string) (point string, at int64) {
	point, count, _ := strings.Cut(text, ":")
	at, _ = strconv.ParseInt(count, 10, 64) // 0 is never reached
	return point, at
}

// Reach ends the process, without any clean-up, where that is wanted.
func Reach(point string) {
	if due(point) {
		end()
	}
}

// Pass does so too, a moment later, when what the caller returns has left.
func Pass(point string) {
	if due(point) {
		time.AfterFunc(leaves, end)
	}
}

func due(point string) bool { return point == wanted && reached.Add(1) == times }

// end is kill -9: nothing is flushed, closed or said.
func end() {
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Kill()
	}
	select {}
}
