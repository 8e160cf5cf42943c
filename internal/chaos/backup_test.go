//go:build unix

package chaos

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	chaosv1 "github.com/francis-actors/francis/internal/chaos/gen/chaos/v1"
	"github.com/francis-actors/francis/sdk"
)

// T11: a backup is taken while workers commit, another one is killed in the middle, and
// the runtime is killed. A runtime on a new file with the backup serves the workers that
// are still there, which join again, and every actor is as it was at one moment of the backup.
func TestT11RestoredBackup(t *testing.T) {
	const padding = 32 << 10 // so that a backup does not fit into a pipe
	c := start(t, 2)
	w := c.workers[0]
	counters := make([]counter, actors)
	for i := range counters {
		counters[i].id = fmt.Sprint("counter ", i)
		c.pad(w, counters[i].id, padding)
	}
	counting, stop := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	for i := range counters {
		callers.Go(func() { counters[i].count(counting, c.workers[i%2]) })
	}

	cut := c.killBackup(func() { c.awaitProgress(counters) })
	least := values(counters, func(n *counter) int64 { return n.acknowledged.Load() })
	c.awaitProgress(counters)
	c.command(t, nil, "backup", "-f", "moment.backup")
	most := values(counters, func(n *counter) int64 { return n.sent.Load() })
	c.awaitProgress(counters)
	stop()
	callers.Wait()
	c.runtimes[0].current().kill()

	c.write(c.runtimes[0].file, strings.Replace(c.runtimes[0].config, "data.db", "restored.db", 1))
	if out, err := c.run(bytes.NewReader(cut), "restore", "-f", "-"); err == nil || !strings.Contains(out, "cut short") {
		t.Errorf("what the killed backup has written was restored: %v\n%s", err, out)
	}
	said := c.command(t, nil, "restore", "-f", "moment.backup")
	c.runtimes[0].start()
	for i := range counters {
		id := counters[i].id
		c.await(id+" answers", func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), callTimeout)
			defer cancel()
			_, err := w.proxy(id).Read(ctx, &chaosv1.ReadRequest{})
			return err == nil
		})
		got := c.read(w, id)
		if got < least[i] || got > most[i] {
			t.Errorf("%s is restored as %d; %d was acknowledged before the backup, and %d sent when it had ended", id, got, least[i], most[i])
		}
		if next := c.addOnce(w, id, "after"); next != got+1 {
			t.Errorf("%s is %d, and %d after 1 was added", id, got, next)
		}
	}
	for _, w := range c.workers {
		if w.current().over() {
			t.Errorf("a worker of the former cluster has ended: %s", w.current().output.tail())
		}
	}
	show(t, "`runtime backup` while workers commit, another one killed in the middle, `kill -9` of the runtime, `runtime restore` into a new file; the workers stay",
		fmt.Sprintf("%d actors of %d KiB: each is between what was acknowledged before the backup and sent when it had ended; the workers joined again; %s", actors, padding>>10, strings.TrimSpace(said)))
}

// counter counts up, one call after the other.
type counter struct {
	id                 string
	sent, acknowledged atomic.Int64
}

func (n *counter) count(ctx context.Context, w *worker) {
	for ctx.Err() == nil {
		n.sent.Add(1)
		if _, err := w.add(ctx, n.id, &chaosv1.AddRequest{In: 1}, sdk.WithoutRetries()); err == nil {
			n.acknowledged.Add(1)
		}
	}
}

func values(counters []counter, value func(*counter) int64) []int64 {
	all := make([]int64, len(counters))
	for i := range counters {
		all[i] = value(&counters[i])
	}
	return all
}

// awaitProgress waits until every counter has counted on.
func (c *cluster) awaitProgress(counters []counter) {
	c.t.Helper()
	for i := range counters {
		before := counters[i].acknowledged.Load()
		c.await(counters[i].id+" counts", func() bool { return counters[i].acknowledged.Load() > before })
	}
}

// killBackup takes a backup into a pipe that nobody empties, kills it when something has
// happened, and returns what it has written.
func (c *cluster) killBackup(meanwhile func()) []byte {
	c.t.Helper()
	cmd := exec.Command(filepath.Join(c.runtimeBin, runtimeBinary), "backup", "-config", c.runtimes[0].file, "-f", "-")
	cmd.Dir, cmd.Stderr = c.folder, os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		c.t.Fatal(err)
	}
	written := bytes.NewBuffer(nil)
	if _, err := io.CopyN(written, out, 1); err != nil {
		c.t.Error(err)
	}
	meanwhile()
	_ = cmd.Process.Kill()
	_, _ = io.Copy(written, out) // it ends where the process was
	_ = cmd.Wait()               // it was killed
	return written.Bytes()
}

// command runs a command of the runtime, which succeeds, and returns what it says.
func (c *cluster) command(t *testing.T, in io.Reader, args ...string) string {
	t.Helper()
	out, err := c.run(in, args...)
	if err != nil {
		t.Fatalf("runtime %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (c *cluster) run(in io.Reader, args ...string) (string, error) {
	cmd := exec.CommandContext(c.ctx, filepath.Join(c.runtimeBin, runtimeBinary), append(args, "-config", c.runtimes[0].file)...)
	cmd.Dir, cmd.Stdin = c.folder, in
	out, err := cmd.CombinedOutput()
	return string(out), err
}
