//go:build unix

package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	chaosv1 "github.com/francis-actors/francis/internal/chaos/gen/chaos/v1"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk"
)

// T8 and G12: the disk fills up. Writers are told so by name, reads are served, and soon
// after there is room again everything goes on.
func TestT8FullDisk(t *testing.T) {
	c := launch(t, setup{workers: 2, folder: smallDisk(t)})
	l := newLoad(c)
	var freed []time.Duration
	faults(t, l, func(ctx context.Context, _ *rand.Rand) {
		ballast := filepath.Join(c.folder, "ballast")
		fill(t, ballast)
		awaitFull(t, c)
		for _, id := range []string{"r0", "never seen before"} { // one in memory, one not
			c.read(c.workers[0], id)
		}
		rest(ctx, time.Second)
		if err := os.Remove(ballast); err != nil {
			t.Error(err)
		}
		freed = append(freed, l.now())
	})
	p99 := recovered(t, l, freed, 2*time.Second)
	show(t, "the disk is full for more than a second (G12)",
		fmt.Sprintf("%v; writers are told `store_full`, reads are served; all is well %v (p99) after there is room again", &l.tally, p99))
}

// smallDisk is a folder on a disk of its own, of 48 MiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", folder).CombinedOutput(); err != nil {
		t.Skipf("needs to mount a small disk, which only root may: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", folder).CombinedOutput(); err != nil {
			t.Errorf("umount: %v\n%s", err, out)
		}
	})
	return folder
}

// fill writes a file that takes all the room there is.
func fill(t *testing.T, path string) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if n, err := io.CopyBuffer(file, endless{}, make([]byte, 4<<10)); err == nil {
		t.Errorf("%d bytes did not fill the disk", n)
	}
}

// endless is a reader of zeros.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// awaitFull writes to ever more actors until it is told that the disk is full: the log may
// have room for a while.
func awaitFull(t *testing.T, c *cluster) {
	t.Helper()
	written := 0
	c.await("a writer is told that the disk is full", func() bool {
		written++
		ctx, cancel := context.WithTimeout(t.Context(), callTimeout)
		defer cancel()
		_, err := c.workers[0].proxy(fmt.Sprint("filling ", written)).Write(ctx, &chaosv1.WriteRequest{Padding: make([]byte, 256<<10)}, sdk.WithoutRetries())
		full := fault.Detail(err).GetReason() == francisv1.Reason_REASON_STORE_FULL
		if full && sdk.OutcomeOf(err) != sdk.OutcomeNothingHappened {
			t.Errorf("the disk is full, and the outcome is %v: %v", sdk.OutcomeOf(err), err)
		}
		return full
	})
}

// T9 and G12: the disk answers a sync with an error. The runtime ends, because nobody
// knows what the disk holds, and one that is started anew serves.
func TestT9FailingSync(t *testing.T) {
	notShort(t)
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("needs strace, which makes the disk fail")
	}
	c := start(t, 2)
	l := newLoad(c)
	var ends []time.Duration
	r := c.runtimes[0]
	r.mortal.Store(true)
	faults(t, l, func(ctx context.Context, random *rand.Rand) {
		for range max(1, efforts(t).kills/3) {
			r.current().stop(t)
			r.boot(strace, "-f", "-qq", "-o", os.DevNull, "-e", "trace=fsync,fdatasync",
				"-e", fmt.Sprintf("inject=fsync,fdatasync:error=EIO:when=%d+", 40+random.IntN(200)))
			r.awaitEnd()
			if code := r.current().cmd.ProcessState.ExitCode(); code != 1 {
				t.Errorf("the runtime ended with code %d, want 1", code)
			}
			ends = append(ends, l.now())
			r.start()
			rest(ctx, time.Second)
		}
	})
	c.checkIntegrity()
	p99 := recovered(t, l, ends, 2*time.Second)
	show(t, fmt.Sprintf("`fdatasync` fails with EIO, %d times (G12)", len(ends)),
		fmt.Sprintf("%v; the runtime ends with 1, and one that is started anew serves after %v (p99)", &l.tally, p99))
}

// T12: another process reads the database and does not stop.
func TestT12ForeignReader(t *testing.T) {
	notShort(t)
	c := start(t, 2)
	l := newLoad(c)
	l.padding, l.perSecond = 16<<10, 1_000
	var longest int64
	var before []time.Duration
	faults(t, l, func(ctx context.Context, _ *rand.Rand) {
		rest(ctx, efforts(t).reader/3)
		before = l.waits()
		end := c.readForever(ctx)
		rest(ctx, efforts(t).reader)
		longest = c.logSize()
		end()
		c.await("the log is short again", func() bool { return c.logSize() <= 64<<20 })
	})
	allOK(t, l, "although nothing was done to them")
	p99, usual := quantile(0.99, l.waits()[len(before):]), quantile(0.99, before)
	if most := max(100*time.Millisecond, 2*usual); p99 > most {
		t.Errorf("p99 is %v, want at most %v; it was %v before", p99, most, usual)
	}
	if least := int64(64 << 20); longest < least {
		t.Errorf("the log has %d bytes: that is not more than always, and nothing was tried", longest)
	}
	show(t, fmt.Sprintf("another process holds a read transaction for %v", efforts(t).reader),
		fmt.Sprintf("%v; the log grew to %d MiB, and to no more than 64 afterwards", &l.tally, longest>>20))
}

// readForever begins a read transaction on the file of the runtime, and returns what ends
// it.
func (c *cluster) readForever(ctx context.Context) (end func()) {
	c.t.Helper()
	db := c.open()
	tx, err := db.BeginTx(ctx, nil)
	if err == nil {
		var n int
		err = tx.QueryRowContext(ctx, "SELECT count(*) FROM actors").Scan(&n)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return func() {
		if err := errors.Join(tx.Rollback(), db.Close()); err != nil {
			c.t.Error(err)
		}
	}
}

// logSize is the length of the write-ahead log.
func (c *cluster) logSize() int64 {
	c.t.Helper()
	info, err := os.Stat(filepath.Join(c.folder, "data.db-wal"))
	if err != nil {
		c.t.Fatal(err)
	}
	return info.Size()
}

// T7: the clocks by which leases count differ by an hour and a day. Nobody compares them.
func TestT7ClocksApart(t *testing.T) {
	notShort(t)
	c := launch(t, setup{workers: 3, wrapWorkers: [][]string{clock(t, time.Hour), clock(t, 24*time.Hour)}})
	l := newLoad(c)
	faults(t, l, func(context.Context, *rand.Rand) {})
	allOK(t, l, "because clocks differ")
	if lapses, deaths := c.says("renewed after a lapse"), c.says("declared dead"); lapses+deaths > 0 {
		t.Errorf("leases lapsed %d times, and workers were declared dead %d times", lapses, deaths)
	}
	show(t, "the clocks since boot of two of three workers are an hour and a day ahead", l.tally.String()+"; no lease lapsed")
}

// clock stands before the command line of a process whose clocks since boot are ahead.
func clock(t *testing.T, ahead time.Duration) []string {
	t.Helper()
	command := []string{
		"unshare", "--time", fmt.Sprintf("--boottime=%d", int(ahead.Seconds())), fmt.Sprintf("--monotonic=%d", int(ahead.Seconds())), "--kill-child", "--",
	}
	if out, err := exec.CommandContext(t.Context(), command[0], append(command[1:], "true")...).CombinedOutput(); err != nil {
		t.Skipf("needs clocks of its own for a process, which on Linux root may have: %v\n%s", err, strings.TrimSpace(string(out)))
	}
	return command
}
