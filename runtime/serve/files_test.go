package serve_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	_ "modernc.org/sqlite" // writes the files of other applications
)

// buildFolder has the runtime, empty until a test needs it.
var buildFolder string

// binary is the runtime, built once for all tests.
var binary = sync.OnceValues(func() (path string, err error) {
	if buildFolder, err = os.MkdirTemp("", "runtime"); err != nil {
		return "", err
	}
	path = filepath.Join(buildFolder, "runtime")
	if out, err := exec.CommandContext(context.Background(), "go", "build", "-o", path, "..").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// TestMain removes the binary, and looks for goroutines that a test has left behind.
func TestMain(m *testing.M) {
	code := m.Run()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if buildFolder != "" {
		_ = os.RemoveAll(buildFolder)
	}
	os.Exit(code)
}

// scene is a folder with a configuration in which a runtime is to start.
type scene struct {
	t      *testing.T
	folder string
	// bind is where, empty for any free port, and database the file.
	bind, database string
}

func newScene(t *testing.T) *scene {
	t.Helper()
	return &scene{t: t, folder: t.TempDir(), database: "data.db"}
}

func (s *scene) path(name string) string { return filepath.Join(s.folder, name) }

func (s *scene) write(name string, text []byte) {
	s.t.Helper()
	if err := os.WriteFile(s.path(name), text, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// configure writes what the binary reads.
func (s *scene) configure() {
	s.t.Helper()
	bind := s.bind
	if bind == "" {
		listener := s.listen()
		bind = listener.Addr().String()
		listener.Close()
	}
	s.write("config.yaml", []byte(`bind: "`+bind+`"
runtimePSKs: ["a runtime secret of the tests"]
bootstrap: {method: psk, hostPSK: "a host secret of the tests"}
provider: {type: sqlite, connectionString: "`+s.database+`"}
`))
}

func (s *scene) listen() net.Listener {
	s.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it does not wait
	if err != nil {
		s.t.Fatal(err)
	}
	return listener
}

// runtime is the binary in this folder; it is ended with the test.
func (s *scene) runtime() (*exec.Cmd, *journal) {
	s.t.Helper()
	path, err := binary()
	if err != nil {
		s.t.Fatal(err)
	}
	s.configure()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	s.t.Cleanup(cancel)
	cmd, log := exec.CommandContext(ctx, path, "-config", "config.yaml"), &journal{}
	cmd.Dir, cmd.Stderr = s.folder, log
	return cmd, log
}

// running starts the binary and waits until it serves.
func (s *scene) running() (stop func()) {
	s.t.Helper()
	cmd, log := s.runtime()
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	for late := time.Now().Add(time.Minute); !strings.Contains(log.String(), "serving workers"); time.Sleep(5 * time.Millisecond) { // real time: a log does not tell when
		if time.Now().After(late) {
			s.t.Fatalf("it does not serve:\n%s", log)
		}
	}
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			s.t.Errorf("the runtime ends with %v:\n%s", err, log)
		}
	})
	s.t.Cleanup(stop)
	return stop
}

// ours is the database of a runtime that has run.
func ours(s *scene) []byte {
	s.t.Helper()
	s.running()()
	data, err := os.ReadFile(s.path("data.db"))
	if err != nil {
		s.t.Fatal(err)
	}
	return data
}

// startsRefused are places where a runtime must not start, the code it ends with and
// what it says.
var startsRefused = map[string]struct {
	prepare func(*scene)
	code    int
	says    string
}{
	"a second runtime": {
		func(s *scene) { s.running() }, 1,
		"open the store data.db: another runtime has the store (process ",
	},
	"the database of another application": {
		func(s *scene) {
			db, err := sql.Open("sqlite", s.path("data.db"))
			if err == nil {
				_, err = db.ExecContext(s.t.Context(), "CREATE TABLE recipes (name TEXT); INSERT INTO recipes VALUES ('soup')")
			}
			if err = errors.Join(err, db.Close()); err != nil {
				s.t.Fatal(err)
			}
		}, 1,
		"not a store of Francis: the file is the SQLite database of another application (application_id 0, 1 tables and indexes); name another one",
	},
	"a text": {
		func(s *scene) { s.write("data.db", []byte("Dear diary,\n")) }, 1,
		"not a store of Francis: the file is no SQLite database; name another one",
	},
	"a database cut in its head": {
		func(s *scene) { s.write("data.db", []byte("SQLite format 3\x00")) }, 1, "the store is damaged; restore it from a backup",
	},
	"a database cut in half": {
		func(s *scene) { data := ours(s); s.write("data.db", data[:len(data)/2/4096*4096]) }, 1, "the store is damaged; restore it from a backup",
	},
	"a database with another schema inside": {
		func(s *scene) {
			data := ours(s)
			copy(data[100:4096], bytes.Repeat([]byte{0xa5}, 3996))
			s.write("data.db", data)
		}, 1, "the store is damaged; restore it from a backup",
	},
	"a folder": {
		func(s *scene) {
			if err := os.Mkdir(s.path("data.db"), 0o700); err != nil {
				s.t.Fatal(err)
			}
		}, 1, "open the store data.db: open data.db: is a directory",
	},
	"no folder": {
		func(s *scene) { s.database = "none/data.db" }, 1, "no such file or directory; create the folder first",
	},
	"a file as folder": {
		func(s *scene) { s.write("file", nil); s.database = "file/data.db" }, 1, "file is not a folder",
	},
	"a folder of the system": { // unlike a mode, this stops the superuser too
		func(s *scene) { s.database = "/proc/self/data.db" }, 1, "/proc/self",
	},
	"an address that is taken": {
		func(s *scene) {
			listener := s.listen()
			s.t.Cleanup(func() { listener.Close() })
			s.bind = listener.Addr().String()
		}, 1, "address already in use; end what has the address, or choose another bind",
	},
	"an address of another machine": {
		func(s *scene) { s.bind = "192.0.2.1:7400" }, 2, "can be reached from other machines; make a good one with `runtime gen-key`",
	},
	"no address": {
		func(s *scene) { s.bind = "7400" }, 2, "config.yaml:1: ",
	},
	"no file": {
		func(s *scene) { s.database = "" }, 2, "connectionString",
	},
}

// A runtime that cannot start says why, ends with the code of the cause, and leaves
// every file as it was.
func TestRefusedStarts(t *testing.T) {
	t.Parallel()
	for name, refused := range startsRefused {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			refused.prepare(s)
			before := s.files()
			cmd, log := s.runtime()
			_ = cmd.Run()
			if code := cmd.ProcessState.ExitCode(); code != refused.code || !strings.Contains(log.String(), refused.says) {
				t.Errorf("it ends with %d and says:\n%s\nwant %d and: %s", code, log, refused.code, refused.says)
			}
			lines := strings.Split(strings.TrimSpace(log.String()), "\n")
			if last := lines[len(lines)-1]; refused.code == 1 && !strings.HasPrefix(last, "runtime: ") {
				t.Errorf("the last line is %q", last)
			}
			for file, sum := range s.files() {
				if had, ok := before[file]; !ok || had != sum {
					t.Errorf("it has written to %s", file)
				}
			}
		})
	}
}

// files are the sums of all files but the configuration and those that every SQLite
// database has beside it while somebody looks into it.
func (s *scene) files() map[string][sha256.Size]byte {
	s.t.Helper()
	sums := map[string][sha256.Size]byte{}
	entries, err := os.ReadDir(s.folder)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, entry := range entries {
		switch name := entry.Name(); {
		case entry.IsDir(), name == "config.yaml", name == "data.db.lock", name == "data.db-wal", name == "data.db-shm":
			continue
		}
		data, err := os.ReadFile(s.path(entry.Name()))
		if err != nil {
			s.t.Fatal(err)
		}
		sums[entry.Name()] = sha256.Sum256(data)
	}
	return sums
}
