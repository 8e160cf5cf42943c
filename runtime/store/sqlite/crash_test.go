package sqlite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
)

// childVariable makes the test binary the process that is killed: it holds the path. With
// tasksVariable that one works with tasks.
const (
	childVariable = "FRANCIS_TEST_STORE_CHILD"
	tasksVariable = "FRANCIS_TEST_STORE_TASKS"
)

const crashActors = 32

func TestMain(m *testing.M) {
	if path := os.Getenv(childVariable); path != "" {
		crashChild(path)
		return
	}
	if path := os.Getenv(tasksVariable); path != "" {
		tasksChild(path)
		return
	}
	if path := os.Getenv(ioVariable); path != "" {
		ioChild(path)
		return
	}
	os.Exit(m.Run())
}

// crashChild commits to all actors without end, and says each acknowledgement.
func crashChild(path string) {
	s, err := Open(Config{Path: path})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	var all sync.WaitGroup
	for i := range crashActors {
		all.Go(func() { crashActor(s, fmt.Sprint("a", i)) })
	}
	all.Wait()
}

func crashActor(s *Store, id string) {
	ctx := context.Background()
	loaded, err := s.Load(ctx, "w1", []*runtimev1.LoadRequest_Read{readOf(id)})
	if err != nil {
		fmt.Println("error", err)
		return
	}
	base := loaded[0].GetState().GetIdentity()
	activation := base.GetActivation() + 1
	for sequence := uint64(1); ; sequence++ {
		next := identity(activation, sequence)
		results, _, err := s.Commit(ctx, "w1", []*runtimev1.Record{record(id, base, next, []byte(fmt.Sprint(activation, sequence)))})
		if err != nil || results[0].GetVerdict() != runtimev1.Verdict_VERDICT_APPLIED {
			fmt.Println("error", results, err)
			return
		}
		fmt.Println(id, results[0].GetVersion())
		base = next
	}
}

// Whatever was acknowledged before kill -9 is there after it.
func TestKillKeepsAcknowledged(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data.db")
	s := mustOpen(t, Config{Path: path})
	own(t, s, "w1")
	mustClose(t, s)
	rounds := 10
	if testing.Short() {
		rounds = 3
	}
	total := 0
	for round := range rounds {
		acknowledged := crash(t, childVariable+"="+path, 500+round*397)
		s := mustOpen(t, Config{Path: path})
		for id, version := range acknowledged {
			got := loadOne(t, s, "w1", id).GetState().GetVersion()
			// At most one record of an actor was under way.
			if got < version || got > version+1 {
				t.Errorf("round %d: %s is at version %d, and %d was acknowledged", round, id, got, version)
			}
			total += int(version)
		}
		mustClose(t, s)
	}
	checkIntegrity(t, path)
	t.Logf("%d records acknowledged at the time of %d kills", total, rounds)
}

// tasksChild gives each actor one job after the other, and completes it. Of an actor it
// says 2n when job n is set, and 2n+1 when it is completed.
func tasksChild(path string) {
	s, err := Open(Config{Path: path})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	var all sync.WaitGroup
	for i := range crashActors {
		all.Go(func() { err := tasksActor(s, fmt.Sprint("a", i)); fmt.Println("error", err) })
	}
	all.Wait()
}

func tasksActor(s *Store, id string) error {
	ctx := context.Background()
	loaded, err := s.Load(ctx, "w1", []*runtimev1.LoadRequest_Read{readOf(id)})
	if err != nil {
		return err
	}
	base := loaded[0].GetState().GetIdentity()
	activation := base.GetActivation() + 1
	for n, sequence := loaded[0].GetState().GetVersion()+1, uint64(1); ; n, sequence = n+1, sequence+1 {
		if _, err := trySet(ctx, s, jobOf(id, fmt.Sprint(n), "")); err != nil {
			return err
		}
		fmt.Println(id, 2*n)
		listed, err := s.List(ctx, &runtimev1.ListRequest{Type: "cart", Id: id})
		if err != nil || len(listed.GetTasks()) != 1 {
			return fmt.Errorf("%v, %w", listed, err)
		}
		next := identity(activation, sequence)
		results, _, err := s.Commit(ctx, "w1", []*runtimev1.Record{completion(record(id, base, next, nil), listed.GetTasks()[0])})
		if err != nil || results[0].GetVerdict() != runtimev1.Verdict_VERDICT_APPLIED {
			return fmt.Errorf("%v, %w", results, err)
		}
		fmt.Println(id, 2*n+1)
		base = next
	}
}

// After kill -9 a job is there until its record is, and never beside it: what was set and
// not completed waits, and what took effect is gone.
func TestKillKeepsTasks(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data.db")
	s := mustOpen(t, Config{Path: path})
	own(t, s, "w1")
	mustClose(t, s)
	rounds := 10
	if testing.Short() {
		rounds = 3
	}
	waiting := 0
	for round := range rounds {
		acknowledged := crash(t, tasksVariable+"="+path, 500+round*397)
		s := mustOpen(t, Config{Path: path})
		for id, said := range acknowledged {
			done, left := loadOne(t, s, "w1", id).GetState().GetVersion(), jobs(list(t, s, &runtimev1.ListRequest{Id: id}))
			waiting += len(left)
			if len(left) > 1 || len(left) == 1 && left[0] != fmt.Sprint(done+1) {
				t.Errorf("round %d: %s has completed %d jobs, and %v wait", round, id, done, left)
			}
			// At most one step of an actor was under way.
			if has := 2*done + 1 + uint64(len(left)); has < said || has > said+1 {
				t.Errorf("round %d: %s has completed %d jobs, %v wait, and %d was said", round, id, done, left, said)
			}
		}
		mustClose(t, s)
	}
	checkIntegrity(t, path)
	t.Logf("%d jobs waited at the time of %d kills", waiting, rounds)
}

// crash kills a child, which a variable makes, after so many acknowledgements and returns
// the last version of each actor that was acknowledged.
func crash(t *testing.T, variable string, after int) map[string]uint64 {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), variable)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	ok(t, err)
	ok(t, child.Start())
	versions := map[string]uint64{}
	lines := bufio.NewReader(out)
	for count := 0; ; count++ {
		if count == after {
			ok(t, child.Process.Kill())
		}
		var id string
		var version uint64
		// The last line may be torn: then its newline is missing.
		if line, err := lines.ReadString('\n'); errors.Is(err, io.EOF) {
			break
		} else if _, err = fmt.Sscan(line, &id, &version); err != nil {
			t.Errorf("the child says %q", line)
			_ = child.Process.Kill()
			break
		}
		versions[id] = version
	}
	_ = child.Wait()
	return versions
}

func checkIntegrity(t *testing.T, path string) {
	t.Helper()
	c, err := dial(path, "rw")
	ok(t, err)
	defer c.Close()
	if verdict, err := c.text("PRAGMA integrity_check"); err != nil || verdict != "ok" {
		t.Errorf("integrity: %s, %v", verdict, err)
	}
}
