package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

// A disk that fails to sync ends the service: nothing is acknowledged after it, and
// what was acknowledged before is there.
func TestSyncErrorEndsTheService(t *testing.T) {
	t.Parallel()
	strace := needsStrace(t)
	path := filepath.Join(t.TempDir(), "data.db")
	s := mustOpen(t, Config{Path: path})
	own(t, s, "w1")
	mustClose(t, s)

	text := failingDisk(t, strace, path, "40+")
	var acknowledged int
	if n, scanErr := fmt.Sscanf(text, "acknowledged %d, then all of it ended", &acknowledged); n != 1 {
		t.Fatalf("the child says %q (%v)", text, scanErr)
	}
	s = mustOpen(t, Config{Path: path})
	defer mustClose(t, s)
	if got := loadOne(t, s, "w1", "a").GetState().GetVersion(); acknowledged < 10 || got < uint64(acknowledged) {
		t.Errorf("version %d after %d acknowledgements", got, acknowledged)
	}
}

// What a process that was killed has left in the log is synced before anybody reads it.
func TestLogOfTheKilledIsSynced(t *testing.T) {
	t.Parallel()
	strace := needsStrace(t)
	path, killed := filepath.Join(t.TempDir(), "data.db"), filepath.Join(t.TempDir(), "killed.db")
	s := mustOpen(t, Config{Path: path})
	defer mustClose(t, s)
	own(t, s, "w1")
	copyFile(t, path, killed)
	if text := failingDisk(t, strace, killed, "1"); !strings.Contains(text, "sync the log") {
		t.Errorf("the child says %q", text)
	}
}

func needsStrace(t *testing.T) string {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("needs strace, which makes the disk fail")
	}
	return strace
}

// failingDisk runs ioChild where those syncs fail of which strace is told, and returns what
// it says.
func failingDisk(t *testing.T, strace, path, when string) string {
	t.Helper()
	child := exec.Command(strace, "-f", "-qq", "-o", os.DevNull, "-e", "trace=fsync,fdatasync",
		"-e", "inject=fsync,fdatasync:error=EIO:when="+when, os.Args[0])
	child.Env = append(os.Environ(), ioVariable+"="+path)
	out, _ := child.CombinedOutput() // it ends with 1 where it fails, and says why
	text := string(out)
	if strings.Contains(text, "Operation not permitted") {
		t.Skipf("strace may not trace here: %s", text)
	}
	return text
}

// ioVariable makes the test binary the process whose disk fails.
const ioVariable = "FRANCIS_TEST_STORE_IO"

// ioChild commits until the disk fails, and checks that everything ends.
func ioChild(path string) {
	s, err := Open(Config{Path: path})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	acknowledged, err := commitUntilError(s)
	problems := fatalProblems(s, err)
	if len(problems) > 0 {
		fmt.Println(acknowledged, problems)
		os.Exit(1)
	}
	fmt.Printf("acknowledged %d, then all of it ended\n", acknowledged)
}

func commitUntilError(s *Store) (int, error) {
	base := (*runtimev1.Identity)(nil)
	for i := range 1_000 {
		next := identity(1, uint64(i)+1)
		_, _, err := s.Commit(context.Background(), "w1", []*runtimev1.Record{record("a", base, next, []byte{byte(i)})})
		if err != nil {
			return i, err
		}
		base = next
	}
	return 1_000, nil
}

// fatalProblems says what still goes on after an error.
func fatalProblems(s *Store, first error) []string {
	ctx := context.Background()
	_, _, commit := s.Commit(ctx, "w1", []*runtimev1.Record{record("b", nil, identity(1, 1), nil)})
	_, load := s.Load(ctx, "w1", []*runtimev1.LoadRequest_Read{readOf("a")})
	_, shards := s.Shards(ctx)
	var problems []string
	for what, err := range map[string]error{"the first": first, "commit": commit, "load": load, "shards": shards, "beat": s.Beat(ctx, "w1")} {
		if !errors.Is(err, store.ErrFatal) {
			problems = append(problems, fmt.Sprintf("%s: %v", what, err))
		}
	}
	select {
	case <-s.Failed():
	default:
		problems = append(problems, "Failed is open")
	}
	return problems
}
