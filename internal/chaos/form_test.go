//go:build unix

package chaos

import (
	"flag"
	"testing"
	"time"
)

// form says how much is tried. The short one is part of go test ./..., the others are
// for a gate and for a release.
var form = flag.String("chaos.form", "short", "how much is tried: short, ci or long")

// effort is what a form means.
type effort struct {
	// operations are those of a run without faults.
	operations int
	// kills is how often something is killed in a run with faults, points how often the
	// runtime at a named point, and pauses how often a worker is stopped.
	kills, points, pauses int
	// tasks is how many alarms are set, and how many jobs.
	tasks int
	// rounds is how often all processes are replaced.
	rounds int
	// lasts is how long a run with faults lasts at least.
	lasts time.Duration
	// reader is how long another process reads the database.
	reader time.Duration
	// callers are those of a crowd, and hold is how long their turns last: so they are
	// many and leave the processors alone.
	callers int
	hold    time.Duration
	// slow is how many clients of each kind are slow, and longest how long such a kind may
	// last; idle is how many do nothing.
	slow, idle int
	longest    time.Duration
	// alone is true where nothing else runs beside, so that latencies mean something.
	alone bool
}

func efforts(t *testing.T) effort {
	t.Helper()
	switch *form {
	case shortForm:
		return effort{
			operations: 2_000, kills: 1, pauses: 1, rounds: 1, lasts: 3 * time.Second,
			callers: 500, hold: 2 * time.Second, slow: 5, idle: 500, longest: 12 * time.Second,
		}
	case gateForm:
		return effort{
			operations: 10_000, kills: 3, tasks: 500, points: 4, pauses: 4, rounds: 2, lasts: 7 * time.Second, reader: 15 * time.Second,
			callers: 10_000, hold: 8 * time.Second, slow: 50, idle: 5_000, longest: time.Minute, alone: true,
		}
	case "long":
		return effort{
			operations: 100_000, kills: 40, tasks: 10_000, points: 200, pauses: 140, rounds: 9, lasts: 2 * time.Minute, reader: time.Minute,
			callers: 10_000, hold: 8 * time.Second, slow: 50, idle: 5_000, longest: time.Minute, alone: true,
		}
	default:
		t.Fatalf("-chaos.form is %q; it must be short, ci or long", *form)
		return effort{}
	}
}

// leeway is how much longer something may take where other tests run beside.
func leeway(t *testing.T) time.Duration {
	t.Helper()
	if efforts(t).alone {
		return 0
	}
	return 5 * time.Second
}

const (
	shortForm = "short"
	gateForm  = "ci"
)

// notShort skips a test in the short form.
func notShort(t *testing.T) {
	t.Helper()
	if *form == shortForm {
		t.Skip("not in the short form; see docs/reliability.md")
	}
}

// onlyLong skips a test in the form of the gate as well, which has no time for it.
func onlyLong(t *testing.T) {
	t.Helper()
	notShort(t)
	if *form == gateForm {
		t.Skip("in the long form only; see docs/reliability.md")
	}
}
